import BEiTTensorCore
import CBEiTKernels

extension Tensor {
    /// The same numbers in another type: float32, bfloat16 (rounded to nearest even), or bytes of which each row of the
    /// last axis has its own scale and zero point. The tensor itself where that is its type.
    func converted(to type: ElementType) -> Tensor {
        if type == elementType { return self }
        switch (elementType, type) {
        case (.float32, .bfloat16):
            return converted(Tensor(uninitialized: shape, type)) { result, range in
                beitseg_float_to_bf16(pointer + range.lowerBound, result.bfloats + range.lowerBound, range.count)
            }
        case (.bfloat16, .float32):
            return converted(Tensor(uninitialized: shape, type)) { result, range in
                beitseg_bf16_to_float(bfloats + range.lowerBound, result.pointer + range.lowerBound, range.count)
            }
        case (.float32, .uint8), (.bfloat16, .uint8):
            return quantizedRows()
        default:
            preconditionFailure("\(elementType) to \(type)")
        }
    }

    private func converted(_ result: Tensor, _ convert: (Tensor, Range<Int>) -> Void) -> Tensor {
        WorkerPool.current.run(count, grain: Elementwise.grain) { convert(result, $0) }
        return result
    }

    private func quantizedRows() -> Tensor {
        let result = Tensor(quantized: shape)
        guard let columns = shape.last, columns > 0, let quantization = result.quantization else { return result }
        WorkerPool.current.run(count / columns, grain: max(1, Elementwise.grain / columns)) {
            let (row, rows, at) = ($0.lowerBound, $0.count, $0.lowerBound * columns)
            let (scales, zeros) = (quantization.scales + row, quantization.zeros + row)
            if elementType == .float32 {
                beitseg_quantize_rows(pointer + at, columns, rows, columns, result.bytes + at, columns, scales, zeros)
            } else {
                beitseg_quantize_rows_bf16(
                    bfloats + at, columns, rows, columns, result.bytes + at, columns, scales, zeros)
            }
        }
        return result
    }

    /// A map `[B, H, W, C]` of floats in another type; bytes have a scale and a zero point for each image.
    func convertedMap(to type: ElementType) -> Tensor {
        if type != .uint8 || elementType == .uint8 { return converted(to: type) }
        let result = Tensor(quantized: shape, rows: shape[0])
        guard let quantization = result.quantization else { return result }
        let each = count / max(1, shape[0])
        let slices = (each + Elementwise.grain - 1) / Elementwise.grain
        let ranges = Tensor(uninitialized: [shape[0], slices, 2])
        func forEachSlice(_ body: (_ image: Int, _ slice: Int, _ at: Int, _ count: Int) -> Void) {
            WorkerPool.current.run(shape[0] * slices) {
                let (image, slice) = $0.quotientAndRemainder(dividingBy: slices)
                let first = slice * Elementwise.grain
                body(image, slice, image * each + first, min(Elementwise.grain, each - first))
            }
        }
        forEachSlice { image, slice, at, count in
            let range = ranges.pointer + (image * slices + slice) * 2
            beitseg_range(pointer + at, count, range, range + 1)
        }
        for image in 0..<shape[0] {
            let part = ranges.pointer + image * slices * 2
            let low = (0..<slices).reduce(0) { min($0, part[2 * $1]) }
            let high = (0..<slices).reduce(0) { max($0, part[2 * $1 + 1]) }
            (quantization.scales[image], quantization.zeros[image]) = Quantization.covering(low...high)
        }
        forEachSlice { image, _, at, count in
            beitseg_quantize(
                pointer + at, count, quantization.scales[image], quantization.zeros[image], result.bytes + at)
        }
        return result
    }
}

extension Quantization {
    /// The scale and the zero point of bytes for numbers in a range that holds 0, as the kernels choose them.
    static func covering(_ range: ClosedRange<Float>) -> (scale: Float, zero: Int32) {
        let most = Float.greatestFiniteMagnitude / 2
        let (low, high) = (max(range.lowerBound, -most), min(range.upperBound, most))
        let step = (high - low) / 255
        let scale = step < .leastNormalMagnitude ? 1 : step
        return (scale, Int32((-low * (1 / scale)).rounded(.toNearestOrEven)))
    }
}
