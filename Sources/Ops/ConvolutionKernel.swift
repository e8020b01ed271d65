import BEiTTensorCore
import CBEiTKernels

/// The weight of a convolution, `[a, b, kH, kW]`, as a linear map between channels-last maps, and that map's adjoint.
///
/// A convolution takes the fine map `[B, H, W, b]` to the coarse one `[B, h, w, a]`; a transposed convolution takes
/// the coarse one to the fine one; each is the other's gradient with respect to its input. So all four are one of two
/// products of a ``Window``'s matrix with weights, computed tile by tile in the cache:
/// - ``coarse(from:weights:_:as:)`` slides the kernel over the fine map;
/// - ``fine(from:weights:_:height:width:)``: the fine pixels whose (y + padding, x + padding) leave the same
///   remainders modulo `stride` see the same kernel taps, so they are a plain convolution of the coarse map with those
///   taps, mirrored (Shi et al., "Is the deconvolution layer the same as a convolutional layer?", arXiv:1609.07009).
struct ConvolutionKernel {
    let coarseChannels, fineChannels, height, width: Int
    let stride, padding: Int

    init(_ shape: [Int], stride: Int, padding: Int) {
        precondition(shape.count == 4 && stride > 0 && padding >= 0, "kernel \(shape) stride \(stride) pad \(padding)")
        (coarseChannels, fineChannels, height, width) = (shape[0], shape[1], shape[2], shape[3])
        (self.stride, self.padding) = (stride, padding)
    }

    private var taps: Int { height * width }

    /// The window over a fine map of this shape.
    private func window(over shape: [Int]) -> Window {
        precondition(shape.count == 4 && shape[3] == fineChannels, "map \(shape) for \(fineChannels) channels")
        let (h, w) = (shape[1] + 2 * padding - height, shape[2] + 2 * padding - width)
        precondition(h >= 0 && w >= 0, "map \(shape) is smaller than its kernel \(height)×\(width)")
        return Window(
            images: shape[0], height: shape[1], width: shape[2], channels: fineChannels, kernelHeight: height,
            kernelWidth: width, stride: stride, top: -padding, left: -padding, gridHeight: h / stride + 1,
            gridWidth: w / stride + 1)
    }

    // MARK: Fine to coarse

    /// The weights of ``coarse(from:weights:_:as:)``: `[a, kH·kW·b]`.
    func coarseWeights(_ weight: Tensor) -> Tensor {
        let result = Tensor(uninitialized: [coarseChannels, taps * fineChannels])
        let (from, to, b, taps) = (weight.pointer, result.pointer, fineChannels, taps)
        WorkerPool.current.run(coarseChannels) {
            beitseg_transpose(from + $0 * taps * b, b, taps, to + $0 * taps * b)
        }
        return result
    }

    /// `[B, h, w, a]` from `[B, H, W, b]`.
    /// - Parameter type: of the result, float32 or bfloat16.
    func coarse(
        from fine: Tensor, weights: any EngineMatrix, _ epilogue: Epilogue = Epilogue(), as type: ElementType = .float32
    ) -> Tensor {
        let window = window(over: fine.shape)
        let result = Tensor(uninitialized: [window.images, window.gridHeight, window.gridWidth, coarseChannels], type)
        let lattice = Lattice(
            height: window.gridHeight, width: window.gridWidth, channels: coarseChannels, step: 1, top: 0, left: 0)
        WindowProduct.run(
            [WindowProduct(window: window, weights: weights, lattice: lattice)], fine, epilogue, into: result)
        return result
    }

    // MARK: Coarse to fine

    /// The weights of ``fine(from:weights:_:height:width:)``: for each pair of remainders (y, x) modulo `stride`,
    /// x fastest, a matrix `[b, taps·a]` of the taps with these remainders in reversed order.
    func fineWeights(_ weight: Tensor) -> [Tensor] {
        let (a, b, taps) = (coarseChannels, fineChannels, taps)
        let tapMajor = Tensor(uninitialized: [b, taps, a])
        beitseg_transpose(weight.pointer, a, b * taps, tapMajor.pointer)
        return (0..<stride * stride).map { phase in
            let rows = phaseTaps(phase / stride, of: height), columns = phaseTaps(phase % stride, of: width)
            let chosen = rows.flatMap { row in columns.map { row * width + $0 } }
            let matrix = Tensor(uninitialized: [b, chosen.count * a])
            for output in 0..<b {
                for (index, tap) in chosen.enumerated() {
                    (matrix.pointer + (output * chosen.count + index) * a)
                        .update(from: tapMajor.pointer + (output * taps + tap) * a, count: a)
                }
            }
            return matrix
        }
    }

