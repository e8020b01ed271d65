import BEiTImageIO
import Foundation
import Testing

/// The whole command on PNG files, against scores that were computed elsewhere.
@Suite struct EvalTests {
    static let fixtures = Bundle.module.resourceURL!.appendingPathComponent("Fixtures")
    static let cases = [
        "absent_classes", "all_ignored", "gray_errors", "gray_ignore", "gray_perfect", "many_classes_150", "palette",
        "predicted_only_class", "reduce_zero_label", "reduce_zero_label_good_model", "single_pixel",
    ]

    private struct Meta: Decodable {
        struct Case: Decodable {
            let classes, pairs: Int
            let reduce_zero_label: Bool
            let expected: Scores
        }
        let cases: [String: Case]
    }

    private struct Scores: Decodable {
        let iou, class_accuracy, dice: [Double?]
        let miou, mean_accuracy, mean_dice, pixel_accuracy, frequency_weighted_iou: Double?
        let counted_pixels: Int
    }

    private struct Report: Decodable {
        struct Class: Decodable {
            let index: Int, name: String, iou, accuracy, precision, dice: Double?, pixels: Int
        }
        let images, pixels, ignored_pixels: Int
        let miou, pixel_accuracy, mean_accuracy, mean_dice, frequency_weighted_iou: Double?
        let miou_ci95: [Double]?
        let classes: [Class]
        let confusion_matrix: [[Int]]
        let failed: [[String: String]]
    }

    /// `labels/i.png`, `predictions/i.png` and a class list.
    private func folder(_ name: String, classes: Int, pairs: Int) throws -> Scratch {
        let folder = try Scratch()
        for kind in ["label", "prediction"] {
            try FileManager.default.createDirectory(atPath: folder[kind + "s"], withIntermediateDirectories: true)
            for i in 0..<pairs {
                try FileManager.default.copyItem(
                    at: Self.fixtures.appendingPathComponent("miou/\(name)/\(kind)_\(i).png"),
                    to: URL(fileURLWithPath: folder["\(kind)s/\(i).png"]))
            }
        }
        try (0..<classes).map { "c\($0)\n" }.joined().write(
            toFile: folder["classes.txt"], atomically: true, encoding: .utf8)
        return folder
    }

    private func close(_ x: Double?, _ y: Double?) -> Bool {
        guard let x, let y else { return x == nil && y == nil }
        return abs(x - y) <= 1e-9
    }

