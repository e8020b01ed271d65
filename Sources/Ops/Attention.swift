import BEiTTensorCore
import CBEiTKernels

/// What is added to the scaled scores of attention before the softmax.
package enum AttentionBias {
    case none
    /// `[H, N, N]`, the same for every image.
    case dense(Variable)
    /// A table of relative positions `[(2·Gh−1)(2·Gw−1)+3, H]` for a grid of Gh × Gw patches behind a cls token; the
    /// last three rows are cls→patch, patch→cls, cls→cls (reference: `beit/modeling_finetune.py`, BEiT §2.3).
    case relative(Variable, gridHeight: Int, gridWidth: Int)
}

extension Tape {
    /// Multi-head attention softmax(q·kᵀ/√d + bias)·v, by tiles of queries: the scores of all pairs are never in
    /// memory at once, and the way back computes them again.
    /// - Parameter qkv: `[B, N, 3·D]`, q, k and v one after another, each with its heads side by side; floats, or in
    ///   inference of the type that ``Parameter/attentionType`` says.
    /// - Returns: `[B, N, D]` of the same type.
    package func attention(_ qkv: Variable, heads: Int, bias: AttentionBias) -> Variable {
        let size = AttentionSize(qkv: qkv.shape, heads: heads)
        let y = Tensor(uninitialized: [size.batch, size.tokens, size.width], qkv.value.elementType)
        let biasValues = BiasValues(bias, size)
        PackedAttention(size, qkv.value.elementType).attend(qkv.value, biasValues, y)
        if isTraining && y.elementType == .bfloat16 { return recordBFloats(y, qkv, size, bias.variable, biasValues) }
        let (input, slot) = (qkv.value, qkv.slot)
        return record(y, from: [qkv, bias.variable]) { dy in
            let partials = biasValues.slot.map { _ in Tensor.zeros([size.batch, heads, biasValues.count]) }
            let write = { (gradient: Tensor, fresh: Bool) in
                attendBackward(input, y, dy, size, biasValues, gradient, fresh: fresh, partials)
            }
            if let slot { slot.accumulate(input.shape, write) } else { write(Tensor(uninitialized: input.shape), true) }
            if let partials { biasValues.addGradient(partials, size) }
        }
    }
}

extension Tape {
    /// The bias of a joint q, k, v projection, `[3·D]`: q's, zeros (k has none), v's.
    package func qkvBias(q: Parameter, v: Parameter) -> Variable {
        let width = q.value.count
        let result = Tensor.zeros([3 * width])
        result.pointer.update(from: q.value.pointer, count: width)
        (result.pointer + 2 * width).update(from: v.value.pointer, count: width)
        let (qSlot, vSlot) = (q.slot, v.slot)
        return record(result, from: [q, v]) { dy in
            qSlot?.accumulateIntoZeros([width]) { Elementwise.addRow(dy.pointer, into: $0.pointer, count: width) }
            vSlot?.accumulateIntoZeros([width]) {
                Elementwise.addRow(dy.pointer + 2 * width, into: $0.pointer, count: width)
            }
        }
    }
}

extension Parameter {
    /// What the projection to q, k and v, frozen for a precision, shall put out: bfloat16 where that is multiplied faster
    /// than floats.
    package var attentionType: ElementType {
        inputType != .float32 && Machine.multipliesBFloat16 ? .bfloat16 : .float32
    }
}

extension AttentionBias {
    var variable: Variable? {
        switch self {
        case .none: nil
        case .dense(let bias): bias
        case .relative(let table, _, _): table
        }
    }
}

struct AttentionSize {
    let batch, tokens, heads, headWidth: Int
    var width: Int { heads * headWidth }
    var stride: Int { 3 * width }
    var scale: Float { 1 / Float(headWidth).squareRoot() }

    init(qkv shape: [Int], heads: Int) {
        precondition(shape.count == 3 && shape[2] % (3 * heads) == 0, "attention: qkv \(shape), \(heads) heads")
        (batch, tokens, self.heads, headWidth) = (shape[0], shape[1], heads, shape[2] / (3 * heads))
    }

