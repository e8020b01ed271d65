import BEiTDatasets
import BEiTImageIO
import BEiTTensorCore
import Testing

@testable import BEiTPrediction

/// A picture without order, the same in every run.
func noise(width: Int, height: Int, seed: UInt64 = 1) -> RGBImage {
    var generator = Philox(seed: seed)
    return RGBImage(
        width: width, height: height,
        pixels: (0..<3 * width * height).map { _ in UInt8(truncatingIfNeeded: generator.next()) })
}

/// Two logits per patch side: pixel sums, and something that depends on the place in the window.
/// - Parameter sharpness: a factor on the logits.
func patchwork(_ size: WindowSize, sharpness: Float = 1) -> WindowNetwork {
    let scaling = PixelScaling(mean: [0, 0, 0], std: [1, 1, 1])
    return WindowNetwork(size: size, classes: 3, scaling: scaling) { pixels in
        let (batch, rows, columns, cell) = (pixels.shape[0], 2 * size.rows, 2 * size.columns, size.patch / 2)
        var logits: [Float] = []
        for b in 0..<batch {
            for y in 0..<rows {
                for x in 0..<columns {
                    for c in 0..<3 {
                        var sum: Float = 0
                        for dy in 0..<cell {
                            for dx in 0..<cell {
                                let row = (b * 3 + c) * rows * cell + y * cell + dy
                                sum += pixels.pointer[row * columns * cell + x * cell + dx]
                            }
                        }
                        let place = Float(c * (y + 2 * min(x, columns - 1 - x)) % 5)
                        logits.append(sharpness * (sum + 0.3 * place))
                    }
                }
            }
        }
        return Tensor(logits, [batch, rows, columns, 3])
    }
}

@Suite struct WindowTests {
    private let size = WindowSize(patch: 16, rows: 14, columns: 14)

    @Test func windowsStepByTwoThirds() {
        let plan = WindowPlan(
            photoHeight: 1024, photoWidth: 512, WindowSize(patch: 16, rows: 32, columns: 32), InferenceOptions())
        #expect(plan.columns.origins == [0])
        #expect(plan.rows.count == 64 && plan.rows.origins == [0, 21, 32])  // 0, 341 and 512 pixels, in whole patches
    }

    @Test(arguments: [(200, 300), (301, 200), (1, 1), (224, 224), (5, 4000), (4000, 5), (1000, 1100)])
    func everyPatchIsCoveredAtTheRatio(_ height: Int, _ width: Int) {
        for resizing in [InferenceOptions.Resizing.toWindow, .shortSide(300), .none, .crop(100)] {
            var options = InferenceOptions()
            options.resizing = resizing
            options.stride = resizing == .none ? 90 : nil
            let plan = WindowPlan(photoHeight: height, photoWidth: width, size, options)
            for axis in [plan.rows, plan.columns] {
                #expect(axis.count >= axis.window && axis.origins.last == axis.count - axis.window)
                #expect((0..<axis.count).allSatisfy { axis.coverage[$0] > 0 })
            }
            if max(height, width) < 10 * min(height, width) {
                let ratio = Double(plan.width) / Double(plan.height) / (Double(width) / Double(height))
                #expect(abs(ratio - 1) < 16.0 / 224)
            } else {
                #expect(plan.width * plan.height < 80 << 20)
            }
        }
    }

    @Test func sizesFollowTheOptions() {
        func pixels(_ resizing: InferenceOptions.Resizing, scale: Double = 1) -> [Int] {
            var options = InferenceOptions()
            options.resizing = resizing
            let plan = WindowPlan(photoHeight: 400, photoWidth: 600, size, options, scale: scale)
            return [plan.height, plan.width]
        }
        #expect(pixels(.toWindow) == [224, 336])
        #expect(pixels(.toWindow, scale: 1.5) == [336, 512])
        #expect(pixels(.toWindow, scale: 0.5) == [224, 336])  // never less than a window
        #expect(pixels(.shortSide(320)) == [320, 480])
        #expect(pixels(.none) == [400, 608])
        #expect(pixels(.crop(112)) == [800, 1200])
    }

    /// Sums over all windows at once, divided by their number, against the stream.
    @Test(arguments: [false, true]) func overlappingLogitsAreAveraged(_ mirrored: Bool) throws {
        let size = WindowSize(patch: 4, rows: 3, columns: 2)
        let network = patchwork(size)
        var options = InferenceOptions()
        options.resizing = .none
        let plan = WindowPlan(photoHeight: 29, photoWidth: 27, size, options)
        #expect(plan.rows.origins == [0, 2, 4] && plan.columns.origins == [0, 1, 2, 3, 4, 5])
        let image = noise(width: plan.width, height: plan.height)
        let (height, width) = (plan.height / 2, plan.width / 2)
        var sums = [Float](repeating: 0, count: height * width * 3)
        var counts = [Float](repeating: 0, count: height * width)
        for top in plan.rows.origins {
            for left in plan.columns.origins {
                let window = image.cropped(x: left * 4, y: top * 4, width: 8, height: 12)
                let pixels = Tensor(uninitialized: [1, 3, 12, 8])
                network.scaling.write(mirrored ? window.flippedHorizontally() : window, to: pixels.pointer)
                let logits = network.maps(pixels)
                for y in 0..<6 {
                    for x in 0..<4 {
                        let place = (top * 2 + y) * width + left * 2 + x
                        counts[place] += 1
                        for c in 0..<3 {
                            sums[place * 3 + c] += logits.pointer[(y * 4 + (mirrored ? 3 - x : x)) * 3 + c]
                        }
                    }
                }
            }
        }
        let stream = try MapStream(network, WholePicture(image), plan, isAlsoMirrored: mirrored, batch: 4)
        #expect(stream.height == height && stream.width == width)
        var found: [Float] = []
        for start in stride(from: 0, to: height, by: 3) {
            let views = try stream.part(start..<min(height, start + 3), 0..<width)
            found += views[views.count - 1].rows.flatMap(\.values)
        }
        let wanted = sums.indices.map { sums[$0] / counts[$0 / 3] }
        #expect(found.count == wanted.count)
        #expect(zip(found, wanted).allSatisfy { abs($0 - $1) < 1e-4 })
    }

