import BEiTTensorCore

extension ByteStream {
    /// Reads a tensor, row by row, from a stream that stands at the beginning of its storage, block by block: beside
    /// `values` there is never more than a block in memory.
    /// - Precondition: `values` has as many elements as the tensor.
    mutating func read(
        _ layout: TensorLayout, _ decoder: ElementDecoder, into values: UnsafeMutableBufferPointer<Float>
    ) throws {
        precondition(values.count == layout.count, "\(values.count) places for \(layout.count) values")
        try skip(layout.offset * decoder.byteCount)
        if layout.isContiguous {
            try read(decoder, into: values)
        } else if layout.count > 0 {
            try scatter(layout, decoder, into: values)
        }
        try finish()
    }

    private mutating func read(_ decoder: ElementDecoder, into values: UnsafeMutableBufferPointer<Float>) throws {
        if decoder.isNative { return try read(into: UnsafeMutableRawBufferPointer(values)) }
        try blocks(of: values.count, decoder) { raw, elements in
            decoder.decode(raw, into: UnsafeMutableBufferPointer(rebasing: values[elements]))
        }
    }

    private mutating func scatter(
        _ layout: TensorLayout, _ decoder: ElementDecoder, into values: UnsafeMutableBufferPointer<Float>
    ) throws {
        var walk = layout.walk
        try blocks(of: layout.span, decoder) { raw, elements in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: elements.count) { block in
                decoder.decode(raw, into: block)
                while !walk.isDone, walk.source < elements.upperBound {
                    values[walk.target] = block[walk.source - elements.lowerBound]
                    walk.advance()
                }
            }
        }
    }

    /// Hands over `count` elements in blocks, as raw bytes and with their range.
    private mutating func blocks(
        of count: Int, _ decoder: ElementDecoder, _ body: (UnsafeRawBufferPointer, Range<Int>) throws -> Void
    ) throws {
        let most = min(count, 1 << 15)
        let raw = UnsafeMutableRawBufferPointer.allocate(byteCount: most * decoder.byteCount, alignment: 8)
        defer { raw.deallocate() }
        for start in stride(from: 0, to: count, by: max(most, 1)) {
            let elements = start..<min(start + most, count)
            let block = UnsafeMutableRawBufferPointer(rebasing: raw[..<(elements.count * decoder.byteCount)])
            try read(into: block)
            try body(UnsafeRawBufferPointer(block), elements)
        }
    }
}