    @Test(arguments: cases) func scoresAreThoseOfTheFixture(_ name: String) throws {
        let data = try Data(contentsOf: Self.fixtures.appendingPathComponent("miou/meta.json"))
        let wanted = try #require(try JSONDecoder().decode(Meta.self, from: data).cases[name])
        let folder = try folder(name, classes: wanted.classes, pairs: wanted.pairs)
        let run = try Program(
            arguments: [
                "eval", "--miou", "--json", "--predictions", folder["predictions"], "--masks", folder["labels"],
                "--classes", folder["classes.txt"],
            ] + (wanted.reduce_zero_label ? ["--reduce-zero-label", "--prediction-values", "classes"] : []))
        #expect(run.status == 0 && run.errors.isEmpty, "\(run.errors)")
        let report = try JSONDecoder().decode(Report.self, from: Data(run.output.utf8))
        let expected = wanted.expected
        #expect(report.images == wanted.pairs && report.pixels == expected.counted_pixels && report.failed.isEmpty)
        #expect(report.classes.map(\.name) == (0..<wanted.classes).map { "c\($0)" })
        let pairs = [
            (report.miou, expected.miou), (report.pixel_accuracy, expected.pixel_accuracy),
            (report.mean_accuracy, expected.mean_accuracy), (report.mean_dice, expected.mean_dice),
            (report.frequency_weighted_iou, expected.frequency_weighted_iou),
        ]
        for (place, pair) in pairs.enumerated() { #expect(close(pair.0, pair.1), "\(place): \(pair)") }
        for (k, info) in report.classes.enumerated() {
            #expect(close(info.iou, expected.iou[k]) && close(info.dice, expected.dice[k]), "class \(k)")
            #expect(close(info.accuracy, expected.class_accuracy[k]), "class \(k)")
            #expect(info.pixels == report.confusion_matrix[k].reduce(0, +))
        }
        if let miou = report.miou, wanted.pairs > 1, let interval = report.miou_ci95 {
            #expect(interval.count == 2 && interval[0] <= miou && miou <= interval[1])
        }
        #expect((report.miou == nil) == (report.miou_ci95 == nil))
        // Keys that have no value are there as null.
        let json = try #require(try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any])
        #expect(json.keys.contains("miou") && json.keys.contains("miou_ci95") && json.keys.contains("pixel_accuracy"))
    }

    @Test func theTableIsForPeople() throws {
        let folder = try folder("gray_errors", classes: 6, pairs: 3)
        let run = try Program("eval", "--miou", "--predictions", folder["predictions"], "--masks", folder["labels"])
        #expect(run.status == 0)
        #expect(run.output.contains("class 5    55.79    71.48     71.76    71.62      256"))
        #expect(run.output.contains("mIoU 60.61 (95 %: "))
        #expect(run.errors == ["beit-seg: the classes are taken to be 0 to 5; --classes names them"])
    }

    /// Labels that are not as they should be, beside a good pair.
    @Test(
        arguments: [
            ("label_good", 0, nil), ("label_out_of_range", 65, "200"), ("label_rgb", 1, "not a mask"),
            ("label_size", 1, "pixels"),
        ] as [(String, Int32, String?)])
    func badLabels(_ name: String, _ status: Int32, _ word: String?) throws {
        let folder = try folder("gray_perfect", classes: 4, pairs: 1)
        for (from, to) in [(name, "labels/bad.png"), ("prediction", "predictions/bad.png")] {
            try FileManager.default.copyItem(
                at: Self.fixtures.appendingPathComponent("labels/\(from).png"), to: URL(fileURLWithPath: folder[to]))
        }
        let run = try Program(
            "eval", "--miou", "--json", "--predictions", folder["predictions"], "--masks", folder["labels"],
            "--classes",
            folder["classes.txt"])
        #expect(run.status == status)
        guard let word else { return #expect(run.errors.isEmpty) }
        #expect(run.errors.count == 1)
        #expect(
            run.errors.first?.contains("bad.png") == true && run.errors.first?.contains(word) == true, "\(run.errors)")
        #expect(run.output.isEmpty == (status == 65))
        guard status == 1 else { return }
        let report = try JSONDecoder().decode(Report.self, from: Data(run.output.utf8))
        #expect(report.images == 1 && report.miou == 1 && report.failed.count == 1)
    }

    @Test func aMaskWithoutItsPredictionIsNamed() throws {
        let folder = try folder("gray_errors", classes: 6, pairs: 3)
        try FileManager.default.removeItem(atPath: folder["predictions/1.png"])
        let run = try Program(
            "eval", "--miou", "--predictions", folder["predictions"], "--masks", folder["labels"], "-q")
        #expect(run.status == 1)
        #expect(run.errors.count == 1 && run.errors[0].contains("labels/1.png"))
    }

    @Test(
        arguments: [
            (["eval"], 64, "--miou"), (["eval", "--miou", "--images", "x"], 64, "--masks"),
            (["eval", "--miou", "--masks", "x"], 64, "--predictions"),
            (["eval", "--miou", "--predictions", "no", "--masks", "nor"], 66, "nor"),
            (["eval", "--miou", "--data", "x", "--images", "y", "--masks", "z"], 64, "--data"),
            (["predict"], 64, "predict --help"), (["predict", "nowhere.jpg"], 66, "nowhere.jpg"),
            (["predict", "x", "--shard", "3/2"], 64, "3/2"), (["predict", "x", "--scales", "1,b"], 64, "1,b"),
            (["predict", "x", "--size", "9", "--crop", "9"], 64, "--size"),
            (["predict", "x", "--format", "jpeg"], 64, "jpeg"),
        ] as [([String], Int32, String)])
    func wrongUsageIsOneLine(_ arguments: [String], _ status: Int32, _ word: String) throws {
        let run = try Program(arguments: arguments)
        #expect(run.status == status && run.output.isEmpty)
        #expect(run.errors.count == 1 && run.errors[0].contains(word), "\(run.errors)")
    }
}