    /// Tiles of queries whose scores stay in the second-level cache.
    var tiles: Int { max(1, (tokens + tileRows - 1) / tileRows) }
    private var tileRows: Int { min(128, max(16, 131_072 / tokens)) }
    func tile(_ index: Int) -> Range<Int> { Tiling.part(index, of: tiles, tokens) }
    var scoresWidth: Int { (tokens + 15) / 16 * 16 }
    var scoresCount: Int { ((tokens + tiles - 1) / tiles) * scoresWidth }

    /// Offset of the first query of one head; the keys are `width` further, the values twice that.
    func offset(image: Int, head: Int) -> Int { image * tokens * stride + head * headWidth }
    func outputOffset(image: Int, head: Int) -> Int { image * tokens * width + head * headWidth }
}

/// A bias as the kernels read it: head by head; a relative table with each of its rows reversed, so that the biases of
/// one query to a row of keys lie side by side.
struct BiasValues {
    let kind: Int32
    let gridHeight, gridWidth: Int
    /// Elements of one head.
    let count: Int
    private let values: Tensor?
    let slot: GradientSlot?

    init(_ bias: AttentionBias, _ size: AttentionSize) {
        switch bias {
        case .none:
            (kind, gridHeight, gridWidth, count, values, slot) = (0, 0, 0, 0, nil, nil)
        case .dense(let bias):
            precondition(bias.shape == [size.heads, size.tokens, size.tokens], "attention bias \(bias.shape)")
            (kind, gridHeight, gridWidth, count) = (1, 0, 0, size.tokens * size.tokens)
            (values, slot) = (bias.value, bias.slot)
        case .relative(let table, let height, let width):
            precondition(size.tokens == height * width + 1, "\(size.tokens) tokens, grid \(height)×\(width)")
            (kind, gridHeight, gridWidth, count) = (2, height, width, (2 * height - 1) * (2 * width - 1) + 3)
            precondition(table.shape == [count, size.heads], "bias table \(table.shape), not \([count, size.heads])")
            slot = table.slot
            values = BiasValues.byHead(table.value, width: 2 * width - 1)
        }
    }

    func head(_ index: Int) -> UnsafePointer<Float>? { values.map { UnsafePointer($0.pointer + index * count) } }

    /// The place in a reversed head table of row `row` of the parameter.
    private static func reversed(_ row: Int, width: Int, count: Int) -> Int {
        row >= count - 3 ? row : row / width * width + (width - 1 - row % width)
    }

    private static func byHead(_ table: Tensor, width: Int) -> Tensor {
        let (count, heads) = (table.shape[0], table.shape[1])
        let result = Tensor(uninitialized: [heads, count])
        let (from, to) = (table.pointer, result.pointer)
        for row in 0..<count {
            let place = reversed(row, width: width, count: count)
            for head in 0..<heads { to[head * count + place] = from[row * heads + head] }
        }
        return result
    }

    /// Adds the images' partial gradients `[B, H, count]` in order, in the parameter's own layout.
    func addGradient(_ partials: Tensor, _ size: AttentionSize) {
        guard let slot else { return }
        let (heads, each) = (size.heads, size.heads * count)
        for image in 1..<max(1, size.batch) {
            beitseg_add_into(partials.pointer + image * each, partials.pointer, each)
        }
        if kind == 1 { return slot.add(partials.rows(0..<1).reshaped([heads, size.tokens, size.tokens]).copy()) }
        slot.accumulateIntoZeros([count, heads]) { gradient in
            let (from, to) = (partials.pointer, gradient.pointer)
            for row in 0..<count {
                let place = BiasValues.reversed(row, width: 2 * gridWidth - 1, count: count)
                for head in 0..<heads { to[row * heads + head] += from[head * count + place] }
            }
        }
    }
}

