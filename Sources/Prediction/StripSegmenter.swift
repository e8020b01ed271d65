import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTOps
import BEiTTensorCore

/// Segments images larger than memory: reads rows, computes a row of windows, hands on what is certain, and forgets it.
///
/// Where windows overlap a pixel takes its class from the window in whose middle it lies more; nothing is averaged, so
/// that only classes, not logits, are kept across the image. Memory grows with the image's width alone.
struct StripSegmenter {
    /// Rows that are finished, from top to bottom.
    struct Strip: Sendable {
        var rows: Range<Int>
        var classes: [UInt16]
        /// Empty unless asked for.
        var confidence: [Float]
        /// RGB.
        var photo: ArraySlice<UInt8>
    }

    let network: WindowNetwork
    let options: InferenceOptions

    /// The windows along one side of the image, in its own pixels.
    struct Axis {
        /// Pixels of the image that a window covers.
        let window: Int
        let origins: [Int]
        /// Window i decides on the pixels from `cuts[i]` to `cuts[i + 1]`.
        let cuts: [Int]

        /// - Precondition: the image is at least as long as a window.
        init(_ length: Int, window: Int, stride: Int) {
            self.window = window
            let steps = (length - window + stride - 1) / stride
            let origins = (0...steps).map { min($0 * stride, length - window) }
            self.origins = origins
            cuts = [0] + zip(origins, origins.dropFirst()).map { ($0 + window + $1) / 2 } + [length]
        }
    }

    /// The rows and columns of windows for an image; nil for one smaller than a window, which needs no strips.
    func axes(width: Int, height: Int) -> (rows: Axis, columns: Axis)? {
        let side = Double(min(network.size.height, network.size.width))
        let factor: Double =
            switch options.resizing {
            case .toWindow, .none: 1
            case .shortSide(let pixels): Double(pixels) / Double(min(width, height))
            case .crop(let pixels): side / Double(pixels)
            }
        let window = [network.size.height, network.size.width].map { max(1, Int((Double($0) / factor).rounded())) }
        guard height >= window[0], width >= window[1] else { return nil }
        let stride = window.map { min($0, max(1, options.stride ?? (2 * $0 + 1) / 3)) }
        return (
            Axis(height, window: window[0], stride: stride[0]), Axis(width, window: window[1], stride: stride[1])
        )
    }

    /// Rows are read on a thread of their own while the network works on those before.
    ///
    /// - Parameter finished: receives strips from top to bottom. What it throws is thrown on.
    /// - Returns: false where a signal came before the end.
    /// - Throws: `FileError` and `ImageError` about the image.
    func segment(
        _ image: ImageRows, _ rows: Axis, _ columns: Axis, confidence: Bool, _ finished: (Strip) throws -> Void
    ) throws -> Bool {
        nonisolated(unsafe) let image = image  // read by the one loader alone
        let rowBytes = 3 * image.width
        let ends = rows.origins.map { $0 + rows.window }
        let loader = Prefetcher(0..<ends.count, ahead: 1, threads: 1) {
            try image.read(ends[$0] - ($0 == 0 ? 0 : ends[$0 - 1]))
        }
        var band: [UInt8] = []
        var top = 0
        for (index, origin) in rows.origins.enumerated() {
            guard Interruption.signal == nil, let next = try loader.next() else { return false }
            band.removeFirst((origin - top) * rowBytes)
            band += next
            top = origin
            let decided = rows.cuts[index]..<rows.cuts[index + 1]
            var strip = classify(
                band, width: rowBytes / 3, decided.shifted(by: -top), columns, confidence: confidence)
            strip.rows = decided
            strip.photo = band[(decided.lowerBound - top) * rowBytes..<(decided.upperBound - top) * rowBytes]
            try finished(strip)
        }
        return true
    }

