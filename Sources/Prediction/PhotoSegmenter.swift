import BEiTImageIO
import BEiTOps
import BEiTTensorCore

/// The class of each pixel of a photo.
package struct Segmentation: Sendable {
    /// Of the photo, in pixels.
    package var width, height: Int
    /// Rows from top to bottom.
    package var classes: [UInt16]
    /// The probability of each pixel's class, 0…1; empty unless asked for.
    package var confidence: [Float]
    /// The mean of that probability; nil unless asked for.
    package var meanConfidence: Double?

    package init(width: Int, height: Int, classes: [UInt16], confidence: [Float]) {
        (self.width, self.height, self.classes, self.confidence) = (width, height, classes, confidence)
    }

    /// Pixels of each of `count` classes.
    package func areas(of count: Int) -> [Int] { ClassCounts(classes, of: count).pixels }
}

/// How sure a model is of a photo, over every ``PhotoSegmenter/sampled`` row of it.
struct Certainty {
    var pixels = 0
    /// Of the probabilities of the pixels' classes.
    var sum = 0.0
    /// Of the entropies of the pixels' probabilities, in nats; 0 unless asked for.
    var entropy = 0.0
    /// Pixels whose class has a probability below a half.
    var doubtful = 0
    /// Pixels that the mirror image or another size shows as another class; 0 unless asked for.
    var disagreeing = 0
    /// How often a window was compared with those before it where they overlap, and how often it shows another class there.
    var overlaps = 0, overlapsDisagreeing = 0

    static func += (one: inout Certainty, other: Certainty) {
        (one.pixels, one.sum, one.entropy) = (
            one.pixels + other.pixels, one.sum + other.sum, one.entropy + other.entropy
        )
        (one.doubtful, one.disagreeing) = (one.doubtful + other.doubtful, one.disagreeing + other.disagreeing)
        one.overlaps += other.overlaps
        one.overlapsDisagreeing += other.overlapsDisagreeing
    }

    /// A share of the pixels, or a mean over them; nil where there are none.
    func mean(_ value: Double) -> Double? { pixels > 0 ? value / Double(pixels) : nil }
}

/// Rows of a photo whose classes are found.
struct SegmentedStrip {
    var rows: Range<Int>
    var classes: [UInt16]
    /// Empty unless asked for.
    var confidence: [Float] = []
    /// Zeros unless asked for.
    var certainty = Certainty()
    /// `[rows, width, K]`.
    var probabilities: Tensor?

    var bytes: Int { 2 * classes.count + 4 * confidence.count + 4 * (probabilities?.count ?? 0) }
}

