import BEiTTensorCore
import CBEiTKernels

extension Tape {
    /// The mean of (x − target)² over the rows of x `[..., D]` whose `mask` is true (all rows if nil): `[1]`.
    /// Without such a row, loss and gradient are 0.
    package func meanSquaredError(_ x: Variable, target: Tensor, mask: [Bool]? = nil) -> Variable {
        regression(x, target, mask, absolute: false)
    }

    /// The mean of |x − target|, as ``meanSquaredError(_:target:mask:)``.
    package func meanAbsoluteError(_ x: Variable, target: Tensor, mask: [Bool]? = nil) -> Variable {
        regression(x, target, mask, absolute: true)
    }

    private func regression(_ x: Variable, _ target: Tensor, _ mask: [Bool]?, absolute: Bool) -> Variable {
        let (value, rows) = (x.value, Rows(of: x.value))
        precondition(target.shape == value.shape, "target \(target.shape) for \(value.shape)")
        precondition(mask.map { $0.count == rows.count } ?? true, "a mask for another number of rows")
        let flags = mask.map { $0.map { UInt8($0 ? 1 : 0) } }
        let chosen = (flags?.reduce(0) { $0 + Int($1) } ?? rows.count) * rows.columns
        return rowLoss(x, factor: chosen > 0 ? 1 / Double(chosen) : 0) { range, scale, gradient, stride in
            let start = range.lowerBound * rows.columns
            func kernel(_ mask: UnsafePointer<UInt8>?) -> Double {
                beitseg_regression(
                    value.pointer + start, range.count, rows.columns, target.pointer + start, mask, absolute ? 1 : 0,
                    scale, gradient, stride)
            }
            return flags?[range].withUnsafeBufferPointer { kernel($0.baseAddress) } ?? kernel(nil)
        }
    }
}
