import BEiTFiles
import CBEiTImageShim

/// Samples of any depth as rows of 8-bit RGB.
final class SampleColors: RowSource {
    private let source: any SampleSource
    private let form: SampleForm
    private let scale: SampleScale
    private let bands: [Int]
    private var layout = beitseg_sample_layout()
    private var scratch: [UInt8] = [], mixed: [UInt8] = []

    /// - Parameters:
    ///   - bands: counted from 0: one for grey, three for RGB, four inks.
    ///   - ranges: the values of black and white of each band; nil: they are colours of a palette.
    init(_ source: any SampleSource, bands: [Int], ranges: [ClosedRange<Double>]?) {
        (self.source, form, self.bands) = (source, source.form, bands)
        scale = SampleScale(source.form, ranges)
    }

    var width: Int { source.width }
    var height: Int { source.height }
    var orientation: Orientation { source.orientation }
    var obstacle: String? { source.obstacle }

    func beginRGB(shrink: Int) throws -> Int {
        let delivered = try source.beginSamples(bands)
        layout = beitseg_sample_layout(delivered, of: bands)
        return 1
    }

    func read(_ rows: UnsafeMutablePointer<UInt8>, rowBytes: Int, count: Int) throws {
        let sampleBytes = layout.stride * form.kind.size * width, step = obstacle == nil ? 1 : max(count, 1)
        if scratch.isEmpty { scratch = [UInt8](repeating: 0, count: sampleBytes * step + 8) }
        if layout.outputs == 4 && mixed.isEmpty { mixed = [UInt8](repeating: 0, count: 4 * width) }
        for row in stride(from: 0, to: count, by: step) {
            try scratch.withUnsafeMutableBufferPointer { scratch in
                guard let samples = scratch.baseAddress else { return }
                try source.read(samples, rowBytes: sampleBytes, count: step)
                for part in 0..<step {
                    convert(samples + part * sampleBytes, to: rows + (row + part) * rowBytes)
                }
            }
        }
    }

    private func convert(_ samples: UnsafePointer<UInt8>, to row: UnsafeMutablePointer<UInt8>) {
        guard layout.outputs == 4 else { return scale.apply(samples, &layout, to: row, width: width) }
        mixed.withUnsafeMutableBufferPointer { inks in
            guard let inks = inks.baseAddress else { return }
            scale.apply(samples, &layout, to: inks, width: width)
            beitseg_mix_inks(inks, row, width, false)
        }
    }
}

extension beitseg_sample_layout {
    /// Of rows that hold `delivered`, for a picture of `bands`; one band is red, green and blue.
    init(_ delivered: [Int], of bands: [Int]) {
        self.init()
        stride = delivered.count
        let outputs = bands.count == 1 ? [bands[0], bands[0], bands[0]] : bands
        self.outputs = outputs.count
        let found = outputs.map { delivered.firstIndex(of: $0) ?? 0 }
        places = (found[0], found[1], found[2], found.count > 3 ? found[3] : 0)
    }
}

/// The byte of each value of a sample.
private struct SampleScale {
    /// A table for each output; empty for floating point.
    private let tables: [UInt8]
    private let low, factor: [Double]
    private let missing: Double
    private let type: beitseg_sample_type

    init(_ form: SampleForm, _ ranges: [ClosedRange<Double>]?) {
        let outputs = ranges.map { $0.count == 1 ? [$0[0], $0[0], $0[0]] : $0 }
        let isInverted = form.color == .inverted
        type = form.kind.type
        missing = form.missing ?? .nan
        low = (outputs ?? []).map { isInverted ? $0.upperBound : $0.lowerBound }
        factor = (outputs ?? []).map { 255 / ($0.upperBound - $0.lowerBound) * (isInverted ? -1 : 1) }
        let count = form.kind == .uint8 ? 256 : 1 << 16
        switch (form.kind, form.palette) {
        case (.float32, _), (.float64, _): tables = []
        case (_, let colors?) where outputs == nil:
            tables = [\RGBColor.red, \.green, \.blue].flatMap { part in
                (0..<count).map { $0 < colors.count ? colors[$0][keyPath: part] : 0 }
            }
        default:
            let (low, factor, missing) = (low, factor, missing)
            tables = low.indices.flatMap { output in
                (0..<count).map { Self.byte(Double($0), low[output], factor[output], missing) }
            }
        }
    }

    private static func byte(_ value: Double, _ low: Double, _ factor: Double, _ missing: Double) -> UInt8 {
        value == missing ? 0 : UInt8(min(max((value - low) * factor, 0), 255) + 0.5)
    }

    func apply(
        _ samples: UnsafePointer<UInt8>, _ layout: inout beitseg_sample_layout, to bytes: UnsafeMutablePointer<UInt8>,
        width: Int
    ) {
        if tables.isEmpty {
            beitseg_scale_samples(samples, type, &layout, low, factor, missing, bytes, width)
        } else {
            beitseg_map_samples(samples, type, &layout, tables, bytes, width)
        }
    }
}

/// The RGB of a decoder that knows nothing else, as three bands.
final class RGBSamples: SampleSource {
    private let source: any RowSource
    let form = SampleForm(bands: 3, kind: .uint8, color: .rgb, full: 0...255)

    init(_ source: any RowSource) { self.source = source }

    var width: Int { source.width }
    var height: Int { source.height }
    var orientation: Orientation { source.orientation }
    var obstacle: String? { source.obstacle }

    func beginSamples(_ bands: [Int]) throws -> [Int] {
        _ = try source.beginRGB(shrink: 1)
        return [0, 1, 2]
    }

    func read(_ rows: UnsafeMutablePointer<UInt8>, rowBytes: Int, count: Int) throws {
        try source.read(rows, rowBytes: rowBytes, count: count)
    }
}
