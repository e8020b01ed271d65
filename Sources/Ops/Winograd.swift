import BEiTTensorCore
import CBEiTKernels

/// A convolution in less arithmetic, by Winograd's minimal filtering (Lavin and Gray, "Fast algorithms for convolutional
/// neural networks", arXiv:1509.09308).
///
/// A tile of results is Aᵀ[(G·g·Gᵀ) ⊙ (Bᵀ·d·B)]A of the kernel g and the pixels d below it. Sums over the channels are taken
/// of the products, so that they are products of matrices, one for each element of the transformed tile, one row a tile.
/// - ``Form/same``: the kernel 3×3 with stride 1 and padding 1 as F(4×4, 3×3), 36 multiplications in place of 144. G, B and
///   A belong to the points 0, ±√½, ±√2 and ∞; with 768 channels the result is off by some 2e-6 of its largest element, a
///   fifth of what the points 0, ±1, ±2 and ∞ give.
/// - ``Form/doubled``: the transposed convolution with a kernel 4×4, stride 2 and padding 1. Its four phases are convolutions
///   with 2×2 taps of the same tiles, F(3×3, 2×2) on the points 0, ±1 and ∞: 64 multiplications in place of 144, for 36 results.
///
/// The products of ``Form/same`` may also be of transformed pixels and kernels that are rounded to bfloat16: of 768 channels
/// the result is then off by 0.7 to 1 % of its standard deviation, as the sum over nine taps is in bytes (0.2 % in bfloat16),
/// and takes half of the time of these.
///
/// The kernel in the form in which it multiplies has four times as many numbers. For ``Form/same`` in floats it is made for
/// each call, which takes a twentieth of the time for a map of 128×128 pixels; else it is kept.
final class WinogradConvolution: Sendable {
    enum Form {
        case same, doubled

        /// Pixels of the map from one tile to the next.
        var step: Int { self == .same ? 4 : 3 }
        /// Elements of a transformed tile.
        var elements: Int { self == .same ? 36 : 16 }
        /// Results a side of a tile.
        var side: Int { self == .same ? 4 : 6 }
        /// The first tile's first result: phases that see a pixel before theirs begin outside.
        var start: Int { self == .same ? 0 : -1 }
        /// Results for a pixel of the map, in each direction, and in all.
        var scale: Int { side / step }
        var phases: Int { scale * scale }
    }

    /// From how many channels on either side, and tiles, ``Form/same`` takes less time than the sum over nine taps.
    struct Bounds {
        let channels, tiles: Int
    }

    /// Lower for tests.
    @TaskLocal static var bounds = Bounds(channels: 64, tiles: 24)

    /// Tiles whose transformed pixels are in memory at the same time.
    private static let blockHeight = 512
    /// Tiles and columns of a task; its products stay in the cache until they are transformed back.
    private static let taskHeight = 64, taskWidth = 384

    private let form: Form
    private let inputs, outputs: Int
    /// What is multiplied: float32 or bfloat16.
    private let elementType: ElementType
    /// The matrices of each task's outputs.
    private let groups: [PackedMatrix]

    /// - Parameters:
    ///   - kernel: `[out, in, 3, 3]`.
    ///   - type: of the products, float32 or bfloat16.
    convenience init(_ kernel: Tensor, _ type: ElementType = .float32) { self.init(.same, kernel, type) }

    /// - Parameter kernel: `[in, out, 4, 4]`.
    convenience init(transposed kernel: Tensor) {
        let (inputs, outputs, taps) = (kernel.shape[0], kernel.shape[1], 16)
        let outputMajor = Tensor(uninitialized: [outputs, inputs, 4, 4])
        for output in 0..<outputs {
            for input in 0..<inputs {
                (outputMajor.pointer + (output * inputs + input) * taps)
                    .update(from: kernel.pointer + (input * outputs + output) * taps, count: taps)
            }
        }
        self.init(.doubled, outputMajor, .float32)
    }

    /// - Parameter kernel: `[out, in, k, k]`.
    private init(_ form: Form, _ kernel: Tensor, _ type: ElementType) {
        (self.form, outputs, inputs, elementType) = (form, kernel.shape[0], kernel.shape[1], type)
        let cut = Tiling(rows: 1, columns: outputs, width: Self.taskWidth / form.phases)
        groups = (0..<cut.columnTiles).map { Self.transform(form, kernel.rows(cut.columnRange($0)), type) }
    }

