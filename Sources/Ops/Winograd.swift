import BEiTTensorCore
import CBEiTKernels

/// The convolution with a 3×3 kernel, stride 1 and padding 1, in less arithmetic: F(4×4, 3×3) of Winograd (Lavin and Gray,
/// "Fast algorithms for convolutional neural networks", arXiv:1509.09308).
///
/// A tile of 4×4 results is Aᵀ[(G·g·Gᵀ) ⊙ (Bᵀ·d·B)]A of the kernel g and the 6×6 pixels d below it: 36 multiplications in
/// place of 144. Sums over the channels are taken of the products, so that they are 36 products of matrices, one row a
/// tile. G, B and A belong to the points 0, ±√½, ±√2 and ∞; with 768 channels the result is off by some 2e-6 of its
/// largest element, a fifth of what the points 0, ±1, ±2 and ∞ give.
///
/// The products may also be of transformed pixels and kernels that are rounded to bfloat16: of 768 channels the result is
/// then off by 0.7 to 1 % of its standard deviation, as the sum over nine taps is in bytes (0.2 % in bfloat16), and takes
/// half of the time of these.
///
/// The kernel in the form in which it multiplies has four times as many numbers. Of floats it is made for each call, which
/// takes a twentieth of the time for a map of 128×128 pixels; of bfloat16 it is kept.
final class WinogradConvolution: Sendable {
    /// From how many channels on either side, and tiles, it takes less time than the sum over nine taps.
    struct Bounds {
        let channels, tiles: Int
    }

    /// Lower for tests.
    @TaskLocal static var bounds = Bounds(channels: 64, tiles: 24)

    /// Pixels a side of a tile of results, and elements of the transformed tile.
    private static let side = 4, elements = 36
    /// Tiles whose transformed pixels are in memory at the same time.
    private static let blockHeight = 512
    /// Tiles and outputs of a task; its products stay in the cache until they are transformed back.
    private static let taskHeight = 64, taskWidth = 384

    private let inputs, outputs: Int
    /// What is multiplied: float32 or bfloat16.
    private let elementType: ElementType
    /// The 36 matrices of each task's outputs.
    private let groups: [[PackedMatrix]]

    /// - Parameters:
    ///   - kernel: `[out, in, 3, 3]`.
    ///   - type: of the products, float32 or bfloat16.
    init(_ kernel: Tensor, _ type: ElementType = .float32) {
        (outputs, inputs, elementType) = (kernel.shape[0], kernel.shape[1], type)
        let cut = Tiling(rows: 1, columns: outputs, width: Self.taskWidth)
        groups = (0..<cut.columnTiles).map { Self.transform(kernel.rows(cut.columnRange($0)), type) }
    }

    /// Whether it may pay for a kernel of this shape, and for a map `[B, H, W, in]` does.
    static func suits(_ kernel: [Int]) -> Bool {
        kernel[2] == 3 && kernel[3] == 3 && min(kernel[0], kernel[1]) >= bounds.channels
    }

    /// Whether a frozen kernel of this shape is kept in its form: where bfloat16 is fast it takes less time than bytes.
    static func serves(_ kernel: [Int], _ precision: Precision) -> Bool {
        precision != .fp32 && Machine.multipliesBFloat16 && suits(kernel)
    }

    static func pays(_ kernel: [Int], _ map: [Int]) -> Bool { suits(kernel) && TileGrid(map).count >= bounds.tiles }

    /// The matrices `[out, in]` of the 36 elements.
    private static func transform(_ kernel: Tensor, _ type: ElementType) -> [PackedMatrix] {
        let (outputs, inputs) = (kernel.shape[0], kernel.shape[1])
        let transformed = Tensor(uninitialized: [elements, outputs, inputs])
        WorkerPool.current.run(outputs) { output in
            beitseg_winograd_weight(
                kernel.pointer + output * inputs * 9, inputs, transformed.pointer + output * inputs, outputs * inputs)
        }
        var matrices = [PackedMatrix?](repeating: nil, count: elements)
        matrices.withUnsafeMutableBufferPointer { matrices in
            nonisolated(unsafe) let matrices = matrices
            WorkerPool.current.run(elements) { element in
                let matrix = transformed.rows(element..<element + 1).reshaped([outputs, inputs])
                matrices[element] = PackedMatrix(weight: matrix, type)
            }
        }
        return matrices.compactMap { $0 }
    }

