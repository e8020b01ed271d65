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
}
