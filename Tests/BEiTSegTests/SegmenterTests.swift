import BEiTFiles
import BEiTImageIO
import BEiTSeg
import Foundation
import Testing

/// What another package sees of beit-seg.
@Suite struct SegmenterTests {
    private let photo = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../samples/images/Bengal_34.jpg").standardized.path

    @Test func aPhotoHasAMaskAreasAndFiles() throws {
        let folder = try TemporaryFolder()
        let result = try Segmenter().segment(photo)
        let image = try decodeImage(photo)
        #expect((result.width, result.height) == (image.width, image.height))
        #expect(result.mask.count == result.width * result.height && result.confidence.count == result.mask.count)
        #expect(result.confidence.allSatisfy { $0 > 0 && $0 <= 1 })
        #expect(result.areas.reduce(0) { $0 + $1.pixels } == result.mask.count)
        #expect(abs(result.areas.reduce(0) { $0 + $1.share } - 1) < 1e-9)
        #expect(result.areas.map(\.pixels) == result.areas.map(\.pixels).sorted(by: >))
        #expect(result[3, 2] == result.classes[Int(result.mask[2 * result.width + 3])])
        try result.writeMask(to: folder.path + "/mask.png")
        #expect(try decodeMask(folder.path + "/mask.png").values == result.mask)
        try result.writeOverlay(to: folder.path + "/overlay.png", opacity: 0, hasLegend: false)
        #expect(try decodeImage(folder.path + "/overlay.png") == image)
    }

    @Test func pixelsInMemoryGiveTheSameMask() throws {
        let segmenter = try Segmenter()
        let image = try decodeImage(photo)
        let fromMemory = try segmenter.segment(rgb: image.pixels, width: image.width, height: image.height)
        #expect(try segmenter.segment(photo).mask == fromMemory.mask)
    }

    /// The green of a photo, for all three.
    @Test func bandsAndRangesAreChosen() throws {
        let segmenter = try Segmenter(), image = try decodeImage(photo)
        let grey = stride(from: 0, to: image.pixels.count, by: 3).flatMap { place -> [UInt8] in
            let value = UInt8(min(max((Double(image.pixels[place + 1]) - 20) * 255 / 180, 0), 255) + 0.5)
            return [value, value, value]
        }
        var options = SegmentationOptions()
        (options.reading.range, options.reading.bands) = (.between(20, 200), [2])
        let seen = try segmenter.segment(photo, options)
        let wanted = try segmenter.segment(rgb: grey, width: image.width, height: image.height)
        #expect(seen.mask == wanted.mask && seen.confidence == wanted.confidence)
        #expect(try seen.confidence != segmenter.segment(photo).confidence)
        #expect(try PhotoReading.pages(of: photo) == 1)
    }

    @Test func aBatchGoesOnBehindABadPhoto() async throws {
        let segmenter = try Segmenter()
        var found: [String] = []
        for await photo in segmenter.segment([self.photo, "/no/such.jpg", self.photo]) {
            switch photo.result {
            case .success(let result): found.append("\(result.areas.count > 0)")
            case .failure(let error): found.append("\(error.kind)")
            }
        }
        #expect(found == ["true", "missing", "true"])
    }

    @Test func errorsSayWhatKindTheyAre() throws {
        func kind(_ body: () throws -> Void) -> BEiTSegError.Kind? {
            do { try body() } catch let error as BEiTSegError { return error.kind } catch {}
            return nil
        }
        #expect(kind { _ = try Segmenter(model: "/no/such.h5") } == .missing)
        #expect(kind { _ = try Segmenter(model: photo) } == .data)
        let segmenter = try Segmenter()
        #expect(kind { _ = try segmenter.segment(rgb: [1, 2, 3], width: 2, height: 1) } == .usage)
        var options = SegmentationOptions()
        options.scales = [0]
        #expect(kind { _ = try segmenter.segment(photo, options) } == .usage)
        for (bands, page) in [([1, 2], 1), ([0], 1), ([1], 0)] {
            options = SegmentationOptions()
            (options.reading.bands, options.reading.page) = (bands, page)
            #expect(kind { _ = try segmenter.segment(photo, options) } == .usage)
        }
        options.reading.page = 2
        #expect(kind { _ = try segmenter.segment(photo, options) } == .data)
        let result = try segmenter.segment(photo)
        #expect(kind { try result.writeMask(to: "/proc/no/mask.png") } != nil)
        #expect(kind { try result.writeMask(to: photo) } == .usage)
        #expect(kind { try result.writeOverlay(to: segmenter.model) } == .usage)
    }

