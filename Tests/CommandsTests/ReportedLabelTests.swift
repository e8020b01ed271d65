import BEiTImageIO
import Foundation
import Testing

/// Situations that users reported, with the scores that are right.
@Suite struct ReportedLabelTests {
    private static let folder = EvalTests.fixtures.appendingPathComponent("reported").path

    private struct Score: Decodable {
        struct Class: Decodable { let name: String, iou: Double?, pixels: Int }
        let miou: Double?, pixels: Int, ignored_pixels: Int, classes: [Class]
    }

    private func path(_ name: String) -> String { Self.folder + "/" + name }

    private func eval(_ arguments: [String]) throws -> (score: Score?, run: Program) {
        let run = try Program(arguments: ["eval", "--miou", "--json"] + arguments)
        return (try? JSONDecoder().decode(Score.self, from: Data(run.output.utf8)), run)
    }

    private func predictions(_ p: String, _ masks: String, _ more: [String] = []) throws -> (
        score: Score?, run: Program
    ) {
        try eval(["--predictions", path(p), "--masks", path(masks)] + more)
    }

    // MARK: Classes

    private static let samples = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("samples").path

    private func order(_ list: String) throws -> (score: Score?, run: Program) {
        try eval([
            "--images", Self.samples + "/images", "--masks", path("03-class-order/masks"), "--classes",
            path("03-class-order/" + list),
        ])
    }

    @Test func classesInAnotherOrderGoByName() throws {
        let (score, run) = try order("classes.txt")
        #expect(run.status == 0, "\(run.errors)")
        let usual = try eval([]).score  // the samples with their own masks and classes
        #expect(score?.miou == usual?.miou && (score?.miou ?? 0) > 0.5, "\(score?.miou ?? 0)")
    }

    @Test(arguments: [("classes-Bag.txt", "Bag (bag?)"), ("classes-unknown.txt", "x0, x1, x2, x3, x4 and 10 more")])
    func aStrangerIsNamed(_ list: String, _ names: String) throws {
        let run = try order(list).run
        #expect(run.status == 65 && run.output.isEmpty)
        #expect(run.errors.count == 1 && run.errors[0].contains(names), "\(run.errors)")
    }

    // MARK: Void

    @Test(arguments: [1, 2, 3])
    func theReductionAndTheIgnoredValueVoidNothingElse(_ value: Int) throws {
        // Pixels of the values 0, 1, 2 and 3.
        let counts = [144, 153, 139, 164]
        let list = ["--classes", path("05-reduce-and-ignore/classes.txt"), "--reduce-zero-label"]
        let (score, run) = try predictions(
            "05-reduce-and-ignore/same", "05-reduce-and-ignore/truth", list + ["--ignore-index", "\(value)"])
        #expect(run.status == 0, "\(run.errors)")
        #expect(score?.ignored_pixels == counts[0] + counts[value] && score?.miou == 1)
    }

    @Test func equalFilesScoreAHundredWithAReduction() throws {
        let (score, run) = try predictions(
            "05-reduce-and-ignore/same", "05-reduce-and-ignore/truth",
            ["--classes", path("05-reduce-and-ignore/classes.txt"), "--reduce-zero-label"])
        #expect(run.status == 0 && score?.miou == 1 && score?.ignored_pixels == 144, "\(run.errors)")
        #expect(run.errors.contains { $0.contains("read by the same rules") })
        // Class indices, of which 0 is one.
        let indices = try predictions(
            "05-reduce-and-ignore/pred", "05-reduce-and-ignore/truth",
            ["--classes", path("05-reduce-and-ignore/classes.txt"), "--reduce-zero-label"])
        #expect(indices.run.status == 0 && indices.score?.miou == 1, "\(indices.run.errors)")
    }