/// The way forth: keys and values are packed once a head for the products of all tiles of queries; of floats, or of
/// bfloat16 with scores and sums in floats.
private struct PackedAttention {
    private let size: AttentionSize
    private let elementType: ElementType
    /// Queries × keysᵀ `[rows, N]` and scores × values `[rows, d]`.
    private let keys, values: Panels

    init(_ size: AttentionSize, _ elementType: ElementType) {
        (self.size, self.elementType) = (size, elementType)
        keys = Panels(inputs: size.headWidth, outputs: size.tokens, elementType: elementType)
        values = Panels(inputs: size.tokens, outputs: size.headWidth, elementType: elementType)
    }

    private var elementBytes: Int { elementType.byteCount ?? 4 }
    private var headBytes: Int { keys.byteCount + values.byteCount }

    func attend(_ qkv: Tensor, _ bias: BiasValues, _ y: Tensor) {
        let packed = Storage(byteCount: size.heads * headBytes)
        for image in 0..<size.batch {
            func queries(_ head: Int) -> UnsafeRawPointer {
                UnsafeRawPointer(qkv.address + size.offset(image: image, head: head) * elementBytes)
            }
            WorkerPool.current.run(size.heads) { head in
                pack(queries(head), into: packed.address + head * headBytes)
            }
            WorkerPool.current.run(size.heads * size.tiles) { task in
                let (head, tile) = task.quotientAndRemainder(dividingBy: size.tiles)
                let rows = size.tile(tile)
                let target = TileTarget(y).at(row: 0, column: size.outputOffset(image: image, head: head))
                attend(
                    queries(head) + rows.lowerBound * size.stride * elementBytes, packed.address + head * headBytes,
                    bias, head: head, rows, target.at(row: rows.lowerBound, column: 0))
            }
        }
    }

    private func pack(_ q: UnsafeRawPointer, into packed: UnsafeMutableRawPointer) {
        let width = size.width * elementBytes
        keys.pack(q + width, elementType, stride: size.stride, outputs: 0..<size.tokens, into: packed)
        values.pack(
            q + 2 * width, elementType, stride: size.stride, transposed: true, outputs: 0..<size.headWidth,
            into: packed + keys.byteCount)
    }

    /// One tile of queries `q` of one head.
    private func attend(
        _ q: UnsafeRawPointer, _ packed: UnsafeRawPointer, _ bias: BiasValues, head: Int, _ rows: Range<Int>,
        _ y: TileTarget
    ) {
        let (n, d, tokens) = (rows.count, size.headWidth, size.tokens)
        withScratch(n * (d + 2 * tokens + 1)) { out in
            let (inverses, p) = (out + n * d, out + n * (d + 1))
            keys.multiply(q, lda: size.stride, rows: n, packed, outputs: 0..<tokens, p, ldc: tokens)
            beitseg_attention_softmax(
                p, tokens, n, rows.lowerBound, tokens, size.scale, bias.kind, bias.head(head), bias.gridHeight,
                bias.gridWidth, 0, inverses)
            values.multiply(
                asElements(p, count: n * tokens, room: p + n * tokens), lda: tokens, rows: n, packed + keys.byteCount,
                outputs: 0..<d, out, ldc: d)
            // Dividing by the row's sum here touches d numbers a row instead of N.
            for row in 0..<n { scale(out + row * d, by: inverses[row], into: y.at(row: row, column: 0)) }
        }
    }

    /// `count` floats as elements of the products' type, in their own place or in `room`.
    private func asElements(
        _ p: UnsafeMutablePointer<Float>, count: Int, room: UnsafeMutablePointer<Float>
    ) -> UnsafeRawPointer {
        guard elementType == .bfloat16 else { return UnsafeRawPointer(p) }
        let elements = UnsafeMutableRawPointer(room).assumingMemoryBound(to: UInt16.self)
        beitseg_float_to_bf16(p, elements, count)
        return UnsafeRawPointer(elements)
    }