    @Test func severalDataSetsMakeOneModel() throws {
        let folder = try TemporaryFolder()
        let sets = try ["cat", "wall"].map { try makeSet(folder.path + "/" + $0, class: $0) }
        var training = SegmentationTraining(data: sets, folder: folder.path + "/run")
        (training.epochs, training.batch, training.imageSize) = (1, 2, 32)
        (training.sharesBackground, training.proportions) = (true, [3, 1])
        var notes: [String] = [], validations = 0
        let outcome = try training.run {
            switch $0 {
            case .note(let line): notes.append(line)
            case .step: break
            case .validation: validations += 1
            }
        }
        #expect(notes.contains { $0.contains("cat: its background may also be wall") })
        #expect(notes.contains { $0.contains("75.0 % of what is drawn") })
        #expect(validations == 1 && FileManager.default.fileExists(atPath: outcome.last))
        let segmenter = try Segmenter(model: #require(outcome.best))
        #expect(segmenter.classes.map(\.name) == ["background", "cat", "wall"])

        training.folder = folder.path + "/other"
        training.proportions = [1]
        #expect(throws: BEiTSegError.self) { try training.run() }
        (training.proportions, training.data) = (nil, [sets[0]])
        #expect(throws: BEiTSegError.self) { try training.run() }
    }

    @Test func theDecoderLearnsBehindTheStartThatShips() throws {
        let folder = try TemporaryFolder()
        let data = [try makeSet(folder.path + "/cat", class: "cat")]
        var training = SegmentationTraining(data: data, folder: folder.path + "/run", start: .shipped)
        (training.epochs, training.batch, training.imageSize, training.freezesBackbone) = (1, 2, 32, true)
        var notes: [String] = []
        let outcome = try training.run { if case .note(let line) = $0 { notes.append(line) } }
        #expect(
            notes.contains { $0.hasPrefix("initial weights: ") && $0.contains("positions of another size resized") })
        #expect(notes.contains { $0.hasPrefix("starting at random: ") && $0.hasSuffix("decoder/blocks, decoder/head") })
        #expect(try Segmenter(model: #require(outcome.best)).classes.map(\.name) == ["background", "cat"])

        (training.folder, training.start) = (folder.path + "/other", .scratch(.tiny))
        #expect(throws: BEiTSegError.self) { try training.run() }
    }

    /// Four photos whose left half is background, and their masks.
    private func makeSet(_ path: String, class name: String) throws -> String {
        for (split, photos) in [("train", 0..<3), ("val", 3..<4)] {
            for kind in ["images", "masks"] {
                try FileManager.default.createDirectory(
                    atPath: "\(path)/\(kind)/\(split)", withIntermediateDirectories: true)
            }
            for photo in photos {
                let pixels = (0..<40 * 40 * 3).map { UInt8(truncatingIfNeeded: $0 * (photo + name.count)) }
                try writePNG(
                    RGBImage(width: 40, height: 40, pixels: pixels), to: "\(path)/images/\(split)/\(photo).png")
                let mask = IndexMask(width: 40, height: 40, values: (0..<40 * 40).map { $0 % 40 < 20 ? 0 : 1 })
                try writePNG(mask, to: "\(path)/masks/\(split)/\(photo).png")
            }
        }
        try Data("background 0 0 0\n\(name) 255 0 0\n".utf8).write(to: URL(fileURLWithPath: path + "/classes.txt"))
        return path
    }
}

/// A folder that goes with the value.
private final class TemporaryFolder {
    let path = NSTemporaryDirectory() + "/beit-seg-" + UUID().uuidString
    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: path) }
}