    @Test(arguments: [("all-background", 0.3508), ("half-wrong", 0.3227)])
    func binaryMasks(_ name: String, _ miou: Double) throws {
        let (score, run) = try predictions("07-binary/" + name, "07-binary/truth", ["--binary"])
        #expect(run.status == 0 && abs((score?.miou ?? 0) - miou) < 5e-5, "\(score?.miou ?? 0) \(run.errors)")
        let refused = try predictions("07-binary/" + name, "07-binary/truth").run
        #expect(refused.status == 65 && refused.output.isEmpty && refused.errors.count == 1)
        #expect(refused.errors.first?.contains("--binary") == true, "\(refused.errors)")
        let meant = try predictions("07-binary/" + name, "07-binary/truth", ["--ignore-index", "255"]).run
        #expect(meant.status == 0, "\(meant.errors)")
        #expect(
            try predictions("07-binary/" + name, "07-binary/truth", ["--binary", "--ignore-index", "255"]).run.status
                == 64)
    }

    @Test(arguments: [true, false])
    func whatIsPredictedVoidIsAnErrorOfItsClass(_ isListed: Bool) throws {
        let list = isListed ? ["--classes", path("13-prediction-255/classes.txt")] : []
        let (score, run) = try predictions("13-prediction-255/p", "13-prediction-255/t", list)
        #expect(run.status == 0 && score?.classes.count == 3, "\(run.errors)")
        #expect(abs((score?.miou ?? 0) - 0.892) < 5e-4, "\(score?.miou ?? 0)")
    }

    // MARK: Exif

    private func exif(_ images: String, _ more: [String] = []) throws -> (score: Score?, run: Program) {
        try eval(
            [
                "--images", path("09-exif/" + images), "--masks", path("09-exif/masks"), "--classes",
                Self.samples + "/classes.txt",
            ]
                + more)
    }

    /// Of the cat in the photo, by the model that ships.
    private func cat(_ score: Score?) -> Double { score?.classes.first { $0.name == "cat" }?.iou ?? 0 }

    @Test func aPhotoUpsideDownIsSaid() throws {
        let upright = try exif("images")
        #expect(upright.run.status == 0)
        #expect(upright.run.errors.contains { $0.contains("--mask-orientation stored") }, "\(upright.run.errors)")
        #expect(upright.score != nil && cat(upright.score) < 0.3)
        // The photo's Exif is wrong: it is seen upside down, and so is the mask.
        #expect(cat(try exif("images", ["--mask-orientation", "stored"]).score) > 0.9)
    }

    @Test(arguments: ["images", "images6"]) func neitherPhotoNorMaskIsTurned(_ name: String) throws {
        let both = try exif(name, ["--mask-orientation", "both-stored"])
        #expect(cat(both.score) > 0.8, "\(cat(both.score)) \(both.run.errors)")
    }

    @Test func aPhotoOnItsSideIsFoundBySize() throws {
        let (score, run) = try exif("images6")
        #expect(run.status == 0 && cat(score) > 0.6, "\(cat(score))")
        #expect(run.errors.contains { $0.contains("turned as the photo's Exif says") }, "\(run.errors)")
    }

    // MARK: Colours and names

    @Test(arguments: ["p", "rgb"])
    func masksInTheClassesColours(_ name: String) throws {
        let list = try Scratch()
        try "background 0 0 0\ncat 255 160 0\ndog 0 128 255\n".write(
            toFile: list["classes.txt"], atomically: true, encoding: .utf8)
        let (score, run) = try predictions(
            "14-palette-order/" + name, "14-palette-order/t", ["--classes", list["classes.txt"]])
        #expect(run.status == 0 && score?.miou == 1, "\(score?.miou ?? 0) \(run.errors)")
        #expect(run.errors.contains { $0.contains("colour") }, "\(run.errors)")
    }

    @Test func masksScoredAgainstThemselves() throws {
        let (score, run) = try predictions("13-prediction-255/t", "13-prediction-255/t")
        #expect(run.status == 0 && score?.miou == 1, "\(run.errors)")
    }

    @Test func photoAndMaskInOneFolder() throws {
        let folder = path("15-one-folder")
        let run = try eval(["--images", folder, "--masks", folder, "--classes", Self.samples + "/classes.txt"]).run
        #expect(run.status == 0, "\(run.errors)")
    }
}