    /// `[B, H, W, out]` from `[B, H, W, in]`.
    func convolve(_ map: Tensor, _ epilogue: Epilogue) -> Tensor {
        let grid = TileGrid(map.shape)
        precondition(grid.channels == inputs, "map \(map.shape) for \(inputs) channels")
        let result = Tensor(uninitialized: [grid.images, grid.height, grid.width, outputs])
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
            rows: tiles.count, columns: outputs, height: Self.taskHeight, width: Self.taskWidth)
        WorkerPool.current.run(tiling.count) { task in
            let (rows, columns) = tiling.tile(task), size = rows.count * columns.count
            withScratch(Self.elements * size) { sums in
                for (element, matrix) in groups[task / tiling.rowTiles].enumerated() {
                    let a = Operand(transformed, columns: inputs).from(element * tiles.count + rows.lowerBound)
                    matrix.multiply(a, rows: rows.count, into: sums + element * size)
                }
                for row in 0..<rows.count {
                    grid.finish(
                        tiles.lowerBound + rows.lowerBound + row, sums + row * columns.count, stride: size, columns,
                        epilogue, into: result)
                }
            }
        }
    }

    /// Bᵀ·d·B of each tile's pixels d, `[36, tiles, in]`.
    private func transformed(_ tiles: Range<Int>, of grid: TileGrid, _ map: Tensor) -> Tensor {
        let result = Tensor(uninitialized: [Self.elements, tiles.count, inputs], elementType)
        WorkerPool.current.run(tiles.count, grain: 8) { rows in
            for row in rows { grid.transform(tiles.lowerBound + row, of: map, into: result, row: row) }
        }
        return result
    }

    /// The tiles of 4×4 pixels of channels-last maps; the last ones of a row or column may reach beyond it.
    private struct TileGrid {
        let images, height, width, channels: Int
        private let rows, columns: Int
        private var side: Int { WinogradConvolution.side }

        init(_ shape: [Int]) {
            (images, height, width, channels) = (shape[0], shape[1], shape[2], shape[3])
            let side = WinogradConvolution.side
            (rows, columns) = ((height + side - 1) / side, (width + side - 1) / side)
        }

        var count: Int { images * rows * columns }

        private func origin(_ tile: Int) -> (image: Int, y: Int, x: Int) {
            let (row, column) = tile.quotientAndRemainder(dividingBy: columns)
            return (row / rows, row % rows * side, column * side)
        }

        /// Bᵀ·d·B, to a row of each of the 36 matrices in `result`, rounded to what that holds.
        func transform(_ tile: Int, of map: Tensor, into result: Tensor, row: Int) {
            let (image, y, x) = origin(tile)
            let pixels = map.pointer + image * height * width * channels
            let stride = result.shape[1] * channels
            if result.elementType == .bfloat16 {
                let to = result.bfloats + row * channels
                beitseg_winograd_input_bf16(pixels, height, width, channels, y - 1, x - 1, to, stride)
            } else {
                let to = result.pointer + row * channels
                beitseg_winograd_input(pixels, height, width, channels, y - 1, x - 1, to, stride)
            }
        }

        /// Aᵀ·m·A of the products m for some outputs, to its place.
        func finish(
            _ tile: Int, _ products: UnsafePointer<Float>, stride: Int, _ outputs: Range<Int>, _ epilogue: Epilogue,
            into result: Tensor
        ) {
            let (image, y, x) = origin(tile)
            let (channels, pixels) = (result.shape[3], min(side, width - x))
            withScratch(side * side * outputs.count) { square in
                beitseg_winograd_output(products, stride, outputs.count, square)
                for row in 0..<min(side, height - y) {
                    let pixel = (image * height + y + row) * width + x
                    epilogue.finish(
                        square + row * side * outputs.count, stride: outputs.count, rows: pixel..<pixel + pixels,
                        columns: outputs,
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
