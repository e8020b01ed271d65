import BEiTTensorCore
import CBEiTKernels

extension Tape {
    /// The largest value below each position of a window without padding: `[B, H, W, C]` to
    /// `[B, (H − kernel) / stride + 1, …, C]`. Among equals the first, row by row, takes the gradient.
    package func maxPool2d(_ x: Variable, kernel: Int, stride: Int) -> Variable {
        let pool = MaxPool(x.shape, kernel: kernel, stride: stride)
        let (input, slot) = (x.value, x.slot)
        return record(pool.forward(input), from: [x]) { dy in slot?.add(pool.backward(dy, input)) }
    }
}

private struct MaxPool {
    let input, output: [Int]
    let kernel, stride: Int

    init(_ shape: [Int], kernel: Int, stride: Int) {
        precondition(kernel > 0 && stride > 0 && shape.count == 4, "pooling \(shape) by \(kernel), stride \(stride)")
        precondition(shape[1] >= kernel && shape[2] >= kernel, "map \(shape) is smaller than its window \(kernel)")
        input = shape
        output = [shape[0], (shape[1] - kernel) / stride + 1, (shape[2] - kernel) / stride + 1, shape[3]]
        (self.kernel, self.stride) = (kernel, stride)
    }

    /// The first input element below the window of row `row` (of all images) and column `x`.
    private func corner(_ row: Int, _ x: Int) -> Int {
        let (image, y) = row.quotientAndRemainder(dividingBy: output[1])
        return ((image * input[1] + y * stride) * input[2] + x * stride) * input[3]
    }

    func forward(_ x: Tensor) -> Tensor {
        let y = Tensor(uninitialized: output)
        let (from, to, channels) = (x.pointer, y.pointer, input[3])
        WorkerPool.current.run(output[0] * output[1]) { row in
            for column in 0..<output[2] {
                beitseg_max_pool(
                    from + corner(row, column), kernel, input[2] * channels, channels,
                    to + (row * output[2] + column) * channels)
            }
        }
        return y
    }

    /// Whether each pixel is below one window.
    private var isPartition: Bool { stride == kernel && input[1] % kernel == 0 && input[2] % kernel == 0 }

    /// Windows may overlap: a task takes some channels of an image, which no other task writes.
    func backward(_ dy: Tensor, _ x: Tensor) -> Tensor {
        let adds = !isPartition
        let dx = adds ? Tensor.zeros(input) : Tensor(uninitialized: input)
        let (from, gradient, to, channels) = (x.pointer, dy.pointer, dx.pointer, input[3])
        let bands = (channels + 63) / 64
        WorkerPool.current.run(input[0] * bands) { task in
            let (image, band) = task.quotientAndRemainder(dividingBy: bands)
            let part = Tiling.part(band, of: bands, channels)
            for row in image * output[1]..<(image + 1) * output[1] {
                for column in 0..<output[2] {
                    let corner = corner(row, column) + part.lowerBound
                    beitseg_max_pool_backward(
                        from + corner, kernel, input[2] * channels, channels, part.count,
                        gradient + (row * output[2] + column) * channels + part.lowerBound, adds ? 1 : 0, to + corner)
                }
            }
        }
        return dx
    }
}
