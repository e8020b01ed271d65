import BEiTCheckpoints
import BEiTHDF5
import BEiTImageIO
import BEiTTensorCore
import Foundation
import Testing

/// `classify`, `eval --top1` and `finetune --task classification` as their users meet them.
@Suite struct ClassifyTests {
    private struct Report: Decodable {
        struct Class: Decodable { let index: Int, name: String, probability: Float }
        struct Image: Decodable { let path: String, classes: [Class] }
        let images: [Image], failed: [[String: String]]
    }

    /// The classifier of Hugging Face, and the three pictures that its logits are known for.
    private func workshop() throws -> (folder: Scratch, probabilities: [[Float]]) {
        let folder = try Scratch()
        let run = try Program(
            "import", Oracle.path("hf-cls/official.h5"), "--set", "backbone.norm_eps=1e-12", "-o", folder["m.h5"])
        try #require(run.status == 0, "\(run.errors)")
        let reader = try HDF5Reader(Oracle.path("hf-cls/arrays.h5"))
        let (shape, values) = try reader.readFloats("/pixel_values")
        let all = Tensor(values, shape)
        for index in 0..<shape[0] {
            let planes = all.rows(index..<index + 1).values
            var pixels: [UInt8] = []
            for place in 0..<32 * 32 {
                for channel in 0..<3 {
                    let value: Float = planes[channel * 1024 + place] / 2 + 0.5
                    pixels.append(UInt8((255 * value).rounded()))
                }
            }
            try writePNG(
                RGBImage(width: 32, height: 32, pixels: pixels), to: folder["photos/\(index)/image.png"])
        }
        let logits = try reader.readFloats("/logits")
        let probabilities = (0..<3).map { row -> [Float] in
            let exponentials = logits.values[row * 7..<row * 7 + 7].map { exp($0) }
            let sum = exponentials.reduce(0, +)
            return exponentials.map { $0 / sum }
        }
        return (folder, probabilities)
    }

    @Test func probabilitiesAreThoseOfTheReference() throws {
        let (folder, wanted) = try workshop()
        try Data("no picture".utf8).write(to: URL(fileURLWithPath: folder["photos/bad.jpg"]))
        let run = try Program(
            "classify", "-m", folder["m.h5"], folder["photos"], "--crop-share", "1", "--top", "9", "--json", "--batch",
            "2")
        #expect(run.status == 1 && run.errors.count == 1 && run.errors[0].contains("photos/bad.jpg: "))
        let report = try JSONDecoder().decode(Report.self, from: Data(run.output.utf8))
        #expect(report.images.map(\.path) == (0..<3).map { folder["photos/\($0)/image.png"] })
        #expect(report.failed.map { $0["path"] } == [folder["photos/bad.jpg"]])
        for (image, wanted) in zip(report.images, wanted) {
            #expect(image.classes.count == 7)
            #expect(zip(image.classes, image.classes.dropFirst()).allSatisfy { $0.probability >= $1.probability })
            for found in image.classes { #expect(abs(found.probability - wanted[found.index]) < 1e-4) }
        }
        // The middle alone gives other numbers; the text says the same as the document.
        let text = try Program(
            "classify", "-m", folder["m.h5"], folder["photos/0"], "--crop-share", "1", "--top", "2")
        let cells = text.output.split(separator: "\n")[0].split(separator: "\t").map(String.init)
        let first = report.images[0].classes
        #expect(text.status == 0 && text.errors.isEmpty && cells.count == 3 && cells[0] == report.images[0].path)
        #expect(cells[1] == first[0].name + String(format: " %.2f %%", 100 * first[0].probability))
        let cut = try Program("classify", "-m", folder["m.h5"], folder["photos/0"], "--top", "2")
        #expect(cut.status == 0 && cut.output != text.output)
    }

    /// Class folders whose names are those of the imported model, with each picture under a class of the given rank.
    private func labelled(_ folder: Scratch, _ probabilities: [[Float]], ranks: [Int]) throws -> [Int] {
        try zip(probabilities, ranks).enumerated().map { index, pair in
            let order = pair.0.indices.sorted { pair.0[$0] > pair.0[$1] }
            let name = try Checkpoint.describe(folder["m.h5"]).classes[order[pair.1]].name
            let target = folder["data/val/\(name)"]
            try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: true)
            try FileManager.default.copyItem(
                atPath: folder["photos/\(index)/image.png"], toPath: target + "/\(index) <&>.png")
            return order[pair.1]
        }
    }

