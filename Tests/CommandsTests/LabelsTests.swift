import BEiTFiles
import BEiTImageIO
import Foundation
import Testing

/// `labels`, and annotations in place of masks, as users meet them.
@Suite struct LabelsTests {
    /// Two photos with a square each, in COCO's JSON.
    private func annotated(_ folder: Scratch, size: Int = 40) throws -> String {
        var (images, annotations): ([String], [String]) = ([], [])
        for index in 1...4 {
            let split = index > 2 ? "val" : "train"
            try SmallModel.photo(40, 40, seed: UInt64(index), to: folder["photos/\(split)/\(index).png"])
            images.append(
                "{\"id\":\(index),\"file_name\":\"\(split)/\(index).png\",\"width\":\(size),\"height\":\(size)}")
            annotations.append(
                "{\"id\":\(index),\"image_id\":\(index),\"category_id\":1,\"segmentation\":[[5,5,25,5,25,20,5,20]]}")
        }
        for (name, range) in [("train", 0..<2), ("val", 2..<4)] {
            let text =
                "{\"images\":[\(images[range].joined(separator: ","))],\"annotations\":[\(annotations[range].joined(separator: ","))],"
                + "\"categories\":[{\"id\":1,\"name\":\"cat\"}]}"
            try AtomicFile.write(text, to: folder["labels/instances_\(name).json"])
        }
        return folder["labels"]
    }

