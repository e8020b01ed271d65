import BEiTTensorCore
import CBEiTKernels

/// The form of a right-hand side `[outputs, inputs]` of floats or bfloat16 in which our own kernels multiply: panels of
/// ``panel`` outputs each.
struct Panels {
    let inputs, outputs: Int
    /// float32 or bfloat16; of the left-hand side too. Sums are floats.
    let elementType: ElementType

    /// Outputs of a panel.
    static let panel = Int(beitseg_panel)

    /// Of the packed form.
    var byteCount: Int { beitseg_packed_bytes(outputs, inputs, elementType.byteCount ?? 4) }

    /// Packs elements of ``elementType``, or floats.
    /// - Parameters:
    ///   - source: of `sourceType`; element (output, input) lies at `output·stride + input` or, with `transposed`, at
    ///     `input·stride + output`.
    ///   - outputs: begins with a whole panel.
    func pack(
        _ source: UnsafeRawPointer, _ sourceType: ElementType, stride: Int, transposed: Bool = false,
        outputs: Range<Int>, into packed: UnsafeMutableRawPointer
    ) {
        let target = packed + offset(of: outputs.lowerBound)
        let at = outputs.lowerBound * (transposed ? 1 : stride) * (sourceType.byteCount ?? 4)
        let (floats, halves) = (
            (source + at).assumingMemoryBound(to: Float.self), (source + at).assumingMemoryBound(to: UInt16.self)
        )
        let flag: Int32 = transposed ? 1 : 0
        switch (sourceType, elementType) {
        case (.float32, .float32):
            beitseg_pack_f32(
                floats, stride, flag, outputs.count, inputs, target.assumingMemoryBound(to: Float.self))
        case (.float32, .bfloat16):
            beitseg_pack_as_bf16(
                floats, stride, flag, outputs.count, inputs, target.assumingMemoryBound(to: UInt16.self))
        case (.bfloat16, .bfloat16):
            beitseg_pack_bf16(
                halves, stride, flag, outputs.count, inputs, target.assumingMemoryBound(to: UInt16.self))
        default: preconditionFailure("\(sourceType) in panels of \(elementType)")
        }
    }

    /// Whether left-hand sides may lie in lines of this length: bfloat16 numbers are multiplied in pairs.
    func takesLines(of length: Int) -> Bool { elementType == .float32 || length % 2 == 0 }

    /// C = A·Wᵀ on the calling thread; each sum adds up in the order of the inputs, whatever rows and outputs are
    /// computed at a time.
    /// - Parameters:
    ///   - a: `[rows, inputs]` of ``elementType``.
    ///   - outputs: begins with a whole panel.
    ///   - c: `[rows, outputs]`, its rows `ldc` elements apart.
    func multiply(
        _ a: Operand, rows: Int, _ packed: UnsafeRawPointer, outputs: Range<Int>, _ c: UnsafeMutablePointer<Float>,
        ldc: Int
    ) {
        guard let lines = a.lines else {
            return multiply(a.address, lda: a.columns, rows: rows, packed, outputs: outputs, c, ldc: ldc)
        }
        precondition(lines.count * lines.length == inputs, "\(lines.count) lines for \(inputs) inputs")
        let panels = packed + offset(of: outputs.lowerBound)
        switch elementType {
        case .bfloat16:
            beitseg_bf16_line_product(
                lines.addresses, lines.count, lines.length, rows, panels.assumingMemoryBound(to: UInt16.self),
                outputs.count, c, ldc)
        default:
            beitseg_f32_line_product(
                lines.addresses, lines.count, lines.length, rows, panels.assumingMemoryBound(to: Float.self),
                outputs.count, c, ldc)
        }
    }

    /// The same of dense rows `lda` elements apart.
    func multiply(
        _ a: UnsafeRawPointer, lda: Int, rows: Int, _ packed: UnsafeRawPointer, outputs: Range<Int>,
        _ c: UnsafeMutablePointer<Float>, ldc: Int
    ) {
        let panels = packed + offset(of: outputs.lowerBound)
        switch elementType {
        case .bfloat16:
            beitseg_bf16_product(
                a.assumingMemoryBound(to: UInt16.self), lda, rows, inputs, panels.assumingMemoryBound(to: UInt16.self),
                outputs.count, c, ldc)
        default:
            beitseg_f32_product(
                a.assumingMemoryBound(to: Float.self), lda, rows, inputs, panels.assumingMemoryBound(to: Float.self),
                outputs.count, c, ldc)
        }
    }

    private func offset(of output: Int) -> Int {
        precondition(output % Self.panel == 0, "output \(output) begins no panel")
        return beitseg_packed_bytes(output, inputs, elementType.byteCount ?? 4)
    }
}
