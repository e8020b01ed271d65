import BEiTTensorCore

/// The type that inference multiplies in; sums are float32 or, of bytes, exact.
package enum Precision: String, Sendable, CaseIterable, Codable {
    case fp32, bf16, int8

    /// Why this machine does not compute with it; nil where it does.
    package var problem: String? {
        guard self == .bf16 else { return nil }
        return Machine.multipliesBFloat16 ? nil : "this processor does not multiply them faster; int8 or fp32 serve"
    }

    /// Of a last layer to class logits: not bytes, whose scales would depend on how its input is cut into parts.
    package var ofClassifiers: Precision { self == .int8 ? (Precision.bf16.problem == nil ? .bf16 : .fp32) : self }

    /// Packs a weight `[outputs, ...]`.
    /// - Parameter scales: of a weight that has been bytes before (``QuantizedMatrix/init(weight:scales:)``).
    func pack(_ weight: Tensor, scales: Tensor? = nil) -> any EngineMatrix {
        switch self {
        case .fp32: PackedMatrix(weight: weight)
        case .bf16: PackedMatrix(weight: weight, .bfloat16)
        case .int8: QuantizedMatrix(weight: weight, scales: scales) ?? PackedMatrix(weight: weight)
        }
    }
}
