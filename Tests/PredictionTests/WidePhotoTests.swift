import BEiTDatasets
import BEiTImageIO
import BEiTTensorCore
import Testing

@testable import BEiTPrediction

/// Photos that are too wide for whole rows of windows.
@Suite struct WidePhotoTests {
    private let network = patchwork(WindowSize(patch: 4, rows: 5, columns: 4))

    private static func options(_ change: (inout InferenceOptions) -> Void) -> InferenceOptions {
        var options = InferenceOptions()
        options.resizing = .none
        change(&options)
        return options
    }

    private static let all = [
        options { _ in },
        options { ($0.flips, $0.batch) = (true, 3) },
        options { ($0.scales, $0.flips) = ([1, 0.63, 1.7], true) },
        options { ($0.stride, $0.batch) = (4, 7) },
        options { $0.stride = 13 },
        options { $0.resizing = .crop(31) },
        options { $0.resizing = .shortSide(140) },
        options { ($0.resizing, $0.scales) = (.shortSide(21), [1, 5]) },
    ]

    @Test(arguments: all.indices) func partsGiveWhatWholeRowsGive(_ index: Int) throws {
        for (width, height) in [(1789, 131), (1100, 20), (1025, 67)] {
            let photo = noise(width: width, height: height)
            let whole = PhotoSegmenter(network, Self.all[index], wide: .max)
            let parted = PhotoSegmenter(network, Self.all[index], wide: 0)
            let results: PhotoSegmenter.Results = [.confidence, .meanConfidence]
            let (wanted, found) = (try whole.segment(photo, results), try parted.segment(photo, results))
            #expect(found.classes == wanted.classes && found.confidence == wanted.confidence)
            #expect(found.meanConfidence == wanted.meanConfidence)
            #expect(Set(wanted.classes).count == 3 && wanted.classes.count == width * height)
        }
    }

    @Test func allProbabilitiesComeInTheUsualStrips() throws {
        let photo = PreparedPhoto(noise(width: 1203, height: 150), PhotoPlan(network, Self.all[2]))
        let usual = stride(from: 0, to: 150, by: PhotoSegmenter.strip).map { $0..<min(150, $0 + PhotoSegmenter.strip) }
        let found = try [Int.max, 0].map { wide in
            var strips: [Range<Int>] = [], values: [Float] = []
            try PhotoSegmenter(network, Self.all[2], wide: wide).segment(photo.input, .probabilities) {
                strips.append($0.rows)
                values += $0.probabilities?.values ?? []
            }
            #expect(strips == usual && values.count == 1203 * 150 * 3)
            return values
        }
        #expect(found[0] == found[1])
    }

    /// Of 18 rows of a window 6 are shared with the next row of windows; the last one shares more.
    @Test func littleMoreThanSharedRowsAreKept() throws {
        let size = WindowSize(patch: 4, rows: 9, columns: 9)
        let plan = WindowPlan(photoHeight: 112, photoWidth: 8000, size, Self.all[0])
        #expect(plan.rows.origins == [0, 6, 12, 18, 19])
        let picture = WholePicture(noise(width: plan.width, height: plan.height))
        let stream = try MapStream(patchwork(size), picture, plan, isAlsoMirrored: false, batch: 4, wide: 0)
        var (top, most) = (0, 0)
        while top < stream.height {
            let end = stream.finalRows(with: top + 1)
            for left in stride(from: 0, to: stream.width, by: 200) {
                _ = try stream.part(top..<end, left..<min(stream.width, left + 200))
                most = max(most, stream.views[0].panels.reduce(0) { $0 + $1.rows.count })
            }
            top = end
        }
        let panels = stream.views[0].panels.count
        #expect(panels == 16 && most < panels * 12)
    }

    /// Where the photo skips rows of the logits, those may be the first of a row of windows.
    @Test func logitsBetweenThePhotosRowsAreLeftOut() throws {
        var options = InferenceOptions()
        (options.resizing, options.scales, options.stride) = (.none, [8], 8)
        let photo = noise(width: 10, height: 150)
        let result = try PhotoSegmenter(network, options).segment(photo)
        #expect(result.classes.count == 1500 && Set(result.classes).count == 3)
    }
}
