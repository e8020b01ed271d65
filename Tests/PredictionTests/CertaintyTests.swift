import BEiTImageIO
import BEiTTensorCore
import Foundation
import Testing

@testable import BEiTPrediction

@Suite struct CertaintyTests {
    private let size = WindowSize(patch: 4, rows: 3, columns: 3)

    private func certainty(
        _ photo: RGBImage, _ options: InferenceOptions, wide: Int = .max, _ more: PhotoSegmenter.Results = []
    ) throws -> (Certainty, probabilities: [Float], classes: [UInt16]) {
        let network = patchwork(size, sharpness: 0.6)
        let input = PreparedPhoto(photo, PhotoPlan(network, options)).input
        var (all, probabilities, classes) = (Certainty(), [Float](), [UInt16]())
        try PhotoSegmenter(network, options, wide: wide).segment(input, [.meanConfidence, .doubts, more]) { strip in
            all += strip.certainty
            probabilities += strip.probabilities?.values ?? []
            classes += strip.classes
        }
        return (all, probabilities, classes)
    }

    /// Against all probabilities.
    @Test(arguments: [false, true]) func everyEighthRowCounts(_ flips: Bool) throws {
        var options = InferenceOptions()
        (options.resizing, options.flips) = (.none, flips)
        let (found, all, _) = try certainty(noise(width: 37, height: 43, seed: 3), options, .probabilities)
        var (sum, entropy, doubtful, pixels) = (0.0, 0.0, 0, 0)
        for row in stride(from: 0, to: 43, by: 8) {
            for pixel in row * 37..<(row + 1) * 37 {
                let shares = all[3 * pixel..<3 * pixel + 3].map(Double.init)
                sum += shares.max() ?? 0
                entropy -= shares.reduce(0) { $0 + ($1 > 0 ? $1 * log($1) : 0) }
                doubtful += (shares.max() ?? 0) < 0.5 ? 1 : 0
                pixels += 1
            }
        }
        #expect(found.pixels == pixels && found.doubtful == doubtful && doubtful > 0)
        #expect(abs(found.sum - sum) < 1e-3 && abs(found.entropy - entropy) < 1e-3)
        #expect(flips || found.disagreeing == 0)
    }

    /// Against a run at each of two sizes.
    @Test func viewsDisagreeWhereTheirClassesDiffer() throws {
        var options = InferenceOptions()
        options.resizing = .none
        let photo = noise(width: 36, height: 44, seed: 3)
        let one = try certainty(photo, options).classes
        options.scales = [1.6]
        let other = try certainty(photo, options).classes
        options.scales = [1, 1.6]
        let found = try certainty(photo, options).0
        var wanted = 0
        for row in stride(from: 0, to: 44, by: 8) {
            wanted += (row * 36..<(row + 1) * 36).count { one[$0] != other[$0] }
        }
        #expect(found.disagreeing == wanted && wanted > 0 && wanted < found.pixels)
    }

    @Test func aWidePhotoHasTheSameSums() throws {
        var options = InferenceOptions()
        (options.resizing, options.scales) = (.none, [1, 1.4])
        let photo = noise(width: 1203, height: 40)
        let found = try [Int.max, 0].map { try certainty(photo, options, wide: $0).0 }
        #expect(found[0].entropy == found[1].entropy && found[0].sum == found[1].sum)
        #expect(found[0].disagreeing == found[1].disagreeing && found[0].disagreeing > 0)
        #expect(found[0].overlaps == found[1].overlaps && found[0].overlaps > 0)
        #expect(found[0].overlapsDisagreeing == found[1].overlapsDisagreeing)
    }

    /// Against the mean of all windows before, one after another.
    @Test(arguments: [false, true]) func windowsDisagreeWhereTheirClassesDiffer(_ flips: Bool) throws {
        let network = patchwork(size, sharpness: 0.6)
        var options = InferenceOptions()
        (options.resizing, options.flips) = (.none, flips)
        let plan = WindowPlan(photoHeight: 44, photoWidth: 36, size, options)
        let photo = noise(width: plan.width, height: plan.height, seed: 3)
        let columns = 2 * plan.columns.count
        var (wanted, different) = (0, 0)
        for mirrored in flips ? [false, true] : [false] {
            var sums = [[Float]](repeating: [0, 0, 0], count: 2 * plan.rows.count * columns)
            var counts = [Float](repeating: 0, count: sums.count)
            for top in plan.rows.origins {
                for left in plan.columns.origins {
                    let window = photo.cropped(x: 4 * left, y: 4 * top, width: 12, height: 12)
                    let pixels = Tensor(uninitialized: [1, 3, 12, 12])
                    network.scaling.write(mirrored ? window.flippedHorizontally() : window, to: pixels.pointer)
                    let maps = network.maps(pixels).values
                    for place in 0..<36 {
                        let (y, x) = (place / 6, mirrored ? 5 - place % 6 : place % 6)
                        let own = Array(maps[3 * (6 * y + x)..<3 * (6 * y + x) + 3])
                        let whole = (2 * top + y) * columns + 2 * left + place % 6
                        if counts[whole] > 0 {
                            let mean = sums[whole].map { $0 / counts[whole] }
                            wanted += 1
                            different +=
                                own.firstIndex(of: own.max() ?? 0) == mean.firstIndex(of: mean.max() ?? 0) ? 0 : 1
                        }
                        sums[whole] = zip(sums[whole], own).map(+)
                        counts[whole] += 1
                    }
                }
            }
        }
        let found = try certainty(photo, options).0
        #expect(found.overlaps == wanted && found.overlapsDisagreeing == different && different > 0)
    }
}