    /// `remainder`, `remainder + stride`, … below `size`, the last one first.
    private func phaseTaps(_ remainder: Int, of size: Int) -> [Int] {
        Swift.stride(from: remainder, to: size, by: stride).reversed()
    }

    /// The height and width of the fine map where none is left over: (n − 1)·stride − 2·padding + kernel.
    func fineSize(_ coarse: [Int]) -> (height: Int, width: Int) {
        let (h, w) = ((coarse[1] - 1) * stride - 2 * padding, (coarse[2] - 1) * stride - 2 * padding)
        precondition(h + height > 0 && w + width > 0, "nothing is left of map \(coarse) without the padding")
        return (h + height, w + width)
    }

    /// `[B, height, width, b]` from `[B, h, w, a]`.
    func fine(
        from coarse: Tensor, weights: [any EngineMatrix], _ epilogue: Epilogue = Epilogue(), height: Int, width: Int
    ) -> Tensor {
        let result = Tensor(uninitialized: [coarse.shape[0], height, width, fineChannels])
        fine(from: coarse, weights: weights, epilogue, into: result)
        return result
    }

    /// As ``fine(from:weights:_:height:width:)``, to a map `[B, height, width, b]`; what the epilogue takes of each pixel,
    /// and bfloat16, only with stride 1.
    func fine(from coarse: Tensor, weights: [any EngineMatrix], _ epilogue: Epilogue, into result: Tensor) {
        precondition(coarse.shape.count == 4 && coarse.shape[3] == coarseChannels, "map \(coarse.shape)")
        precondition(stride == 1 || epilogue.mask == nil, "pixels a stride apart back through a ReLU")
        let (height, width) = (result.shape[1], result.shape[2])
        let products = weights.enumerated().map { phase, matrix in
            let y = Phase(phase / stride, of: self, kernel: self.height, fine: height)
            let x = Phase(phase % stride, of: self, kernel: self.width, fine: width)
            return WindowProduct(
                window: Window(
                    images: coarse.shape[0], height: coarse.shape[1], width: coarse.shape[2], channels: coarseChannels,
                    kernelHeight: y.taps, kernelWidth: x.taps, stride: 1, top: y.start, left: x.start,
                    gridHeight: y.count, gridWidth: x.count),
                weights: matrix,
                lattice: Lattice(
                    height: height, width: width, channels: fineChannels, step: stride, top: y.first, left: x.first))
        }
        WindowProduct.run(products, coarse, epilogue, into: result)
    }

    /// One direction of the fine pixels that see the kernel taps of one remainder.
    private struct Phase {
        /// The first such pixel, and how many there are, a stride apart.
        let first, count: Int
        /// The number of taps, and the coarse pixel below the first of them at the first fine pixel.
        let taps, start: Int

        init(_ remainder: Int, of geometry: ConvolutionKernel, kernel: Int, fine: Int) {
            let (stride, padding) = (geometry.stride, geometry.padding)
            first = (remainder + padding * (stride - 1)) % stride  // ≡ remainder − padding
            count = max(0, (fine - first + stride - 1) / stride)
            taps = max(0, (kernel - remainder + stride - 1) / stride)
            start = (first + padding - remainder) / stride - taps + 1
        }
    }

    // MARK: Gradients of the parameters

    /// ∂L/∂weight `[a, b, kH, kW]`: for a convolution `coarse` is the result's gradient and `fine` its input, for a
    /// transposed convolution the other way round.
    func weightGradient(coarse: Tensor, fine: Tensor) -> Tensor {
        let window = window(over: fine.shape)
        precondition(window.positions * coarseChannels == coarse.count, "maps \(coarse.shape) and \(fine.shape)")
        let tapMajor = OuterProduct(window: window, rows: coarseChannels).run(coarse, fine)
        let result = Tensor(uninitialized: [coarseChannels, fineChannels, height, width])
        let (from, to, b, taps) = (tapMajor.pointer, result.pointer, fineChannels, taps)
        WorkerPool.current.run(coarseChannels) {
            beitseg_transpose(from + $0 * taps * b, taps, b, to + $0 * taps * b)
        }
        return result
    }
}
