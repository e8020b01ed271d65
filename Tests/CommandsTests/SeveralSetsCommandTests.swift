import BEiTFiles
import BEiTImageIO
import Foundation
import Testing

/// Sets of which one calls background what another has a class for, as users meet them.
@Suite struct SeveralSetsCommandTests {
    private struct Score: Decodable {
        let pixel_accuracy: Double, pixels: Int, other_classes_on_background: Int?
        let confusion_matrix: [[Int]]
    }

    private func score(_ arguments: [String]) throws -> (Score, [String]) {
        let run = try Program(arguments: ["eval", "--miou", "--json"] + arguments)
        #expect(run.status == 0, "\(run.errors)")
        return (try JSONDecoder().decode(Score.self, from: Data(run.output.utf8)), run.errors)
    }

    @Test func evalTakesTheRuleOfTheModel() throws {
        let folder = try Scratch()
        let names = ["wall", "background", "c", "cat", "e"]
        try SmallModel.save(to: folder["own.h5"], names: names)
        try SmallModel.save(to: folder["shared.h5"], names: names, sharesBackground: true)
        try AtomicFile.write("background 0 0 0\ncat 255 0 0\n", to: folder["data/classes.txt"])
        for index in 0..<2 {
            try SmallModel.photo(80, 60, seed: UInt64(index), to: folder["data/images/val/\(index).png"])
            let mask = IndexMask(width: 80, height: 60, values: (0..<4800).map { $0 % 80 < 60 ? 0 : 1 })
            try writePNG(mask, to: folder["data/masks/val/\(index).png"])
        }
        let data = ["--data", folder["data"], "-m"]
        let (own, quiet) = try score(data + [folder["own.h5"]]),
            (shared, said) = try score(data + [folder["shared.h5"]])
        let others = own.confusion_matrix[1]
        let excused = others[0] + others[2] + others[4]
        #expect(excused > 0 && own.other_classes_on_background == nil && shared.other_classes_on_background == excused)
        #expect(shared.confusion_matrix[1] == [0, others[1] + excused, 0, others[3], 0])
        #expect(shared.confusion_matrix[3] == own.confusion_matrix[3] && shared.pixels == own.pixels)
        #expect(abs(shared.pixel_accuracy - own.pixel_accuracy - Double(excused) / Double(own.pixels)) < 1e-9)
        #expect(
            said.contains { $0.contains("where the masks say background, any of its 3 classes that they do not have") })
        #expect(!quiet.contains { $0.contains("background") }, "\(quiet)")
        // Either rule for any model.
        #expect(
            try score(data + [folder["own.h5"], "--background", "shared"]).0.confusion_matrix == shared.confusion_matrix
        )
        #expect(
            try score(data + [folder["shared.h5"], "--background", "own"]).0.confusion_matrix == own.confusion_matrix)
        let both = try score(data + [folder["own.h5"], "--compare", folder["shared.h5"]]).1
        #expect(both.contains { $0.contains("two rules: --background shared or own") })
        let inspected = try Program("inspect", folder["shared.h5"])
        #expect(inspected.output.contains("of one data set it may be a class of another"))
    }

    @Test(arguments: [
        ("--data a --background own", "--background is for several data sets, and there is 1"),
        ("--data a --proportions 1", "--proportions is for several data sets, and there is 1"),
        ("--data a b --proportions 3,1,1", "--proportions 3,1,1: 3 numbers for 2 data sets; give one for each"),
        ("--data a b --proportions 3,0", "--proportions 3,0: each must be from 0.001 to 1000000"),
        ("--data a b --proportions=-1,2", "--proportions -1,2: each must be from 0.001 to 1000000"),
        ("--task classification --data a --background own", "--background belongs to --task segmentation"),
        ("--task classification --data a --proportions 1,2", "--proportions belongs to --task segmentation"),
    ])
    func whatCannotBeIsRefused(_ line: String, _ message: String) throws {
        let folder = try Scratch()
        let run = try Program(
            arguments: ["finetune", "-o", folder["run"]] + line.split(separator: " ").map(String.init))
        #expect(run.status == 64 && run.errors.count == 1)
        #expect(run.errors.first?.contains(message) == true, "\(run.errors)")
    }

    @Test(arguments: [
        ("eval --top1 --data a -m b --background own", "--background, "),
        ("eval --miou --predictions a --masks b --background own", "--background is about a model's classes"),
        ("finetune --resume a --proportions 1,2", "leave out --proportions"),
        ("finetune --resume a --background own", "leave out --background"),
    ])
    func whereTheyHaveNoMeaningTheyAreRefused(_ line: String, _ message: String) throws {
        let run = try Program(arguments: line.split(separator: " ").map(String.init))
        #expect(run.status == 64 && run.errors.first?.contains(message) == true, "\(run.errors)")
    }
}
