import BEiTTensorCore
import CBEiTKernels

extension Tape {
    /// ``attention(_:heads:bias:)`` of training with products of bfloat16 numbers, of which `y` came; scores, softmax and
    /// sums are float32.
    func recordBFloats(
        _ y: Tensor, _ qkv: Variable, _ size: AttentionSize, _ biasVariable: Variable?, _ bias: BiasValues
    ) -> Variable {
        let (input, slot) = (qkv.value, qkv.slot)
        return record(y, from: [qkv, biasVariable]) { dy in
            let partials = bias.slot.map { _ in Tensor.zeros([size.batch, size.heads, bias.count]) }
            let dqkv = Tensor(uninitialized: input.shape, .bfloat16)
            WorkerPool.current.run(size.batch * size.heads) { head in
                BFloatHead(size, input, head).backward(
                    bias, y, dy, dqkv, dbias: partials.map { $0.pointer + head * bias.count })
            }
            slot?.add(dqkv)
            if let partials { bias.addGradient(partials, size) }
        }
    }
}

/// The way back of one head of one image. Its keys and values are packed once for all tiles of queries.
private struct BFloatHead {
    private let size: AttentionSize
    private let head, offset, outputOffset: Int
    private let q, k, v: UnsafeMutablePointer<UInt16>

    /// - Parameters:
    ///   - qkv: outlives it.
    ///   - index: counts over images.
    init(_ size: AttentionSize, _ qkv: Tensor, _ index: Int) {
        let image = index / size.heads
        head = index % size.heads
        (offset, outputOffset) = (
            size.offset(image: image, head: head), size.outputOffset(image: image, head: head)
        )
        self.size = size
        q = qkv.bfloats + offset
        (k, v) = (q + size.width, q + 2 * size.width)
    }

    private var d: Int { size.headWidth }
    private var tokens: Int { size.tokens }

    /// Writes the gradients of q, k and v; adds that of the bias into `dbias`.
    func backward(
        _ bias: BiasValues, _ y: Tensor, _ dy: Tensor, _ dqkv: Tensor, dbias: UnsafeMutablePointer<Float>?
    ) {
        let keys = packed(outputs: k), values = packed(outputs: v), keyTerms = packed(pairs: k, size.stride, tokens)
        let (count, scoresWidth) = (tokens * d, size.scoresWidth)
        withScratch(2 * count + 2 * size.scoresCount + size.tokens * (d + 1)) { dk in
            let dv = dk + count
            let p = dv + count
            let dp = p + size.scoresCount
            let delta = dp + size.scoresCount
            let dq = delta + size.tokens
            for tile in 0..<size.tiles {
                let rows = size.tile(tile)
                let n = rows.count
                let (query, at) = (q + rows.lowerBound * size.stride, outputOffset + rows.lowerBound * size.width)
                let (out, dout) = (y.bfloats + at, dy.bfloats + at)
                softmax(keys, bias, rows, p)
                for row in 0..<n { delta[row] = beitseg_dot_bf16(out + row * size.width, dout + row * size.width, d) }
                beitseg_bf16_product(dout, size.width, n, d, values.bfloats, tokens, dp, scoresWidth)
                beitseg_attention_softmax_backward(
                    p, dp, scoresWidth, n, rows.lowerBound, tokens, delta, size.scale, dbias == nil ? 0 : bias.kind,
                    dbias, bias.gridHeight, bias.gridWidth)
                let scores = Storage(count: n * tokens, .bfloat16)
                round(dp, scoresWidth, rows: n, columns: tokens, into: scores.bfloats, tokens)
                beitseg_bf16_product(scores.bfloats, tokens, n, tokens, keyTerms.bfloats, d, dq, d)
                withExtendedLifetime(scores) {}
                round(
                    dq, d, rows: n, columns: d, into: dqkv.bfloats + offset + rows.lowerBound * size.stride, size.stride
                )
                func add(
                    _ scores: UnsafePointer<Float>, _ x: UnsafePointer<UInt16>, _ stride: Int,
                    to sum: UnsafeMutablePointer<Float>
                ) {
                    PairedRows.multiply(
                        PairedRows(scores, stride: scoresWidth, rows: n, columns: tokens, .left),
                        PairedRows(x, stride: stride, rows: n, columns: d, .right), into: sum, stride: d, adds: tile > 0
                    )
                }
                add(dp, query, size.stride, to: dk)
                add(p, dout, size.width, to: dv)
            }
            let target = dqkv.bfloats + offset
            round(dk, d, rows: tokens, columns: d, into: target + size.width, size.stride)
            round(dv, d, rows: tokens, columns: d, into: target + 2 * size.width, size.stride)
        }
        withExtendedLifetime((keys, values, keyTerms)) {}
    }

    private func softmax(
        _ keys: Storage, _ bias: BiasValues, _ rows: Range<Int>, _ scores: UnsafeMutablePointer<Float>
    ) {
        let width = size.scoresWidth
        beitseg_bf16_product(
            q + rows.lowerBound * size.stride, size.stride, rows.count, d, keys.bfloats, tokens, scores, width)
        beitseg_attention_softmax(
            scores, width, rows.count, rows.lowerBound, tokens, size.scale, bias.kind, bias.head(head),
            bias.gridHeight, bias.gridWidth, 1, nil)
    }

    /// Keys or values as a weight: a row for each token.
    private func packed(outputs x: UnsafePointer<UInt16>) -> Storage {
        let result = Storage(count: beitseg_packed_bytes(tokens, d, 2) / 2, .bfloat16)
        beitseg_pack_bf16(x, size.stride, 0, tokens, d, result.bfloats)
        return result
    }

    /// Rows of queries, keys, values or gradients as the terms of sums.
    private func packed(pairs x: UnsafePointer<UInt16>, _ stride: Int, _ rows: Int) -> Storage {
        let panel = (rows + 1) / 2 * 2 * Int(beitseg_panel)
        let result = Storage(count: beitseg_packed_bytes(d, rows, 2) / 2, .bfloat16)
        beitseg_pack_pairs_bf16(x, stride, rows, d, Int(beitseg_panel), result.bfloats, panel)
        return result
    }

    private func round(
        _ from: UnsafePointer<Float>, _ stride: Int, rows: Int, columns: Int, into to: UnsafeMutablePointer<UInt16>,
        _ toStride: Int
    ) {
        for row in 0..<rows { beitseg_float_to_bf16(from + row * stride, to + row * toStride, columns) }
    }
}