    private func scale(_ row: UnsafeMutablePointer<Float>, by factor: Float, into y: TileTarget) {
        if elementType == .float32 { return beitseg_axpby(factor, row, 0, y.floats, size.headWidth) }
        beitseg_axpby(factor, row, 0, row, size.headWidth)
        beitseg_float_to_bf16(row, y.bfloats, size.headWidth)
    }
}

/// Writes (or adds, unless `fresh`) ∂L/∂qkv; adds ∂L/∂bias of each image and head into `partials`.
private func attendBackward(
    _ qkv: Tensor, _ y: Tensor, _ dy: Tensor, _ size: AttentionSize, _ bias: BiasValues, _ dqkv: Tensor, fresh: Bool,
    _ partials: Tensor?
) {
    let engine = MatrixEngine.current
    WorkerPool.current.run(size.batch * size.heads) { task in
        withScratch(2 * size.scoresCount + size.tokens) { scratch in
            for tile in 0..<size.tiles {
                attendBackwardTile(
                    engine, qkv, y, dy, size, bias, dqkv, head: task, size.tile(tile), addsQueries: !fresh,
                    addsKeys: !fresh || tile > 0, partials.map { $0.pointer + task * bias.count }, scratch)
            }
        }
    }
}

/// The gradients from one tile of queries of one head of one image; those of keys and values add up over the tiles.
private func attendBackwardTile(
    _ engine: MatrixEngine, _ qkv: Tensor, _ y: Tensor, _ dy: Tensor, _ size: AttentionSize, _ bias: BiasValues,
    _ dqkv: Tensor, head index: Int, _ rows: Range<Int>, addsQueries: Bool, addsKeys: Bool,
    _ dbias: UnsafeMutablePointer<Float>?, _ scratch: UnsafeMutablePointer<Float>
) {
    let (tokens, d, width, stride, ld) = (size.tokens, size.headWidth, size.width, size.stride, size.scoresWidth)
    let (image, head) = (index / size.heads, index % size.heads)
    let (first, count) = (rows.lowerBound, rows.count)
    let at = size.offset(image: image, head: head)
    let (q, k, v) = (qkv.pointer + at + first * stride, qkv.pointer + at + width, qkv.pointer + at + 2 * width)
    let (dq, dk, dv) = (dqkv.pointer + at + first * stride, dqkv.pointer + at + width, dqkv.pointer + at + 2 * width)
    let (p, dp) = (scratch, scratch + size.scoresCount)
    let delta = dp + size.scoresCount
    let outAt = size.outputOffset(image: image, head: head) + first * width
    let (out, dout) = (y.pointer + outAt, dy.pointer + outAt)
    engine.multiply(m: count, n: tokens, k: d, q, lda: stride, k, ldb: stride, transposeB: true, p, ldc: ld)
    beitseg_attention_softmax(
        p, ld, count, first, tokens, size.scale, bias.kind, bias.head(head), bias.gridHeight, bias.gridWidth, 1, nil)
    for row in 0..<count { delta[row] = beitseg_dot(out + row * width, dout + row * width, d) }
    engine.multiply(m: count, n: tokens, k: d, dout, lda: width, v, ldb: stride, transposeB: true, dp, ldc: ld)
    beitseg_attention_softmax_backward(
        p, dp, ld, count, first, tokens, delta, size.scale, dbias == nil ? 0 : bias.kind, dbias, bias.gridHeight,
        bias.gridWidth)
    let beta: Float = addsKeys ? 1 : 0
    engine.multiply(m: count, n: d, k: tokens, dp, lda: ld, k, ldb: stride, beta: addsQueries ? 1 : 0, dq, ldc: stride)
    engine.multiply(
        m: tokens, n: d, k: count, dp, lda: ld, transposeA: true, q, ldb: stride, beta: beta, dk, ldc: stride)
    engine.multiply(
        m: tokens, n: d, k: count, p, lda: ld, transposeA: true, dout, ldb: width, beta: beta, dv, ldc: stride)
}
