import CBEiTImageShim

/// What to do with the samples of an image to see it.
struct SampleRange {
    /// Where black and white lie, for each band; nil for the colours of a palette.
    let bands: [Int]
    let ranges: [ClosedRange<Double>]?

    /// - Parameter again: opens the image once more, for the pass in which percentiles are counted.
    /// - Throws: ``ImageError`` for bands that are not there, and what reading throws.
    init(_ form: SampleForm, _ reading: ImageReading, path: String, again: () throws -> any SampleSource) throws {
        bands = try Self.bands(form, reading, path: path)
        // A palette's colours are the picture; its indices are, where somebody asks for that band.
        guard form.palette == nil || reading.bands != nil else {
            ranges = nil
            return
        }
        switch reading.range {
        case .full: ranges = bands.map { _ in form.full }
        case .auto where form.showsFull: ranges = bands.map { _ in form.full }
        case .between(let low, let high): ranges = bands.map { _ in low...high }
        case .auto, .percentile: ranges = try Self.percentiles(of: try again(), bands, form)
        }
    }

    private static func bands(_ form: SampleForm, _ reading: ImageReading, path: String) throws(ImageError) -> [Int] {
        guard let wanted = reading.bands else { return form.shownBands }
        if let absent = wanted.first(where: { $0 > form.bands }) {
            throw ImageError(path: path, .noBand(absent, of: form.bands))
        }
        return wanted.map { $0 - 1 }
    }

    /// Pixels that are looked at, about.
    private static let sample = 1 << 20

    /// The 2nd and 98th percentile of each band, by nearest rank, over every n-th pixel of every n-th row.
    private static func percentiles(
        of source: any SampleSource, _ bands: [Int], _ form: SampleForm
    ) throws -> [ClosedRange<Double>] {
        let delivered = try source.beginSamples(bands), (width, height) = (source.width, source.height)
        let layout = beitseg_sample_layout(delivered, of: bands)
        let places = Array([layout.places.0, layout.places.1, layout.places.2, layout.places.3][..<bands.count])
        let pixels = Double(width) * Double(height),
            step = max(1, Int((pixels / Double(sample)).squareRoot().rounded(.up)))
        let rowBytes = layout.stride * form.kind.size * width
        let rowsAtOnce = source.obstacle == nil ? 1 : height
        var values = [[Double]](repeating: [], count: bands.count)
        var scratch = [UInt8](repeating: 0, count: rowBytes * rowsAtOnce + 8)
        for first in stride(from: 0, to: height, by: rowsAtOnce) {
            try scratch.withUnsafeMutableBufferPointer { buffer in
                guard let rows = buffer.baseAddress else { return }
                try source.read(rows, rowBytes: rowBytes, count: rowsAtOnce)
                for row in 0..<rowsAtOnce where (first + row) % step == 0 {
                    let samples = UnsafeRawPointer(rows + row * rowBytes)
                    for (band, place) in places.enumerated() {
                        for x in stride(from: 0, to: width, by: step) {
                            let value = form.kind.value(samples, at: x * layout.stride + place)
                            if value.isFinite && value != form.missing { values[band].append(value) }
                        }
                    }
                }
            }
        }
        return values.map { range($0) ?? form.full }
    }

    /// Nil where there are no values. A band of one value is black.
    private static func range(_ values: [Double]) -> ClosedRange<Double>? {
        guard !values.isEmpty else { return nil }
        let sorted = values.sorted()
        let rank = { (share: Double) in
            min(max(Int((share * Double(sorted.count)).rounded(.up)) - 1, 0), sorted.count - 1)
        }
        let (low, high) = (sorted[rank(0.02)], sorted[rank(0.98)])
        return low < high ? low...high : low...low.nextUp + max(abs(low), 1)
    }
}

extension SampleForm.Kind {
    fileprivate func value(_ samples: UnsafeRawPointer, at index: Int) -> Double {
        switch self {
        case .uint8: Double(samples.load(fromByteOffset: index, as: UInt8.self))
        case .uint16: Double(samples.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
        case .float32: Double(samples.loadUnaligned(fromByteOffset: 4 * index, as: Float.self))
        case .float64: samples.loadUnaligned(fromByteOffset: 8 * index, as: Double.self)
        }
    }
}
