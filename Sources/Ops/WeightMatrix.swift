import BEiTTensorCore

/// The right-hand side W of products x·Wᵀ, `[outputs, inputs]`, in a form of its engine's choice.
package protocol WeightMatrix: AnyObject, Sendable {
    var inputs: Int { get }
    var outputs: Int { get }
    /// The elements of x that it takes.
    var inputType: ElementType { get }
}

/// Rows of a left-hand side that lie in pieces: each in `count` lines of `length` elements, whose addresses follow one
/// another.
struct Lines {
    let addresses: UnsafeMutablePointer<UnsafeRawPointer?>
    let count, length: Int
}

/// What an engine does with its matrix.
protocol EngineMatrix: WeightMatrix {
    /// Whether rows may lie in ``Lines`` of this length.
    func takesLines(of length: Int) -> Bool
    /// How a product of so many rows is cut into tiles.
    /// - Parameter height: about how many rows a tile shall have; nil leaves it to the engine.
    func tiling(rows: Int, height: Int?) -> Tiling
    /// What computes the tiles of a tiling, looked up once before the tasks share them.
    func tiles(of tiling: Tiling) -> any TileProduct
    /// y = epilogue(x·Wᵀ), shared among the workers; x of ``inputType``, y of float32 or bfloat16.
    func multiply(_ product: Product, _ x: Tensor, into y: Tensor)
}

/// Computes tiles of one product on the calling thread.
protocol TileProduct {
    /// a·Wᵀ for the outputs of one chunk, a column of tiles.
    /// - Parameters:
    ///   - rows: of `a`.
    ///   - c: its rows are `stride` elements apart.
    func run(chunk: Int, rows: Int, _ a: Operand, into c: UnsafeMutablePointer<Float>, stride: Int)
}

extension TileProduct {
    /// The rows `a` of a product and the outputs of one chunk, finished, at their place in `target`, the whole result: what
    /// needs no finishing goes straight there.
    func run(
        chunk: Int, _ rows: Range<Int>, _ columns: Range<Int>, _ a: Operand, _ epilogue: Epilogue,
        into target: TileTarget
    ) {
        let target = target.at(row: rows.lowerBound, column: columns.lowerBound)
        if epilogue.isIdentity && target.elementType == .float32 {
            return run(chunk: chunk, rows: rows.count, a, into: target.floats, stride: target.stride)
        }
        let width = columns.count
        withScratch(rows.count * width) { tile in
            run(chunk: chunk, rows: rows.count, a, into: tile, stride: width)
            epilogue.finish(tile, stride: width, rows: rows, columns: columns, into: target)
        }
    }
}

/// y = epilogue(x·Wᵀ): the sizes and the end of a product, all that an engine chooses its kernel by.
struct Product {
    let rows, inputs, outputs: Int
    var epilogue = Epilogue()
}

/// The rows of a left-hand side, dense or in lines: floats, bfloat16, or bytes of which each row has a scale and a zero
/// point.
struct Operand {
    let address: UnsafeRawPointer
    /// Nil where the rows follow one another from `address` on.
    let lines: Lines?
    let elementType: ElementType
    /// Elements of a row.
    let columns: Int
    let scales: UnsafePointer<Float>?
    let zeros: UnsafePointer<Int32>?

    init(_ floats: UnsafePointer<Float>, columns: Int) {
        self.init(UnsafeRawPointer(floats), .float32, columns: columns)
    }

    /// - Parameter scales: of each row, with its zero point, where the elements are bytes.
    init(
        _ address: UnsafeRawPointer, _ elementType: ElementType, columns: Int, scales: UnsafePointer<Float>? = nil,
        zeros: UnsafePointer<Int32>? = nil
    ) {
        (self.address, self.elementType, self.columns, lines) = (address, elementType, columns, nil)
        (self.scales, self.zeros) = (scales, zeros)
    }

    /// Rows in lines on `map`.
    init(_ lines: Lines, on map: Tensor) {
        (address, elementType, self.lines) = (UnsafeRawPointer(map.address), map.elementType, lines)
        (columns, scales, zeros) = (lines.count * lines.length, nil, nil)
    }