    @Test func aMirroredPhotoGivesTheMirroredMask() throws {
        let size = WindowSize(patch: 4, rows: 3, columns: 3)
        var options = InferenceOptions()
        (options.flips, options.scales) = (true, [1, 1.6])
        let photo = noise(width: 12, height: 21)
        let segmenter = PhotoSegmenter(patchwork(size), options)
        let plain = try segmenter.segment(photo, .confidence)
        let mirrored = try segmenter.segment(photo.flippedHorizontally(), .confidence)
        let back = (0..<21).flatMap { y in (0..<12).map { mirrored.classes[y * 12 + 11 - $0] } }
        #expect(plain.classes == back)
        #expect(Set(plain.classes).count == 3)
        #expect(plain.confidence.allSatisfy { $0 > 1 / 3.0 && $0 <= 1.0001 })
    }

    @Test func batchAndThreadsDoNotMatter() throws {
        let size = WindowSize(patch: 4, rows: 2, columns: 3)
        let photo = noise(width: 90, height: 40)
        let results = try [(1, 1), (2, 3), (5, 7)].map { threads, batch in
            var options = InferenceOptions()
            (options.resizing, options.batch) = (.shortSide(37), batch)
            return try WorkerPool.$scoped.withValue(WorkerPool(threads: threads)) {
                try PhotoSegmenter(patchwork(size), options).segment(photo, [.confidence, .meanConfidence])
            }
        }
        for result in results {
            #expect(result.classes == results[0].classes && result.confidence == results[0].confidence)
            #expect(result.meanConfidence == results[0].meanConfidence)
        }
    }

    @Test func theMeanConfidenceIsThatOfEveryEighthRow() throws {
        let size = WindowSize(patch: 4, rows: 2, columns: 3)
        let result = try PhotoSegmenter(patchwork(size)).segment(
            noise(width: 31, height: 150), [.confidence, .meanConfidence])
        let sampled = stride(from: 0, to: 150, by: 8).flatMap { result.confidence[31 * $0..<31 * $0 + 31] }
        #expect(sampled.count == 19 * 31)
        let mean = sampled.reduce(0.0) { $0 + Double($1) } / Double(sampled.count)
        #expect(abs(mean - (result.meanConfidence ?? 0)) < 1e-9)
        #expect(result.areas(of: 3).reduce(0, +) == 31 * 150)
    }

    /// A network whose logits are not finite where a pixel is white.
    @Test(arguments: [Float.nan, .infinity, -.infinity]) func logitsThatAreNotFiniteAreNoticed(_ value: Float) throws {
        let size = WindowSize(patch: 4, rows: 2, columns: 2)
        let scaling = PixelScaling(mean: [0, 0, 0], std: [1, 1, 1])
        let network = WindowNetwork(size: size, classes: 2, scaling: scaling) { pixels in
            let logits = Tensor.zeros([pixels.shape[0], 2, 2, 2])
            let isWhite = pixels.values.contains(1)
            if isWhite { logits.pointer[5] = value }
            return logits
        }
        var options = InferenceOptions()
        options.resizing = .none
        var photo = RGBImage(width: 40, height: 24, pixels: [UInt8](repeating: 9, count: 3 * 40 * 24))
        _ = try PhotoSegmenter(network, options).segment(photo)
        photo.pixels[3 * (20 * 40 + 35)] = 255
        #expect(throws: NotFinite.self) { try PhotoSegmenter(network, options).segment(photo) }
    }

    @Test func theModelsFilterResizesThePhoto() throws {
        let size = WindowSize(patch: 4, rows: 3, columns: 3)
        let photo = noise(width: 31, height: 40)
        for filter in ResizeFilter.allCases {
            var network = patchwork(size)
            network = WindowNetwork(
                size: size, classes: 3, scaling: network.scaling, filter: filter, logits: network.maps)
            let plan = WindowPlan(photoHeight: 40, photoWidth: 31, size, InferenceOptions())
            let resized = photo.resized(width: plan.width, height: plan.height, filter: filter)
            var prepared = PreparedPhoto(photo, PhotoPlan(network, InferenceOptions()))
            #expect(prepared.pictures[0].image == resized)
            prepared = PreparedPhoto(photo, PhotoPlan(patchwork(size), InferenceOptions()))
            #expect((prepared.pictures[0].image == resized) == (filter == .bilinear))
        }
    }

    @Test func progressCountsTheWindowsAndCanStop() throws {
        struct Enough: Error {}
        let size = WindowSize(patch: 4, rows: 2, columns: 2)
        var options = InferenceOptions()
        (options.resizing, options.scales, options.flips, options.batch) = (.none, [1, 2], true, 3)
        let photo = PreparedPhoto(noise(width: 40, height: 33), PhotoPlan(patchwork(size), options))
        let segmenter = PhotoSegmenter(patchwork(size), options)
        var shares: [Double] = []
        try segmenter.segment(photo.input, [], progress: { shares.append($0) }) { _ in }
        #expect(shares == shares.sorted() && shares.last == 1 && shares.count > 10)
        var calls = 0
        #expect(throws: Enough.self) {
            try segmenter.segment(
                photo.input, [],
                progress: { _ in
                    calls += 1
                    if calls == 3 { throw Enough() }
                }
            ) { _ in }
        }
        #expect(calls == 3)
    }
}