    /// Whether it may pay for a kernel of this shape, and for a map `[B, H, W, in]` does.
    static func suits(_ kernel: [Int]) -> Bool {
        kernel[2] == 3 && kernel[3] == 3 && min(kernel[0], kernel[1]) >= bounds.channels
    }

    /// Whether a frozen kernel of this shape is kept in its form: where bfloat16 is fast it takes less time than bytes.
    static func serves(_ kernel: [Int], _ precision: Precision) -> Bool {
        precision != .fp32 && Machine.multipliesBFloat16 && suits(kernel)
    }

    /// Whether a frozen kernel `[in, out, kH, kW]` of a transposed convolution is kept in its form: that must have enough
    /// channels to be worth the transforms, and not so many that the memory is worth more.
    static func serves(transposed kernel: [Int], stride: Int, padding: Int, _ precision: Precision) -> Bool {
        precision == .fp32 && kernel[2] == 4 && kernel[3] == 4 && stride == 2 && padding == 1
            && min(kernel[0], kernel[1]) >= 32 && kernel[0] * kernel[1] <= 128 * 64
    }

    static func pays(_ kernel: [Int], _ map: [Int]) -> Bool {
        suits(kernel) && TileGrid(.same, map).count >= bounds.tiles
    }

    /// The matrices of the elements below each other, each `[phases·out, in]` in whole panels.
    private static func transform(_ form: Form, _ kernel: Tensor, _ type: ElementType) -> PackedMatrix {
        let (outputs, inputs, taps) = (kernel.shape[0], kernel.shape[1], kernel.shape[2] * kernel.shape[3])
        let (rows, used) = (height(of: outputs, form), outputs * form.phases)
        let shape = [form.elements * rows, inputs]
        let transformed = rows == used ? Tensor(uninitialized: shape) : .zeros(shape)
        WorkerPool.current.run(outputs) { output in
            let (x, y) = (kernel.pointer + output * inputs * taps, transformed.pointer + output * inputs)
            switch form {
            case .same: beitseg_winograd_weight(x, inputs, y, rows * inputs)
            case .doubled: beitseg_winograd_fine_weight(x, inputs, y, rows * inputs, outputs * inputs)
            }
        }
        return PackedMatrix(weight: transformed, type)
    }

    /// Rows of an element's matrix of so many outputs.
    private static func height(of outputs: Int, _ form: Form) -> Int {
        (outputs * form.phases + Panels.panel - 1) / Panels.panel * Panels.panel
    }

    /// `[B, H, W, out]` from `[B, H, W, in]`, or `[B, 2·H, 2·W, out]`.
    func convolve(_ map: Tensor, _ epilogue: Epilogue) -> Tensor {
        let grid = TileGrid(form, map.shape)
        precondition(grid.channels == inputs, "map \(map.shape) for \(inputs) channels")
        let result = Tensor(
            uninitialized: [grid.images, form.scale * grid.height, form.scale * grid.width, outputs])
        let blocks = Tiling(rows: grid.count, columns: 1, height: Self.blockHeight)
        for block in 0..<blocks.rowTiles {
            convolve(blocks.tile(block).rows, of: grid, map, epilogue, into: result)
        }
        return result
    }

    private func convolve(
        _ tiles: Range<Int>, of grid: TileGrid, _ map: Tensor, _ epilogue: Epilogue, into result: Tensor
    ) {
        let transformed = transformed(tiles, of: grid, map)
        let tiling = Tiling(
            rows: tiles.count, columns: outputs, height: Self.taskHeight, width: Self.taskWidth / form.phases)
        WorkerPool.current.run(tiling.count) { task in
            let (rows, outputs) = tiling.tile(task)
            let (columns, height) = (outputs.count * form.phases, Self.height(of: outputs.count, form))
            let (matrix, size) = (groups[task / tiling.rowTiles], rows.count * columns)
            withScratch(form.elements * size) { sums in
                for element in 0..<form.elements {
                    let a = Operand(transformed, columns: inputs).from(element * tiles.count + rows.lowerBound)
                    let chosen = element * height..<element * height + columns
                    matrix.multiply(
                        a, rows: rows.count, outputs: chosen, into: sums + element * size, stride: chosen.count)
                }
                for row in 0..<rows.count {
                    grid.finish(
                        tiles.lowerBound + rows.lowerBound + row, sums + row * columns, stride: size, outputs,
                        epilogue, into: result)
                }
            }
        }
    }

