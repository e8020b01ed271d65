import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTProcesses
import BEiTTeams
import BEiTTensorCore
import Foundation
import Testing

@testable import BEiTPrediction

/// Runs that several processes share, which are threads here, beside those of one.
@Suite struct SharedRunTests {
    private let folder = NSTemporaryDirectory() + "beit-seg-" + UUID().uuidString
    private let classes = ["sky", "sea", "sand"].enumerated().map {
        LabelClass(name: $1, color: RGBColor(UInt8(50 * $0), 0, 0))
    }

    /// Photos of several sizes, two of them damaged, one that is not there any more.
    private func photos(_ count: Int) throws -> [InputImage] {
        for number in 0..<count {
            let side = 20 + 13 * (number * 7 % 11)
            try writePNG(
                noise(width: side, height: 40, seed: UInt64(number)), to: "\(folder)/photos/\(number + 100).png")
        }
        for number in [1, 8] where number < count {
            try Data("no photo".utf8).write(to: URL(fileURLWithPath: "\(folder)/photos/\(number + 100).png"))
        }
        let images = try InputImages([folder + "/photos"]).images
        try FileManager.default.removeItem(atPath: images[count - 2].path)
        return images
    }

    private func run(
        _ images: [InputImage], to name: String, by team: any Communicator, resuming: Bool = false,
        notFinite: Bool = false
    ) throws -> PredictionResult {
        let model = folder + "/model"
        if !FileSystem.exists(model) { try AtomicFile.write("weights", to: model) }
        var settings = PredictionSettings(output: folder + "/" + name)
        (settings.formats, settings.resumes) = ([.index, .areas, .rle, .coco], resuming)
        var network = patchwork(WindowSize(patch: 16, rows: 2, columns: 2))
        if notFinite {
            network = WindowNetwork(
                size: network.size, classes: 3, scaling: PixelScaling(mean: [0, 0, 0], std: [1, 1, 1])
            ) { pixels in
                let maps = Tensor.zeros([pixels.shape[0], 4, 4, 3])
                maps.buffer.update(repeating: .nan)
                return maps
            }
        }
        return try PredictionRun(network, classes: classes, heading: PredictionHeading(model: model), settings)
            .run(images, by: team)
    }

    /// All files of a run by their names, of the manifest without times.
    private func files(_ name: String) throws -> [String: [UInt8]] {
        var found: [String: [UInt8]] = [:]
        for file in try FileManager.default.subpathsOfDirectory(atPath: folder + "/" + name) {
            var bytes = try FileSystem.read("\(folder)/\(name)/\(file)")
            if file == "predictions.json" {
                let text = String(decoding: bytes, as: UTF8.self)
                bytes = Array(text.replacing(/"seconds" : [0-9.e-]+/, with: "").utf8)
            }
            found[file] = bytes
        }
        return found
    }

    @Test(arguments: [2, 3, 4]) func severalWriteWhatOneWrites(_ size: Int) throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let images = try photos(23)
        let alone = try run(images, to: "alone", by: SingleProcess())
        #expect((alone.done, alone.failed) == (20, 3))
        let shared = try ThreadTeam(size).run { try run(images, to: "shared", by: $0) }.map { try $0.get() }
        #expect((shared[0].done, shared[0].failed) == (20, 3))
        let (expected, found) = (try files("alone"), try files("shared"))
        #expect(found.keys.sorted() == expected.keys.sorted())
        for (name, bytes) in expected { #expect(found[name] == bytes, "\(name)") }
    }

    /// A run of several that was cut off left a journal of each; one process goes on, and so do others.
    @Test(arguments: [1, 3]) func whatWasCutOffGoesOn(_ size: Int) throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let images = try photos(17)
        _ = try run(images, to: "alone", by: SingleProcess())
        _ = try run(Array(images[..<9]), to: "shared", by: SingleProcess())
        // As two processes would have left it: the first one's journal and the second one's.
        let output = folder + "/shared"
        let manifestPath = PredictionManifest.path(output, nil)
        let manifest = try #require(try PredictionManifest.earlier(manifestPath))
        try FileManager.default.removeItem(atPath: manifestPath)
        for (number, part) in [manifest.images[..<5], manifest.images[5...]].enumerated() {
            let path = number == 0 ? manifestPath : PredictionManifest.path(output, process: 1)
            let journal = PredictionJournal(
                PredictionJournal.path(path), PredictionHeading(model: folder + "/model"), records: [])
            try journal.begin()
            for record in part where record.status == .done { try journal.add(record) }
        }
        let results = ThreadTeam(size).run { try run(images, to: "shared", by: $0, resuming: true) }
        let first = try results[0].get()
        #expect((first.skipped, first.done, first.failed) == (7, 7, 3))
        let (expected, found) = (try files("alone"), try files("shared"))
        #expect(found.keys.sorted() == expected.keys.sorted())
        for (name, bytes) in expected { #expect(found[name] == bytes, "\(name)") }
    }

    @Test(arguments: [1, 3]) func aModelWithoutAnswersIsNamed(_ size: Int) throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let images = Array(try photos(9)[2..<6])
        let results = ThreadTeam(size).run { try run(images, to: "none", by: $0, notFinite: true) }
        #expect(throws: PredictionError.neverFinite(model: folder + "/model")) { try results[0].get() }
    }
}
