import BEiTTensorCore

/// The type that products are computed in; sums are float32 or, of bytes, exact.
package enum Precision: String, Sendable, CaseIterable, Codable {
    case fp32, bf16, int8

    /// Why this machine does not compute with it; nil where it does.
    package var problem: String? {
        guard self == .bf16 else { return nil }
        return Machine.multipliesBFloat16 ? nil : "this processor does not multiply them faster; int8 or fp32 serve"
    }

    /// Why this machine does not learn with it; nil where it does.
    package var trainingProblem: String? {
        switch self {
        case .fp32: nil
        case .bf16: Machine.multipliesBFloat16 ? nil : "this processor does not multiply them faster than fp32"
        case .int8: "training computes in fp32 or bf16"
        }
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
