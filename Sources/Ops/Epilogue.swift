import BEiTTensorCore
import CBEiTKernels

/// What is done to a product before it leaves the cache: y = residual + keep ⊙ γ ⊙ activation(product + bias).
///
/// A value, so that an engine may take a part of it into its kernel; the rest is done on each tile.
struct Epilogue {
    /// `[outputs]`
    var bias: Tensor?
    /// Receives product + bias, `[rows, outputs]`, for the way back; of floats or of bfloat16.
    var saved: Tensor?
    var activation = Activation.none
    /// Layer scale γ, `[outputs]`.
    var gamma: Tensor?
    /// A factor for each row, `[rows]`.
    var keep: Tensor?
    /// `[rows, outputs]`
    var residual: Tensor?
    /// On the way back through a ReLU, with nothing else: its result, `[rows, outputs]`, of floats or of bfloat16. The
    /// product counts as 0 where that is not above 0.
    var mask: Tensor?
    /// With ``mask``: the product is added to what the result holds.
    var adds = false

    var isIdentity: Bool { isPlain && mask == nil }

    /// Whether there is nothing but a mask.
    private var isPlain: Bool {
        bias == nil && saved == nil && activation == .none && gamma == nil && keep == nil && residual == nil
    }

    /// Finishes a tile of the product.
    /// - Parameters:
    ///   - tile: the product's elements of these rows and columns; its rows are `stride` elements apart.
    ///   - target: where the first of them goes; may be the tile itself.
    func finish(
        _ tile: UnsafePointer<Float>, stride: Int, rows: Range<Int>, columns: Range<Int>, into target: TileTarget
    ) {
        if let mask { return finish(tile, stride: stride, rows, columns, mask, into: target) }
        let (row, column) = (rows.lowerBound, columns.lowerBound)
        let outputs = saved?.shape.last ?? residual?.shape.last ?? 0
        let at = row * outputs + column
        let (bias, gamma) = (bias.map { $0.pointer + column }, gamma.map { $0.pointer + column })
        let keep = keep.map { $0.pointer + row }
        if let product = self.saved, product.elementType == .bfloat16 {
            let (product, residual) = (product.bfloats + at, residual.map { $0.pointer + at })
            guard activation == .gelu else {
                return beitseg_residual_epilogue(
                    tile, stride, rows.count, columns.count, bias, product, gamma, keep, residual, target.floats,
                    target.stride)
            }
            return beitseg_gelu_epilogue(
                tile, stride, rows.count, columns.count, bias, product, target.bfloats, target.stride)
        }
        let (saved, residual) = (saved.map { $0.pointer + at }, residual.map { $0.pointer + at })
        switch target.elementType {
        case .bfloat16:
            precondition(saved == nil && keep == nil, "a product or rows kept beside a result of bfloat16")
            beitseg_linear_epilogue_bf16(
                tile, stride, target.bfloats, target.stride, rows.count, columns.count, bias, activation.rawValue,
                gamma, residual, outputs)
        default:
            beitseg_linear_epilogue(
                tile, stride, target.floats, target.stride, rows.count, columns.count, bias, saved, outputs,
                activation.rawValue, gamma, keep, residual, outputs)
        }
    }

    private func finish(
        _ tile: UnsafePointer<Float>, stride: Int, _ rows: Range<Int>, _ columns: Range<Int>, _ mask: Tensor,
        into target: TileTarget
    ) {
        precondition(isPlain && target.stride == mask.shape.last, "rows of \(target.stride) behind \(mask.shape)")
        let at = rows.lowerBound * target.stride + columns.lowerBound, add: Int32 = adds ? 1 : 0
        switch (mask.elementType, target.elementType) {
        case (.bfloat16, .bfloat16):
            precondition(!adds, "a sum of bfloat16")
            beitseg_masked_epilogue_to_bf16(
                tile, stride, rows.count, columns.count, mask.bfloats + at, target.bfloats, target.stride)
        case (.bfloat16, _):
            beitseg_masked_epilogue_bf16(
                tile, stride, rows.count, columns.count, mask.bfloats + at, add, target.floats, target.stride)
        default:
            beitseg_masked_epilogue(
                tile, stride, rows.count, columns.count, mask.pointer + at, add, target.floats, target.stride)
        }
    }
}

/// Where the elements of a tile go, floats or bfloat16: rows `stride` elements apart.
struct TileTarget {
    let address: UnsafeMutableRawPointer
    let elementType: ElementType
    let stride: Int

    init(_ floats: UnsafeMutablePointer<Float>, stride: Int) {
        self.init(UnsafeMutableRawPointer(floats), .float32, stride: stride)
    }

    /// The rows of a whole tensor, which must outlive it.
    init(_ tensor: Tensor) {
        self.init(tensor.address, tensor.elementType, stride: tensor.shape.last ?? 1)
    }

    private init(_ address: UnsafeMutableRawPointer, _ elementType: ElementType, stride: Int) {
        (self.address, self.elementType, self.stride) = (address, elementType, stride)
    }

    /// From another element on.
    func at(row: Int, column: Int) -> TileTarget {
        let offset = (row * stride + column) * (elementType.byteCount ?? 1)
        return TileTarget(address + offset, elementType, stride: stride)
    }

    var floats: UnsafeMutablePointer<Float> { address.assumingMemoryBound(to: Float.self) }
    var bfloats: UnsafeMutablePointer<UInt16> { address.assumingMemoryBound(to: UInt16.self) }
}