    /// Bᵀ·d·B of each tile's pixels d, `[elements, tiles, in]`.
    private func transformed(_ tiles: Range<Int>, of grid: TileGrid, _ map: Tensor) -> Tensor {
        let result = Tensor(uninitialized: [form.elements, tiles.count, inputs], elementType)
        WorkerPool.current.run(tiles.count, grain: 8) { rows in
            for row in rows { grid.transform(tiles.lowerBound + row, of: map, into: result, row: row) }
        }
        return result
    }

    /// The tiles of channels-last maps; the results of the last ones of a row or column, and of the first ones of
    /// ``Form/doubled``, may reach beyond it.
    private struct TileGrid {
        let form: Form
        let images, height, width, channels: Int
        private let rows, columns: Int

        init(_ form: Form, _ shape: [Int]) {
            (self.form, images, height, width, channels) = (form, shape[0], shape[1], shape[2], shape[3])
            let count = { (pixels: Int) in (form.scale * pixels - form.start + form.side - 1) / form.side }
            (rows, columns) = (count(height), count(width))
        }

        var count: Int { images * rows * columns }

        /// The tile's row and column among those of its image.
        private func place(_ tile: Int) -> (image: Int, row: Int, column: Int) {
            let (row, column) = tile.quotientAndRemainder(dividingBy: columns)
            return (row / rows, row % rows, column)
        }

        /// Bᵀ·d·B, to a row of each of the matrices in `result`, rounded to what that holds.
        func transform(_ tile: Int, of map: Tensor, into result: Tensor, row: Int) {
            let place = place(tile)
            let pixels = map.pointer + place.image * height * width * channels
            let (top, left) = (place.row * form.step - 1, place.column * form.step - 1)
            let (at, stride) = (row * channels, result.shape[1] * channels)
            switch (form, result.elementType) {
            case (.same, .bfloat16):
                beitseg_winograd_input_bf16(
                    pixels, height, width, channels, top, left, result.bfloats + at, stride)
            case (.same, _):
                beitseg_winograd_input(pixels, height, width, channels, top, left, result.pointer + at, stride)
            case (.doubled, _):
                beitseg_winograd_fine_input(pixels, height, width, channels, top, left, result.pointer + at, stride)
            }
        }

        /// Aᵀ·m·A of the products m for some outputs, to its place.
        func finish(
            _ tile: Int, _ products: UnsafePointer<Float>, stride: Int, _ outputs: Range<Int>, _ epilogue: Epilogue,
            into result: Tensor
        ) {
            let (place, side, channels) = (place(tile), form.side, result.shape[3])
            let (height, width) = (result.shape[1], result.shape[2])
            let (top, left) = (place.row * side + form.start, place.column * side + form.start)
            let (y, x) = (max(0, top)..<min(height, top + side), max(0, left)..<min(width, left + side))
            withScratch(side * side * outputs.count) { square in
                switch form {
                case .same: beitseg_winograd_output(products, stride, outputs.count, square)
                case .doubled: beitseg_winograd_fine_output(products, stride, outputs.count, square)
                }
                for row in y {
                    let pixel = (place.image * height + row) * width + x.lowerBound
                    epilogue.finish(
                        square + ((row - top) * side + x.lowerBound - left) * outputs.count, stride: outputs.count,
                        rows: pixel..<pixel + x.count, columns: outputs,
                        into: TileTarget(result.pointer + pixel * channels + outputs.lowerBound, stride: channels))
                }
            }
        }
    }
}

extension ConvolutionKernel {
    /// ``coarse(from:weights:_:as:)`` of a kernel `[a, b, kH, kW]` as it is.
    /// - Parameter inference: where it pays, in less arithmetic; learning stays with the sum over the taps.
    func coarse(
        from fine: Tensor, kernel: Tensor, inference: Bool, _ epilogue: Epilogue = Epilogue(),
        as type: ElementType = .float32
    ) -> Tensor {
        if inference, stride == 1, padding == 1, WinogradConvolution.pays(kernel.shape, fine.shape) {
            return WinogradConvolution(kernel).convolve(fine.converted(to: .float32), epilogue).converted(to: type)
        }
        return coarse(
            from: fine, weights: PackedMatrix(weight: coarseWeights(kernel), fine.elementType), epilogue, as: type)
    }
}
