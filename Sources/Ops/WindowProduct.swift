import BEiTTensorCore
import CBEiTKernels

/// One product of a window's matrix with weights, whose rows go to the pixels of a lattice.
struct WindowProduct {
    let window: Window
    let weights: any EngineMatrix
    let lattice: Lattice

    /// Computes `products` over one map, which together write every pixel of `output`; of bfloat16 only where the lattice
    /// is dense.
    static func run(_ products: [WindowProduct], _ map: Tensor, _ epilogue: Epilogue, into output: Tensor) {
        let tiles = products.flatMap(\.tiles)
        // The phases of one kernel may take maps of different types: bytes need a multiple of four inputs.
        var maps: [ElementType: Tensor] = [:]
        for type in Set(products.map(\.weights.inputType)) { maps[type] = map.convertedMap(to: type) }
        WorkerPool.current.run(tiles.count) { [maps] index in
            let tile = tiles[index]
            tile.compute(maps[tile.product.weights.inputType] ?? map, epilogue, into: output)
        }
    }

    private static let tileElements = 128 << 10

    /// Tiles one after another share their weights.
    private var tiles: [Tile] {
        // What a tile reads, also where its rows are gathered, stays in the second-level cache.
        let height = min(512, max(48, WindowProduct.tileElements / max(1, window.columns)))
        let tiling = weights.tiling(rows: window.positions, height: height)
        guard window.positions > 0 else { return [] }
        // A kernel smaller than its stride leaves pixels untouched.
        let tiles = window.columns == 0 ? nil : weights.tiles(of: tiling)
        return (0..<tiling.count).map { Tile(product: self, tiles: tiles, tiling: tiling, index: $0) }
    }

    private struct Tile {
        let product: WindowProduct
        /// Nil where there is nothing to multiply.
        let tiles: (any TileProduct)?
        let tiling: Tiling
        let index: Int

        func compute(_ map: Tensor, _ epilogue: Epilogue, into output: Tensor) {
            let (window, lattice) = (product.window, product.lattice)
            let (positions, columns) = tiling.tile(index)
            let (chunk, rows, width) = (index / tiling.rowTiles, positions.count, columns.count)
            if lattice.isDense, let tiles {
                return withOperand(positions, map) {
                    tiles.run(chunk: chunk, positions, columns, $0, epilogue, into: TileTarget(output))
                }
            }
            withScratch(rows * width) { tile in
                if let tiles {
                    withOperand(positions, map) { tiles.run(chunk: chunk, rows: rows, $0, into: tile, stride: width) }
                } else {
                    tile.update(repeating: 0, count: rows * width)
                }
                if !epilogue.isIdentity {
                    epilogue.finish(
                        tile, stride: width, rows: positions, columns: columns, into: TileTarget(tile, stride: width))
                }
                lattice.scatter(tile, positions, of: window, columns: columns, into: output.pointer)
            }
        }

        /// Calls `body` with rows `positions` of the window's matrix.
        private func withOperand(_ positions: Range<Int>, _ map: Tensor, _ body: (Operand) -> Void) {
            let window = product.window
            if !window.isIdentity && product.weights.takesLines(of: window.lineLength) {
                window.withLines(positions, of: map) { body(Operand($0, on: map)) }
            } else {
                window.withRows(positions, of: map, body)
            }
        }
    }
}

extension Window {
    /// Calls `body` with rows `positions` of the matrix of a map of floats or bfloat16, where they are: nothing of them is
    /// copied but what is partly in the padding.
    func withLines(_ positions: Range<Int>, of map: Tensor, _ body: (Lines) -> Void) {
        let count = positions.count * kernelHeight, size = map.elementType.byteCount ?? 1
        let addresses = Storage(byteCount: count * MemoryLayout<UnsafeRawPointer?>.stride)
        let spare = Storage(byteCount: (count + 1) * lineLength * size)
        let lines = Lines(
            addresses: addresses.address.assumingMemoryBound(to: UnsafeRawPointer?.self), count: kernelHeight,
            length: lineLength)
        locate(positions, elementBytes: size, on: map.address, into: lines.addresses, spare: spare.address)
        withExtendedLifetime((addresses, spare)) { body(lines) }
    }

