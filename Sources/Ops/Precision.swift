import BEiTTensorCore

/// The type that inference multiplies in; sums are float32 or, of bytes, exact.
package enum Precision: String, Sendable, CaseIterable, Codable {
    case fp32, bf16, int8

    /// Packs a weight `[outputs, ...]`; nil where the engine in use multiplies it as it is.
    func pack(_ weight: Tensor) -> (any EngineMatrix)? {
        switch self {
        case .fp32: PackedMatrix(weight: weight)
        case .bf16: PackedMatrix(weight: weight, .bfloat16)
        case .int8: QuantizedMatrix(weight: weight) ?? PackedMatrix(weight: weight)
        }
    }
}
