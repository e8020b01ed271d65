import Checkpoints
import Evaluation
import Foundation
import ImageIO
import Layers
import Models
import TensorCore
import Testing

/// `predict` with a small network of random weights.
@Suite struct PredictTests {
    /// A folder with `model.h5` and some photos in `photos/`.
    private func workshop() throws -> Scratch {
        let folder = try Scratch()
        try SmallModel.save(to: folder["model.h5"])
        try SmallModel.photo(70, 41, seed: 1, to: folder["photos/a.png"])
        try SmallModel.photo(33, 90, seed: 2, to: folder["photos/b/c d.png"])
        return folder
    }

    private func predict(_ folder: Scratch, _ more: String..., from: String = "photos") throws -> Program {
        try Program(arguments: ["predict", folder[from], "-m", folder["model.h5"], "-o", folder["out"]] + more)
    }

    private func manifest(_ folder: Scratch, _ name: String = "predictions.json") throws -> PredictionManifest {
        try JSONDecoder().decode(
            PredictionManifest.self, from: try Data(contentsOf: URL(fileURLWithPath: folder["out/" + name])))
    }

    private func files(_ folder: Scratch) -> Set<String> {
        Set((FileManager.default.subpaths(atPath: folder["out"]) ?? []).filter { !$0.hasSuffix("b") })
    }

    @Test func theTreeIsMirroredAtThePhotosSize() throws {
        let folder = try workshop()
        let run = try predict(folder)
        #expect(run.status == 0 && run.output.isEmpty, "\(run.errors)")
        #expect(files(folder) == ["a.png", "a.overlay.png", "b/c d.png", "b/c d.overlay.png", "predictions.json"])
        let mask = try decodeMask(folder["out/b/c d.png"])
        #expect(mask.width == 33 && mask.height == 90)
        #expect(mask.palette?.prefix(5).map(\.red) == [0, 50, 100, 150, 200])
        let records = try manifest(folder).images
        #expect(records.map(\.status) == [.done, .done] && records[1].width == 33 && records[1].height == 90)
        var counts: [String: Int] = [:]
        for value in mask.values { counts["c\(value)", default: 0] += 1 }
        #expect(records[1].pixels == counts && counts.count > 1)
    }

    @Test func everyFormatIsWritten() throws {
        let folder = try workshop()
        let run = try predict(
            folder, "--format", "color", "--format", "confidence", "--format", "rle", "--flip", "--scales", "1,1.5")
        #expect(run.status == 0, "\(run.errors)")
        let names = ["color.png", "confidence.png", "rle.json"]
        #expect(
            files(folder) == Set(["a.", "b/c d."].flatMap { stem in names.map { stem + $0 } } + ["predictions.json"]))
        let confidence = try decodeMask(folder["out/a.confidence.png"])
        #expect(confidence.values.allSatisfy { $0 >= 51 && $0 <= 255 })  // the largest of five is at least a fifth
        let rle = try JSONSerialization.jsonObject(
            with: try Data(contentsOf: URL(fileURLWithPath: folder["out/a.rle.json"])))
        let areas = try #require(rle as? [[String: Any]]).compactMap { $0["area"] as? Int }
        #expect(areas.reduce(0, +) == 70 * 41)
    }

    @Test func anUnreadableImageIsNamedAndTheRestGoesOn() throws {
        let folder = try workshop()
        try "no image".write(toFile: folder["photos/aa.jpg"], atomically: true, encoding: .utf8)
        try SmallModel.photo(20, 20, seed: 5, to: folder["photos/a.jpg"])  // its mask would be a.png again
        let run = try predict(folder, "--json", "-q")
        #expect(run.status == 1)
        #expect(
            run.errors.count == 2 && run.errors.contains { $0.contains("aa.jpg: it is neither a PNG nor a JPEG") },
            "\(run.errors)")
        let records = try manifest(folder).images
        #expect(records.map(\.status) == [.done, .failed, .failed, .done])
        #expect(try JSONDecoder().decode(PredictionManifest.self, from: Data(run.output.utf8)).images == records)
        #expect(files(folder).count == 5)
    }

    @Test func resumeSkipsWhatIsComplete() throws {
        let folder = try workshop()
        _ = try predict(folder)
        let whole = try Data(contentsOf: URL(fileURLWithPath: folder["out/a.png"]))
        try Data("kept".utf8).write(to: URL(fileURLWithPath: folder["out/a.png"]))
        try FileManager.default.removeItem(atPath: folder["out/b/c d.overlay.png"])
        #expect(try predict(folder, "--resume").status == 0)
        #expect(try manifest(folder).images.map(\.status) == [.done, .done])
        #expect(try manifest(folder).images[0].width == 70)
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder["out/a.png"])) == Data("kept".utf8))
        #expect(files(folder).contains("b/c d.overlay.png"))
        #expect(try predict(folder).status == 0)
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder["out/a.png"])) == whole)
    }

    @Test func shardsShareTheWork() throws {
        let folder = try workshop()
        #expect(try predict(folder, "--shard", "2/2").status == 0)
        #expect(files(folder) == ["b/c d.png", "b/c d.overlay.png", "predictions-2-of-2.json"])
    }

    @Test func anExifRotatedPhotoIsSegmentedUpright() throws {
        let folder = try workshop()
        let rotated = Oracle.path("../../ImageIOTests/Fixtures/bad-inputs/images/exif_orientation_6.jpg")
        let upright = try decodeImage(rotated)
        try writePNG(upright, to: folder["turned/upright.png"])
        try FileManager.default.copyItem(atPath: rotated, toPath: folder["turned/rotated.jpg"])
        #expect(try predict(folder, from: "turned").status == 0)
        let masks = try ["upright", "rotated"].map { try decodeMask(folder["out/\($0).png"]) }
        #expect(masks[0] == masks[1] && masks[0].width == upright.width && masks[0].height == upright.height)
    }

    @Test func threadsDoNotChangeAByte() throws {
        let folder = try workshop()
        let runs = try ["1", "2", "5"].map { threads in
            #expect(try predict(folder, "--threads", threads).status == 0)
            return try ["a.png", "a.overlay.png", "b/c d.png"].map {
                try Data(contentsOf: URL(fileURLWithPath: folder["out/" + $0]))
            }
        }
        #expect(runs[0] == runs[1] && runs[0] == runs[2])
    }

    @Test func aFolderThatCannotBeWrittenEndsTheRun() throws {
        let folder = try workshop()
        try Data().write(to: URL(fileURLWithPath: folder["out"]))
        let run = try predict(folder)
        #expect(run.status == 74 && run.errors.count == 1, "\(run.errors)")
    }

    @Test func aModelIsScoredOnPhotosWithMasks() throws {
        let folder = try workshop()
        #expect(try predict(folder, "--format", "index").status == 0)
        // Its own predictions are the truth: a perfect score.
        let run = try Program(
            "eval", "--miou", "--json", "--images", folder["photos"], "--masks", folder["out"], "-m", folder["model.h5"]
        )
        #expect(run.status == 0, "\(run.errors)")
        let json = try #require(try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any])
        #expect(json["miou"] as? Double == 1 && json["pixels"] as? Int == 70 * 41 + 33 * 90)
    }
}