/// Segments photos of any size with a network of one size.
package struct PhotoSegmenter {
    /// What is wanted beside the classes.
    package struct Results: OptionSet, Sendable {
        package let rawValue: Int
        /// The probability of each pixel's class.
        package static let confidence = Results(rawValue: 1)
        /// Its mean over the photo.
        package static let meanConfidence = Results(rawValue: 2)
        /// Entropy and disagreement, with ``meanConfidence``.
        static let doubts = Results(rawValue: 8)
        /// The probabilities of all classes.
        static let probabilities = Results(rawValue: 4)

        package init(rawValue: Int) { self.rawValue = rawValue }
    }

    private let network: WindowNetwork
    private let options: InferenceOptions
    private let classes: ResultClasses?
    private let wide: Int
    /// Rows of the photo that are classified at once.
    static let strip = 16
    /// Pixels of a wide photo that are classified before they are handed on.
    private static let mostPixels = 8 << 20
    /// Of how many rows of a photo one counts in its mean confidence.
    static let sampled = SegmentationOutput.sampled

    /// - Parameter classes: what becomes of the model's classes; nil for nothing.
    package init(
        _ network: WindowNetwork, _ options: InferenceOptions = InferenceOptions(), classes: ResultClasses? = nil
    ) {
        self.init(network, options, classes: classes, wide: MapStream.wide)
    }

    /// - Parameter wide: see ``MapStream/wide``.
    init(_ network: WindowNetwork, _ options: InferenceOptions, classes: ResultClasses? = nil, wide: Int) {
        (self.network, self.options, self.classes, self.wide) = (network, options, classes, wide)
    }

    /// Segments a photo of any size.
    /// - Throws: ``NotFinite``.
    package func segment(_ photo: RGBImage, _ results: Results = []) throws -> Segmentation {
        try segment(PreparedPhoto(photo, PhotoPlan(network, options)), results)
    }

    /// - Throws: ``NotFinite``.
    package func segment(_ photo: PreparedPhoto, _ results: Results = []) throws -> Segmentation {
        var all = Segmentation(width: photo.width, height: photo.height, classes: [], confidence: [])
        all.classes.reserveCapacity(photo.width * photo.height)
        var certainty = Certainty()
        try segment(photo.input, results) { strip in
            all.classes += strip.classes
            all.confidence += strip.confidence
            certainty += strip.certainty
        }
        if results.contains(.meanConfidence) { all.meanConfidence = certainty.mean(certainty.sum) }
        return all
    }

    /// As ``segment(_:_:)``; `probabilities` receives those of all classes strip by strip: the rows of the photo, and
    /// `[rows, width, K]`.
    /// - Throws: ``NotFinite``, and what `probabilities` throws.
    package func segment(
        _ photo: PreparedPhoto, probabilities: (_ rows: Range<Int>, Tensor) throws -> Void
    ) throws -> Segmentation {
        var all = Segmentation(width: photo.width, height: photo.height, classes: [], confidence: [])
        try segment(photo.input, .probabilities) { strip in
            all.classes += strip.classes
            if let values = strip.probabilities { try probabilities(strip.rows, values) }
        }
        return all
    }

    /// Segments a photo strip by strip.
    ///
    /// - Parameters:
    ///   - progress: hears after some windows which share of them is done; what it throws ends the work.
    ///   - body: receives the strips from top to bottom.
    /// - Throws: ``NotFinite``, what `progress` and `body` throw; `FileError` and `ImageError` where the photo is read
    ///   meanwhile.
    func segment(
        _ photo: PhotoInput, _ results: Results, progress: @escaping (Double) throws -> Void = { _ in },
        _ body: (SegmentedStrip) throws -> Void
    ) throws {
        let all = photo.pictures.reduce(0) { $0 + $1.plan.windows } * (options.flips ? 2 : 1)
        var done = 0
        let passes = try photo.pictures.map { plan, rows in
            let stream = try MapStream(
                network, rows, plan, isAlsoMirrored: options.flips, batch: options.batch, wide: wide,
                overlaps: results.contains(.doubts) ? OverlapCheck(network, classes?.merging) : nil
            ) {
                done += $0
                try progress(Double(done) / Double(all))
            }
            return Pass(stream, photo, network.classifier)
        }
        var start = 0
        while start < photo.height {
            let rows = start..<end(of: passes, from: start, photo, results)
            var strip = try classify(passes, rows, width: photo.width, results)
            start = rows.upperBound
            if start == photo.height { for pass in passes { strip.certainty += pass.stream.certainty } }
            try body(strip)
        }
    }

    /// The end of a strip that begins at `start`.
    private func end(of passes: [Pass], from start: Int, _ photo: PhotoInput, _ results: Results) -> Int {
        let usual = min(photo.height, start + Self.strip)
        guard !results.contains(.probabilities), passes.contains(where: \.stream.isWide) else { return usual }
        let most = max(usual, min(photo.height, start + Self.mostPixels / photo.width))
        return passes.reduce(most) { min($0, $1.finalRows(from: start)) }
    }

    private func classify(
        _ passes: [Pass], _ rows: Range<Int>, width: Int, _ results: Results
    ) throws -> SegmentedStrip {
        let pixels = rows.count * width
        let wantsAll = results.contains(.confidence)
        let needed = wantsAll || results.contains(.meanConfidence)
        let confidence = Tensor(uninitialized: [needed ? pixels : 0])
        var doubts = [SegmentationOutput.Doubt](
            repeating: .init(), count: results.contains(.doubts) ? rows.count : 0)
        let probabilities =
            results.contains(.probabilities) ? Tensor(uninitialized: [rows.count, width, network.classes]) : nil
        let step = passes.contains(where: \.stream.isWide) ? SegmentationOutput.block : width
        let output = SegmentationOutput(classes: network.classes, width: width, merging: classes?.merging)
        let found = try [UInt16](unsafeUninitializedCapacity: pixels) { classes, count in
            guard let labels = classes.baseAddress else { return }
            for start in stride(from: 0, to: width, by: step) {
                let columns = start..<min(width, start + step)
                let parts = try passes.flatMap { try $0.parts(rows, columns) }
                doubts.withUnsafeMutableBufferPointer { doubts in
                    output.classify(
                        parts, rows: rows, columns: columns, labels: labels,
                        confidence: needed ? confidence.pointer : nil, every: wantsAll ? 1 : Self.sampled,
                        doubts: doubts.isEmpty ? nil : doubts.baseAddress, probabilities: probabilities?.pointer)
                }
            }
            count = pixels
        }
        var strip = SegmentedStrip(rows: rows, classes: found, probabilities: probabilities)
        if wantsAll { strip.confidence = confidence.values }
        classes?.choose(among: &strip)
        guard results.contains(.meanConfidence) else { return strip }
        for row in rows where row % Self.sampled == 0 {
            let start = (row - rows.lowerBound) * width
            let values = confidence.buffer[start..<start + width]
            strip.certainty.sum += values.reduce(0.0) { $0 + Double($1) }
            strip.certainty.doubtful += values.count { $0 < 0.5 }
            strip.certainty.pixels += width
        }
        for doubt in doubts {
            strip.certainty.entropy += doubt.entropy
            strip.certainty.disagreeing += doubt.disagreeing
        }
        return strip
    }

    /// Logits on their way up to the photo's size.
    private struct Pass {
        let stream: MapStream
        let classifier: ((Tensor) -> Tensor)?
        let vertical, horizontal: BilinearAxis

        init(_ stream: MapStream, _ photo: PhotoInput, _ classifier: ((Tensor) -> Tensor)?) {
            (self.stream, self.classifier) = (stream, classifier)
            vertical = BilinearAxis(from: stream.height, to: photo.height)
            horizontal = BilinearAxis(from: stream.width, to: photo.width)
        }

        /// The end of the photo's rows that need no more windows than row `start` does.
        func finalRows(from start: Int) -> Int {
            let end = stream.finalRows(with: vertical.sources(start..<start + 1).upperBound)
            return (start + 1..<vertical.outputs).first { vertical.sources($0..<$0 + 1).upperBound > end }
                ?? vertical.outputs
        }

        /// One for each view.
        func parts(_ rows: Range<Int>, _ columns: Range<Int>) throws -> [SegmentationOutput.Pass] {
            let source = vertical.sources(rows)
            // The last part takes all that is left, so that every window is computed.
            let first = horizontal.sources(columns).lowerBound
            let end = columns.upperBound < horizontal.outputs ? horizontal.sources(columns).upperBound : stream.width
            return try stream.part(source, first..<end).map {
                SegmentationOutput.Pass(
                    rows: try logits($0.rows), firstRow: source.lowerBound, firstColumn: $0.firstColumn,
                    vertical: vertical, horizontal: horizontal)
            }
        }

        /// Rows `[w, C]` of maps as logits `[w, K]`.
        private func logits(_ rows: [Tensor]) throws(NotFinite) -> [Tensor] {
            guard let classifier, let shape = rows.first?.shape else { return rows }
            let map = Tensor(uninitialized: [1, rows.count] + shape)
            for (row, values) in rows.enumerated() {
                (map.pointer + row * values.count).update(from: values.pointer, count: values.count)
            }
            let logits = classifier(map)
            guard Elementwise.isFinite(logits) else { throw NotFinite() }
            let all = logits.reshaped([rows.count * shape[0], logits.shape[3]])
            return rows.indices.map { all.rows($0 * shape[0]..<($0 + 1) * shape[0]) }
        }
    }
}