    @Test func annotationsBecomeADataSet() throws {
        let folder = try Scratch()
        let labels = try annotated(folder)
        let run = try Program("labels", labels, "--photos", folder["photos"], "-o", folder["set"], "--json")
        #expect(run.status == 0, "\(run.errors)")
        struct Result: Decodable {
            struct Class: Decodable { var name: String, pixels: Int }
            var images: Int, splits: [String: Int], classes: [Class]
        }
        let result: Result = try JSONText.decode(from: run.output.utf8, of: "output")
        #expect(result.images == 4 && result.splits == ["train": 2, "val": 2])
        #expect(result.classes.map(\.pixels) == [4 * 1300, 4 * 300])
        let mask = try decodeMask(folder["set/masks/val/3.png"])
        #expect(mask.values[5 * 40 + 5] == 1 && mask.values[4 * 40 + 5] == 0)
        #expect(FileSystem.status(of: folder["set/images/val/3.png"], followingLinks: false)?.kind == .link)
        #expect(try decodeImage(folder["set/check.png"]).width > 100)
        let text = try String(contentsOfFile: folder["set/classes.txt"], encoding: .utf8)
        #expect(text == "background 0 0 0\ncat 128 0 0\n")
        // A whole set is not written over.
        let again = try Program("labels", labels, "--photos", folder["photos"], "-o", folder["set"])
        #expect(again.status == 64 && again.errors.last?.contains("holds a data set already") == true)
        // One that was not finished is.
        try FileManager.default.removeItem(atPath: folder["set/classes.txt"])
        #expect(try Program("labels", labels, "--photos", folder["photos"], "-o", folder["set"]).status == 0)
        let copied = try Program("labels", folder["set"], "-o", folder["copy"], "--copy")
        #expect(copied.status == 0, "\(copied.errors)")
        #expect(FileSystem.status(of: folder["copy/images/val/3.png"], followingLinks: false)?.kind == .file)
        #expect(
            try FileSystem.read(folder["copy/images/val/3.png"]) == FileSystem.read(folder["photos/val/3.png"]))
        #expect(try decodeMask(folder["copy/masks/val/3.png"]).values == mask.values)
    }

    @Test func aPhotoOfAnotherSizeIsNamedAndTheRestGoesOn() throws {
        let folder = try Scratch()
        let labels = try annotated(folder)
        try SmallModel.photo(41, 40, seed: 1, to: folder["photos/val/3.png"])
        let run = try Program("labels", labels, "--photos", folder["photos"], "-o", folder["set"])
        #expect(run.status == 1)
        #expect(run.errors.contains { $0.contains("val/3.png") && $0.contains("40×40") && $0.contains("41×40") })
        #expect(FileSystem.exists(folder["set/masks/val/4.png"]) && !FileSystem.exists(folder["set/masks/val/3.png"]))
    }

    @Test func photosThatAreNowhereAreAnErrorWithARemedy() throws {
        let folder = try Scratch()
        let labels = try annotated(folder)
        let run = try Program("labels", labels, "-o", folder["set"])
        #expect(run.status == 66)
        #expect(run.errors.last?.contains("--photos names their folder") == true, "\(run.errors)")
        #expect(try Program("labels", folder["nothing"], "-o", folder["set"]).status == 66)
        #expect(try Program("labels", folder["photos"], "-o", folder["set"]).status == 65)
    }

    @Test func photosThatAreReadAreNeverWrittenTo() throws {
        let folder = try Scratch()
        try SmallModel.photo(40, 40, seed: 1, to: folder["images/a.png"])
        let before = try FileSystem.read(folder["images/a.png"])
        let text =
            "{\"images\":[{\"id\":1,\"file_name\":\"a.png\",\"width\":40,\"height\":40}],\"annotations\":[],"
            + "\"categories\":[{\"id\":1,\"name\":\"cat\"}]}"
        try AtomicFile.write(text, to: folder["set.json"])
        #expect(try Program("labels", folder["set.json"], "-o", folder.path, "--copy").status == 64)
        #expect(try FileSystem.read(folder["images/a.png"]) == before)
    }

    /// A training and a score from annotations are those from the masks that `labels` makes of them.
    @Test func annotationsAreTakenInPlaceOfMasks() throws {
        let folder = try Scratch()
        let labels = try annotated(folder)
        #expect(try Program("labels", labels, "--photos", folder["photos"], "-o", folder["set"]).status == 0)
        let recipe = ["--preset", "tiny", "--size", "32", "--steps", "2", "--batch", "2", "-q"]
        let own = ["--data", labels, "--photos", folder["photos"]], made = ["--data", folder["set"]]
        for (name, data) in [("own", own), ("made", made)] {
            let run = try Program(
                arguments: ["finetune", "--task", "segmentation", "-o", folder[name]] + recipe + data)
            #expect(run.status == 0, "\(run.errors)")
        }
        func score(_ data: [String]) throws -> String {
            let run = try Program(arguments: ["eval", "--miou", "--json", "-m", folder["made/last.h5"]] + data)
            #expect(run.status == 0, "\(run.errors)")
            return run.output
        }
        let (a, b) = (try score(own), try score(made))
        #expect(a == b && a.contains("\"images\" : 2"))
        let losses = try ["own", "made"].map { name in
            try String(contentsOfFile: folder["\(name)/log.jsonl"], encoding: .utf8).matches(of: /"loss":[^,}]+/)
                .map { String($0.output) }
        }
        #expect(losses[0] == losses[1] && !losses[0].isEmpty)
    }

    /// Predictions go out as COCO, come back as masks, and are the same.
    @Test func predictionsComeBackFromCOCO() throws {
        let folder = try Scratch()
        try SmallModel.save(to: folder["model.h5"])
        for index in 0..<3 {
            try SmallModel.photo(70 + 9 * index, 50, seed: UInt64(index), to: folder["photos/\(index).png"])
        }
        let predicted = try Program(
            "predict", folder["photos"], "-o", folder["out"], "-m", folder["model.h5"], "--format", "coco", "--format",
            "index")
        #expect(predicted.status == 0, "\(predicted.errors)")
        let labelled = try Program("labels", folder["out"], "--photos", folder["photos"], "-o", folder["set"])
        #expect(labelled.status == 0, "\(labelled.errors)")
        #expect(!labelled.errors.contains { $0.contains("warning") }, "\(labelled.errors)")
        for index in 0..<3 {
            let (sent, back) = try (
                decodeMask(folder["out/\(index).png"]), decodeMask(folder["set/masks/\(index).png"])
            )
            #expect(sent.values == back.values && Set(sent.values).count > 1)
        }
        let score = try Program(
            "eval", "--miou", "--json", "--data", folder["set"], "--split", "train", "-m", folder["model.h5"])
        #expect(score.status == 0, "\(score.errors)")
        #expect(score.output.contains("\"miou\" : 1,"), "\(score.output.prefix(400))")
    }
}