    /// The rows `rows` of a band of the image that is as high as a window.
    private func classify(
        _ band: [UInt8], width: Int, _ rows: Range<Int>, _ columns: Axis, confidence: Bool
    ) -> Strip {
        let count = rows.count * width
        var strip = Strip(
            rows: rows, classes: [UInt16](repeating: 0, count: count),
            confidence: [Float](repeating: 0, count: confidence ? count : 0), photo: [])
        let batch = max(1, options.batch)
        for first in stride(from: 0, to: columns.origins.count, by: batch) {
            let part = first..<min(columns.origins.count, first + batch)
            let windows = part.map { window(band, width, columns.origins[$0], columns.window) }
            let views = (options.flips ? [false, true] : [false]).map { logits(windows, mirrored: $0) }
            for index in part {
                let decided = columns.cuts[index]..<columns.cuts[index + 1]
                decide(
                    views.map { $0[index - first] }, rows, decided.shifted(by: -columns.origins[index]), band, columns,
                    at: decided.lowerBound, width, &strip)
            }
        }
        return strip
    }

    private func window(_ band: [UInt8], _ width: Int, _ left: Int, _ columns: Int) -> RGBImage {
        let height = band.count / (3 * width)
        let pixels = [UInt8](unsafeUninitializedCapacity: 3 * columns * height) { pixels, count in
            for row in 0..<height {
                let from = 3 * (row * width + left)
                _ = pixels[(3 * columns * row)...].update(fromContentsOf: band[from..<from + 3 * columns])
            }
            count = 3 * columns * height
        }
        return RGBImage(width: columns, height: height, pixels: pixels)
            .resized(width: network.size.width, height: network.size.height, filter: .bilinear)
    }

    /// For each window its rows of logits `[w, K]`.
    private func logits(_ windows: [RGBImage], mirrored: Bool) -> [[Tensor]] {
        let size = network.size
        let pixels = Tensor(uninitialized: [windows.count, 3, size.height, size.width])
        for (index, window) in windows.enumerated() {
            network.scaling.write(
                mirrored ? window.flippedHorizontally() : window,
                to: pixels.pointer + index * 3 * size.height * size.width)
        }
        let logits = network.logits(pixels)
        let (height, width) = (logits.shape[1], logits.shape[2])
        let all = logits.reshaped([windows.count * height, width, network.classes])
        return windows.indices.map { index in
            (0..<height).map { row in
                let place = index * height + row
                let row = all.rows(place..<place + 1).reshaped([width, network.classes])
                if mirrored { Elementwise.reverseRows(row.pointer, width, network.classes) }
                return row
            }
        }
    }

    /// Writes the classes of some rows and columns of one window into the strip.
    private func decide(
        _ views: [[Tensor]], _ rows: Range<Int>, _ columns: Range<Int>, _ band: [UInt8], _ axis: Axis, at left: Int,
        _ width: Int, _ strip: inout Strip
    ) {
        let height = band.count / (3 * width)
        let passes = views.map { view in
            SegmentationOutput.Pass(
                rows: view, firstRow: 0, vertical: BilinearAxis(from: view.count, to: height),
                horizontal: BilinearAxis(from: view[0].shape[0], to: axis.window))
        }
        let output = SegmentationOutput(classes: network.classes, width: axis.window)
        let wantsConfidence = !strip.confidence.isEmpty
        var classes = [UInt16](repeating: 0, count: rows.count * axis.window)
        var confidence = [Float](repeating: 0, count: wantsConfidence ? classes.count : 0)
        classes.withUnsafeMutableBufferPointer { classes in
            confidence.withUnsafeMutableBufferPointer { confidence in
                guard let labels = classes.baseAddress else { return }
                output.classify(
                    passes, rows: rows, labels: labels, confidence: wantsConfidence ? confidence.baseAddress : nil)
            }
        }
        for row in 0..<rows.count {
            let (from, to) = (row * axis.window + columns.lowerBound, row * width + left)
            strip.classes.replaceSubrange(to..<to + columns.count, with: classes[from..<from + columns.count])
            guard wantsConfidence else { continue }
            strip.confidence.replaceSubrange(to..<to + columns.count, with: confidence[from..<from + columns.count])
        }
    }
}

extension Range<Int> {
    fileprivate func shifted(by offset: Int) -> Range<Int> { lowerBound + offset..<upperBound + offset }
}