    private struct Score: Decodable {
        struct Class: Decodable { let index: Int, name: String, accuracy, top5, precision: Double?, images: Int }
        let images: Int, top1, top5, mean_accuracy: Double?, top1_ci95: [Double]?
        let classes: [Class], confusion_matrix: [[Int]], failed: [[String: String]]
    }

    @Test func theScoreIsTheOneByHand() throws {
        let (folder, probabilities) = try workshop()
        let labels = try labelled(folder, probabilities, ranks: [0, 3, 6])
        let run = try Program(
            "eval", "--top1", "-m", folder["m.h5"], "--data", folder["data"], "--crop-share", "1", "--json", "-q",
            "--report", folder["report"])
        #expect(run.status == 0 && run.errors.isEmpty, "\(run.errors)")
        let score = try JSONDecoder().decode(Score.self, from: Data(run.output.utf8))
        #expect(score.images == 3 && score.top1 == 1.0 / 3 && score.top5 == 2.0 / 3)
        let interval = try #require(score.top1_ci95)
        #expect(interval == [0, 1])
        #expect(score.classes.map(\.images).reduce(0, +) == 3 && score.classes.count == 7)
        for (index, label) in labels.enumerated() {
            let best = probabilities[index].indices.max { probabilities[index][$0] < probabilities[index][$1] } ?? 0
            #expect(score.confusion_matrix[label][best] >= 1)
        }
        #expect(score.classes.filter { $0.images == 0 }.allSatisfy { $0.accuracy == nil && $0.top5 == nil })
        let names = try FileManager.default.contentsOfDirectory(atPath: folder["report"]).sorted()
        #expect(names == ["confusion.png", "metrics.json", "per-class.csv", "per-image.csv", "report.html"])
        #expect(try String(contentsOfFile: folder["report/metrics.json"], encoding: .utf8) == run.output)
        let rows = try String(contentsOfFile: folder["report/per-image.csv"], encoding: .utf8).split(separator: "\n")
        #expect(
            rows.count == 4 && Set(rows.dropFirst().compactMap { $0.split(separator: ",").last }) == ["1", "4", "7"])
        let page = try Page(folder["report/report.html"])
        #expect(page.text.contains("33.33") && page.text.contains("0 <&>.png") && page.text.contains("Surest mistakes"))
        #expect(page.images.count == 3 && page.elements["script"] == nil && !page.source.contains("http"))
        try page.expectImagesDecode(in: folder)
    }

    @Test func unreadablePhotosAndStrangeClassesAreNamed() throws {
        let (folder, probabilities) = try workshop()
        _ = try labelled(folder, probabilities, ranks: [0, 0, 0])
        let name = try #require(try FileManager.default.contentsOfDirectory(atPath: folder["data/val"]).first)
        try Data("no picture".utf8).write(to: URL(fileURLWithPath: folder["data/val/\(name)/bad.png"]))
        func score() throws -> Program {
            try Program("eval", "--top1", "-m", folder["m.h5"], "--data", folder["data"], "-q")
        }
        let one = try score()
        #expect(one.status == 1 && one.errors.count == 1 && one.errors[0].contains("bad.png"), "\(one.errors)")
        #expect(one.output.contains("3 images; 1 image failed"))
        try FileManager.default.moveItem(atPath: folder["data/val/\(name)"], toPath: folder["data/val/unicorn"])
        let two = try score()
        #expect(two.status == 65 && two.output.isEmpty && two.errors.last?.contains("unicorn") == true, "\(two.errors)")
    }

    // MARK: Training

    private func photos() throws -> Scratch {
        let folder = try Scratch()
        for (index, name) in ["train/a/1", "train/a/2", "train/b/1", "train/b/2", "train/b/3", "val/a/1", "val/b/1"]
            .enumerated()
        {
            try SmallModel.photo(60, 50, seed: UInt64(index), to: folder["data/\(name).png"])
        }
        return folder
    }

    private func train(_ folder: Scratch, _ run: String, _ more: String...) -> [String] {
        [
            "finetune", "--task", "classification", "--data", folder["data"], "--preset", "tiny", "--set",
            "backbone.width=12", "--set", "backbone.depth=2", "--size", "32", "--batch", "2", "-o", folder[run],
        ] + more
    }

    @Test func trainingGoesOnAfterBeingKilled() throws {
        let folder = try photos()
        let options = ["--steps", "60", "--checkpoint-every", "5", "-q"]
        try KilledTraining.expectSame(6, folder, ["finetune"]) { train(folder, $0) + options }
        let scored = try Program("eval", "--top1", "-m", folder["whole/best.h5"], "--data", folder["data"])
        #expect(scored.status == 0 && scored.output.contains("top-1"), "\(scored.errors)")
        // Its own photos, from a list on a file.
        try (folder["data/val/a/1.png"] + "\n").write(toFile: folder["list.txt"], atomically: true, encoding: .utf8)
        let named = try Program("classify", "-m", folder["whole/best.h5"], folder["list.txt"])
        #expect(named.status == 0 && named.output.hasPrefix(folder["data/val/a/1.png"] + "\t"), "\(named.errors)")
    }

    @Test func whatCannotBeIsSaidInOneLine() throws {
        let folder = try photos()
        try SmallModel.save(to: folder["segmenter.h5"])
        func check(_ status: Int32, _ text: String, _ arguments: [String]) throws {
            let run = try Program(arguments: arguments)
            #expect(run.status == status && run.output.isEmpty, "\(run.status) \(run.errors)")
            #expect(run.errors.count == 1 && run.errors[0].contains(text), "\(run.errors)")
        }
        let (data, out) = (folder["data"], folder["run"])
        func tune(_ data: String, _ more: String...) -> [String] {
            ["finetune", "--task", "classification", "--data", data, "--preset", "tiny", "-q", "-o", out] + more
        }
        try check(66, "nowhere", tune(folder["nowhere"]))
        try check(65, "has no folder train", tune(data + "/train"))
        try check(64, "--class-weights", tune(data, "--class-weights", "1,2"))
        try check(64, "--mixup", tune(data, "--mixup", "-1"))
        try check(64, "--label-smoothing", tune(data, "--label-smoothing", "1.5"))
        try check(64, "--rand-augment none", tune(data, "--color-jitter", "0.2"))
        try check(64, "rand-augment", tune(data, "--rand-augment", "x3"))
        try check(64, "patch size", tune(data, "--size", "33"))
        try check(64, "classifier", tune(data, "--set", "classifier.classes=5"))
        try check(64, "--task classification", ["finetune", "--data", data, "--mixup", "1", "-o", out])
        try check(66, "no training state", ["finetune", "--resume", out, "-q"])
        try check(64, "--resume", ["finetune", "--resume", out, "--mixup", "1", "-q"])
        try FileManager.default.createDirectory(atPath: folder["one/train"], withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: data + "/train/a", toPath: folder["one/train/a"])
        try check(65, "one class only", tune(folder["one"]))
        #expect(!FileManager.default.fileExists(atPath: out))

        try check(65, "is a model for segmentation", ["classify", "-m", folder["segmenter.h5"], data])
        try check(66, "nowhere", ["classify", "-m", folder["segmenter.h5"], folder["nowhere"]])
        try check(64, "--top", ["classify", "-m", folder["segmenter.h5"], data, "--top", "0"])
        try check(64, "--model", ["classify", data])
        try check(65, "is a model for segmentation", ["eval", "--top1", "-m", folder["segmenter.h5"], "--data", data])
        try check(64, "--data", ["eval", "--top1", "-m", folder["segmenter.h5"]])
        try check(64, "--model", ["eval", "--top1", "--data", data])
        try check(64, "--flip", ["eval", "--top1", "-m", folder["segmenter.h5"], "--data", data, "--flip"])
        try check(64, "--miou", ["eval", "--top1", "--miou", "--data", data])
        try check(64, "--top1", ["eval", "--miou", "--crop-share", "0.5"])
        try check(65, "needed is one for segmentation", ["predict", "-m", try classifier(folder), data, "-o", out])
    }

    private func classifier(_ folder: Scratch) throws -> String {
        let run = try Program(
            "import", Oracle.path("hf-cls/official.h5"), "--set", "backbone.norm_eps=1e-12", "-o", folder["m.h5"])
        try #require(run.status == 0, "\(run.errors)")
        return folder["m.h5"]
    }
}