    /// The rows of a whole tensor, which must outlive it.
    init(_ tensor: Tensor, columns: Int) {
        self.init(
            tensor.address, tensor.elementType, columns: columns,
            scales: tensor.quantization.map { UnsafePointer($0.scales) },
            zeros: tensor.quantization.map { UnsafePointer($0.zeros) })
    }

    var floats: UnsafePointer<Float> {
        precondition(elementType == .float32 && lines == nil, "dense floats of \(elementType)")
        return address.assumingMemoryBound(to: Float.self)
    }

    var bfloats: UnsafePointer<UInt16> {
        precondition(elementType == .bfloat16 && lines == nil, "dense bfloat16 of \(elementType)")
        return address.assumingMemoryBound(to: UInt16.self)
    }

    var bytes: UnsafePointer<UInt8> {
        precondition(elementType == .uint8 && lines == nil, "dense bytes of \(elementType)")
        return address.assumingMemoryBound(to: UInt8.self)
    }

    /// The rows behind the first `row` ones.
    func from(_ row: Int) -> Operand {
        precondition(lines == nil, "rows in lines are one tile's")
        return Operand(
            address + row * columns * (elementType.byteCount ?? 1), elementType, columns: columns,
            scales: scales.map { $0 + row }, zeros: zeros.map { $0 + row })
    }
}

extension EngineMatrix {
    func takesLines(of length: Int) -> Bool { false }

    func multiply(_ product: Product, _ x: Tensor, into y: Tensor) { multiplyByTiles(product, x, into: y) }

    fileprivate func multiplyByTiles(_ product: Product, _ x: Tensor, into y: Tensor) {
        let tiling = tiling(rows: product.rows, height: nil)
        let tiles = tiles(of: tiling)
        let a = Operand(x, columns: inputs)
        let target = TileTarget(y)
        WorkerPool.current.run(tiling.count) { index in
            let (rows, columns) = tiling.tile(index)
            tiles.run(
                chunk: index / tiling.rowTiles, rows, columns, a.from(rows.lowerBound), product.epilogue, into: target)
        }
    }
}

/// A weight as it is, for engines without a packed form and for weights that are multiplied once.
final class PlainMatrix: EngineMatrix {
    let inputs, outputs: Int
    private let weight: Tensor
    var inputType: ElementType { .float32 }

    /// - Parameter weight: `[outputs, ...]` of floats; the axes behind the first are the inputs.
    init(_ weight: Tensor) {
        self.weight = weight
        outputs = weight.shape[0]
        inputs = weight.count / max(1, outputs)
    }

    func tiling(rows: Int, height: Int?) -> Tiling {
        // In training A has many rows and B is packed anew in each call: taller tiles repay that.
        Tiling(rows: rows, columns: outputs, height: height ?? (rows > 768 ? 256 : 128))
    }

    func tiles(of tiling: Tiling) -> any TileProduct {
        Tiles(engine: .current, weight: weight, inputs: inputs, tiling: tiling)
    }

    /// Straight into floats: the epilogue follows while the tile is in the cache.
    func multiply(_ product: Product, _ x: Tensor, into y: Tensor) {
        guard y.elementType == .float32 else { return multiplyByTiles(product, x, into: y) }
        MatrixProduct.run(
            m: product.rows, n: outputs, k: inputs, x.pointer, weight.pointer, transposeB: true, y.pointer,
            tiling: tiling(rows: product.rows, height: nil), epilogue: product.epilogue)
    }

    private struct Tiles: TileProduct {
        let engine: MatrixEngine
        let weight: Tensor
        let inputs: Int
        let tiling: Tiling

        func run(chunk: Int, rows: Int, _ a: Operand, into c: UnsafeMutablePointer<Float>, stride: Int) {
            let columns = tiling.columnRange(chunk)
            engine.multiply(
                m: rows, n: columns.count, k: inputs, a.floats, lda: inputs,
                weight.pointer + columns.lowerBound * inputs, ldb: inputs, transposeB: true, c, ldc: stride)
        }
    }
}
