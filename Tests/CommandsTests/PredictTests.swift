import BEiTFiles
import BEiTHDF5
import BEiTImageIO
import BEiTLayers
import BEiTMetrics
import BEiTModels
import BEiTPrediction
import BEiTReports
import BEiTScoring
import BEiTTensorCore
import Foundation
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
        let results = ["a.png", "a.overlay.png", "b/c d.png", "b/c d.overlay.png"]
        #expect(files(folder) == Set(results + ["predictions.json", "review.csv"]))
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
            files(folder)
                == Set(
                    ["a.", "b/c d."].flatMap { stem in names.map { stem + $0 } }
                        + ["predictions.json", "review.csv"]))
        let confidence = try decodeMask(folder["out/a.confidence.png"])
        #expect(confidence.values.allSatisfy { $0 >= 51 && $0 <= 255 })  // the largest of five is at least a fifth
        let rle = try JSONSerialization.jsonObject(
            with: try Data(contentsOf: URL(fileURLWithPath: folder["out/a.rle.json"])))
        let areas = try #require(rle as? [[String: Any]]).compactMap { $0["area"] as? Int }
        #expect(areas.reduce(0, +) == 70 * 41)
    }

    @Test func probabilitiesAreThoseOfTheMask() throws {
        let folder = try workshop()
        #expect(try predict(folder, "--format", "probabilities", "--format", "index").status == 0)
        let found = try HDF5Reader(folder["out/b/c d.probabilities.h5"]).readFloats("/probabilities")
        #expect(found.shape == [5, 90, 33])
        let mask = try decodeMask(folder["out/b/c d.png"])
        for place in 0..<90 * 33 {
            let all = (0..<5).map { found.values[$0 * 90 * 33 + place] }
            #expect(abs(all.reduce(0, +) - 1) < 5e-3)
            // Neighbours may be equal in float16.
            #expect(all[Int(mask.values[place])] == all.max())
        }
    }

    /// `--tile` differs in memory alone: the bytes of every result are those without it.
    @Test(
        arguments: [
            [], ["--slide"], ["--slide", "--size", "77", "--stride", "20"], ["--crop", "61"],
            ["--scales", "0.5,1,1.7", "--flip", "--batch", "3"],
            ["--slide", "--flip", "--opacity", "0.8", "--no-legend"],
        ])
    func tilesGiveTheSameBytes(_ options: [String]) throws {
        let folder = try workshop()
        try SmallModel.photo(300, 227, seed: 3, to: folder["photos/larger.png"])
        let large = SmallModel.picture(1201, 640, seed: 4)  // decoded at half its size, in both
        try AtomicFile.write(try encodeJPEG(large), to: folder["photos/shrunk.jpg"])
        let formats = PredictionFormat.available.flatMap { ["--format", $0.rawValue] }
        let stems = ["a", "b/c d", "larger", "shrunk"]
        let results = try [[], ["--tile"]].map { more in
            let output = folder["out\(more.count)"]
            let run = try Program(
                arguments: ["predict", folder["photos"], "-m", folder["model.h5"], "-o", output] + formats + options
                    + more)
            #expect(run.status == 0, "\(run.errors)")
            let all = try FileManager.default.subpathsOfDirectory(atPath: output).sorted()
            let files = all.filter { $0 != "predictions.json" && !FileSystem.isFolder(output + "/" + $0) }
            return try files.map { [Data($0.utf8), try Data(contentsOf: URL(fileURLWithPath: output + "/" + $0))] }
        }
        // Seven files and a binary mask at least for each, and three of the run.
        #expect(results[0].count >= stems.count * 8 + 3 && results[0].count == results[1].count)
        for (one, other) in zip(results[0], results[1]) { #expect(one == other) }
    }

    @Test func windowsOfAChosenSideSlideAnyway() throws {
        let folder = try workshop()
        let results = try [[], ["--slide"]].map { more in
            let output = folder["out\(more.count)"]
            let arguments = ["predict", folder["photos"], "-m", folder["model.h5"], "-o", output, "--crop", "30"]
            #expect(try Program(arguments: arguments + ["--stride", "11"] + more).status == 0)
            return try Data(contentsOf: URL(fileURLWithPath: output + "/a.png"))
        }
        #expect(results[0] == results[1])
    }

    @Test func smallAndDamagedImagesAmongStrips() throws {
        let folder = try workshop()
        try "no image".write(toFile: folder["photos/aa.jpg"], atomically: true, encoding: .utf8)
        let run = try predict(folder, "--tile")
        #expect(run.status == 1 && run.errors.contains { $0.contains("aa.jpg") }, "\(run.errors)")
        #expect(files(folder).count == 6)
    }

    @Test func bombsAreRefusedByALimitThatCanBeRaised() throws {
        let folder = try workshop()
        let run = try predict(folder, "--max-pixels", "2900")
        #expect(run.status == 1 && run.errors.count == 2, "\(run.errors)")
        #expect(run.errors[0].contains("33 × 90 pixels are more than the limit of 2900"), "\(run.errors)")
        #expect(try predict(folder, "--max-pixels", "2970", "--resume").status == 0)
    }

    @Test(
        arguments: [
            ["--crop", "9", "--size", "9"], ["--max-pixels", "0"], ["--opacity", "1.5"], ["--opacity", "nan"],
            ["-o", ""],
        ])
    func whatMakesNoSenseIsRefused(_ arguments: [String]) throws {
        let folder = try workshop()
        let run = try Program(
            arguments: ["predict", folder["photos"], "-m", folder["model.h5"], "-o", folder["out"]] + arguments)
        #expect(run.status == 64, "\(run.errors)")
    }

    @Test func anUnreadableImageIsNamedAndTheRestGoesOn() throws {
        let folder = try workshop()
        try "no image".write(toFile: folder["photos/aa.jpg"], atomically: true, encoding: .utf8)
        try SmallModel.photo(20, 20, seed: 5, to: folder["photos/a.jpg"])  // its mask would be a.png again
        let run = try predict(folder, "--json", "-q")
        #expect(run.status == 1)
        #expect(
            run.errors.count == 2
                && run.errors.contains {
                    $0.contains("aa.jpg: it is no image of a format that is read (\(ImageCodec.names))")
                },
            "\(run.errors)")
        let records = try manifest(folder).images
        #expect(records.map(\.status) == [.done, .failed, .failed, .done])
        #expect(try JSONDecoder().decode(PredictionManifest.self, from: Data(run.output.utf8)).images == records)
        #expect(files(folder).count == 6)
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

    /// A run that was cut off replaces older results, of other options perhaps: they are not taken for its own.
    @Test func resumeDoesNotTakeOlderResults() throws {
        let folder = try workshop()
        _ = try predict(folder)
        var head = try manifest(folder)
        let records = head.images
        head.images = []
        let whole = try Data(contentsOf: URL(fileURLWithPath: folder["out/a.png"]))
        let older = IndexMask(width: 70, height: 41, values: [UInt16](repeating: 1, count: 70 * 41))
        try writePNG(older, to: folder["out/a.png"])
        let lines = try [JSONEncoder().encode(head), JSONEncoder().encode(records[1]), Data("{\"path\": \"tor".utf8)]
        try Data(lines.joined(separator: Data("\n".utf8)))
            .write(to: URL(fileURLWithPath: folder["out/.predictions.json.journal"]))
        let run = try predict(folder, "--resume")
        #expect(run.status == 0 && run.errors.last?.hasSuffix("1 were complete already") == true, "\(run.errors)")
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder["out/a.png"])) == whole)
        #expect(try manifest(folder).images.map(\.path) == records.map(\.path))
    }

    @Test func shardsShareTheWork() throws {
        let folder = try workshop()
        #expect(try predict(folder, "--shard", "2/2").status == 0)
        #expect(files(folder) == ["b/c d.png", "b/c d.overlay.png", "predictions-2-of-2.json", "review-2-of-2.csv"])
    }

    @Test func shardsDoNotOverwriteEachOther() throws {
        let folder = try workshop()
        try FileManager.default.copyItem(atPath: folder["photos/b/c d.png"], toPath: folder["photos/a.jpg"])
        let runs = try (1...3).map { try predict(folder, "--shard", "\($0)/3") }
        #expect(runs.map(\.status).sorted() == [0, 0, 1], "\(runs.map(\.errors))")
        let records = try (1...3).flatMap { try manifest(folder, "predictions-\($0)-of-3.json").images }
        #expect(records.count == 3 && records.contains { $0.error?.contains("would overwrite those of") == true })
    }

    @Test func oneProcessAtATimeWritesAManifest() throws {
        let folder = try workshop()
        let lock = try LockedFile(folder["out/.predictions.json.lock"])
        let run = try predict(folder)
        #expect(run.status == 64 && run.errors.count == 1 && run.errors[0].contains("another process"), "\(run.errors)")
        #expect(try predict(folder, "--shard", "1/2").status == 0)
        withExtendedLifetime(lock) {}
    }

    @Test(arguments: [[], ["--tile"]]) func anExifRotatedPhotoIsSegmentedUpright(_ more: [String]) throws {
        let folder = try workshop()
        for orientation in 1...8 {
            let rotated = Oracle.path(
                "../../ImageIOTests/Fixtures/bad-inputs/images/exif_orientation_\(orientation).jpg")
            try writePNG(try decodeImage(rotated), to: folder["turned/\(orientation)/upright.png"])
            try FileManager.default.copyItem(atPath: rotated, toPath: folder["turned/\(orientation)/rotated.jpg"])
        }
        let run = try Program(
            arguments: ["predict", folder["turned"], "-m", folder["model.h5"], "-o", folder["out"]] + more)
        #expect(run.status == 0, "\(run.errors)")
        for orientation in 1...8 {
            let masks = try ["upright", "rotated"].map { try decodeMask(folder["out/\(orientation)/\($0).png"]) }
            #expect(masks[0] == masks[1] && masks[0].width == 28 && masks[0].height == 20, "\(orientation)")
        }
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
