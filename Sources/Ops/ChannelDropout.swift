import BEiTTensorCore
import CBEiTKernels

extension Tape {
    /// Drops whole channels of an image with probability `rate` and divides the others by 1 − rate, in training; x
    /// `[B, H, W, C]`. The identity in inference.
    ///
    /// Source: Tompson et al., "Efficient object localization using convolutional networks", arXiv:1411.4280, §3.2.
    package func channelDropout(_ x: Variable, rate: Float) -> Variable {
        precondition(rate >= 0 && rate < 1 && x.shape.count == 4, "dropout rate \(rate) of a map \(x.shape)")
        guard isTraining, rate > 0 else { return x }
        let (images, channels, keep) = (x.shape[0], x.shape[3], 1 - rate)
        let factors = Tensor(
            (0..<images * channels).map { _ in generator.bernoulli(keep) ? 1 / keep : 0 }, [images, channels])
        let slot = x.slot
        return record(scaledChannels(x.value, factors), from: [x]) { slot?.add(scaledChannels($0, factors)) }
    }
}

/// Channel c of image b of x `[B, H, W, C]` times `factors[b, c]`.
private func scaledChannels(_ x: Tensor, _ factors: Tensor) -> Tensor {
    let (y, channels, pixels) = (Tensor(uninitialized: x.shape), x.shape[3], x.shape[1] * x.shape[2])
    WorkerPool.current.run(x.shape[0] * pixels, grain: Elementwise.rowGrain(channels)) { range in
        for pixel in range {
            let at = pixel * channels
            beitseg_multiply(
                x.pointer + at, factors.pointer + pixel / pixels * channels, y.pointer + at, channels)
        }
    }
    return y
}