    /// Calls `body` with rows `positions` of the matrix, of the map's own type.
    func withRows(_ positions: Range<Int>, of map: Tensor, _ body: (Operand) -> Void) {
        if map.elementType == .float32 {
            return withRows(positions, of: map.pointer) { body(Operand($0, columns: columns)) }
        }
        let size = map.elementType.byteCount ?? 1
        let rows = isIdentity ? nil : Storage(byteCount: positions.count * columns * size)
        let start = rows.map { UnsafeRawPointer($0.address) }
        let address = start ?? UnsafeRawPointer(map.address + positions.lowerBound * columns * size)
        guard let quantization = map.quantization else {
            if let rows { gather(positions, elementBytes: size, from: map.address, into: rows.address) }
            return withExtendedLifetime(rows) { body(Operand(address, map.elementType, columns: columns)) }
        }
        // Images have scales of their own, and padding is their zero.
        let scales = Quantization(rows: positions.count)
        let each = gridHeight * gridWidth
        var first = positions.lowerBound
        while first < positions.upperBound {
            let image = first / each, end = min(positions.upperBound, (image + 1) * each)
            let (place, zero) = (first - positions.lowerBound, quantization.zeros[image])
            if let rows {
                gather(
                    first..<end, elementBytes: size, padding: UInt8(zero), from: map.address,
                    into: rows.address + place * columns * size)
            }
            (scales.scales + place).update(repeating: quantization.scales[image], count: end - first)
            (scales.zeros + place).update(repeating: zero, count: end - first)
            first = end
        }
        body(Operand(address, .uint8, columns: columns, scales: scales.scales, zeros: scales.zeros))
        withExtendedLifetime((rows, scales)) {}
    }

    /// Calls `body` with rows `positions` of the matrix of a map of floats: the map itself, or gathered from it.
    func withRows(
        _ positions: Range<Int>, of map: UnsafePointer<Float>, _ body: (UnsafePointer<Float>) -> Void
    ) {
        if isIdentity { return body(map + positions.lowerBound * channels) }
        let rows = Storage(byteCount: positions.count * columns * MemoryLayout<Float>.stride)
        gather(positions, elementBytes: MemoryLayout<Float>.stride, from: map, into: rows.address)
        withExtendedLifetime(rows) { body(rows.address.assumingMemoryBound(to: Float.self)) }
    }
}

/// Aᵀ·M for a matrix A `[positions, rows]` and the matrix M of a window: the gradient of a kernel, `[rows, kH·kW·b]`.
struct OuterProduct {
    let window: Window
    let rows: Int

    /// The columns of a window that is gathered as a whole; a wider one is taken row by row.
    private static let mostColumns = 384

    /// A task takes some rows of the result, the columns of the window or of one of its rows, and one share of the
    /// positions; the shares are added up in order. Both sides are of floats or of bfloat16.
    func run(_ a: Tensor, _ map: Tensor) -> Tensor {
        let engine = MatrixEngine.current
        let lines = window.columns > Self.mostColumns ? window.kernelHeight : 1
        let bands = max(1, (rows + 255) / 256)
        let parts = bands * lines
        let shares = max(1, min((24 + parts - 1) / parts, window.positions / 256))
        let size = rows * window.columns
        let sums = Tensor(uninitialized: [shares, rows, window.columns])
        WorkerPool.current.run(shares * parts) { task in
            let (share, part) = task.quotientAndRemainder(dividingBy: parts)
            let (line, band) = part.quotientAndRemainder(dividingBy: bands)
            add(
                engine, a, map, Tiling.part(share, of: shares, window.positions),
                Tiling.part(band, of: bands, rows), Tiling.part(line, of: lines, window.kernelHeight),
                sums.pointer + share * size)
        }
        let result = sums.pointer
        WorkerPool.current.run(size, grain: Elementwise.grain) { range in
            for share in 1..<shares {
                beitseg_add_into(
                    result + share * size + range.lowerBound, result + range.lowerBound, range.count)
            }
        }
        return sums.rows(0..<1).reshaped([rows, window.columns])
    }

    /// The sum of the products of all `positions`: rows `band` of `sums`, the columns of the window's rows `kernelRows`.
    private func add(
        _ engine: MatrixEngine, _ a: Tensor, _ map: Tensor, _ positions: Range<Int>, _ band: Range<Int>,
        _ kernelRows: Range<Int>, _ sums: UnsafeMutablePointer<Float>
    ) {
        let lines = window.rows(kernelRows), columns = lines.columns
        let c = sums + band.lowerBound * window.columns + kernelRows.lowerBound * window.lineLength
        for (index, part) in tiles(of: positions, columns: columns).enumerated() {
            let (first, adds) = (part.lowerBound * rows + band.lowerBound, index > 0)
            if a.elementType == .bfloat16 {
                PairedRows.multiply(
                    PairedRows(a.bfloats + first, stride: rows, rows: part.count, columns: band.count, .left),
                    PairedRows(lines, part, of: map), into: c, stride: window.columns,
                    adds: adds)
            } else {
                lines.withRows(part, of: map.pointer) { m in
                    engine.multiply(
                        m: band.count, n: columns, k: part.count, a.pointer + first, lda: rows, transposeA: true, m,
                        ldb: columns, beta: adds ? 1 : 0, c, ldc: window.columns)
                }
            }
        }
    }

    /// Parts of the positions whose rows, gathered or packed, stay in the second-level cache.
    private func tiles(of positions: Range<Int>, columns: Int) -> [Range<Int>] {
        let height = min(1024, max(96, (128 << 10) / columns))
        let tiles = Tiling(rows: positions.count, columns: 1, height: height).rowTiles
        return (0..<tiles).map {
            let part = Tiling.part($0, of: tiles, positions.count)
            return positions.lowerBound + part.lowerBound..<positions.lowerBound + part.upperBound
        }
    }
}
