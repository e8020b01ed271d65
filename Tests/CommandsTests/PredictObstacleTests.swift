import BEiTFiles
import BEiTImageIO
import BEiTPrediction
import Foundation
import Testing

/// What stands in the way of one image never ends a batch, and never costs a file.
@Suite struct PredictObstacleTests {
    /// A folder with `model.h5`.
    private func workshop(_ photos: String...) throws -> Scratch {
        let folder = try Scratch()
        try SmallModel.save(to: folder["model.h5"])
        for (index, name) in photos.enumerated() {
            try SmallModel.photo(40 + index, 30, seed: UInt64(index), to: folder[name])
        }
        return folder
    }

    private func predict(_ folder: Scratch, _ paths: [String], to output: String, _ more: String...) throws -> Program {
        try Program(arguments: ["predict"] + paths + ["-m", folder["model.h5"], "-o", output] + more)
    }

    private func statuses(_ folder: Scratch, _ output: String = "out") throws -> [String] {
        let data = try Data(contentsOf: URL(fileURLWithPath: folder[output + "/predictions.json"]))
        return try JSONDecoder().decode(PredictionManifest.self, from: data).images.map(\.status.rawValue)
    }

    @Test func anInputIsNeverAnOutput() throws {
        let folder = try workshop("a.png", "in/b.png")
        let photos = try ["a.png", "in/b.png"].map { try Data(contentsOf: URL(fileURLWithPath: folder[$0])) }
        let files = FileManager.default
        try files.createSymbolicLink(atPath: folder["link.png"], withDestinationPath: folder["a.png"])
        try files.createSymbolicLink(atPath: folder["linked"], withDestinationPath: folder["in"])
        try files.createDirectory(atPath: folder["hard"], withIntermediateDirectories: false)
        try files.linkItem(atPath: folder["a.png"], toPath: folder["hard/c.png"])
        try files.copyItem(atPath: folder["in/b.png"], toPath: folder["c.jpg"])
        try AtomicFile.write("a.png\n", to: folder["list.txt"])
        let cases = [
            ([folder["a.png"]], folder.path), ([folder["link.png"], folder["a.png"]], folder.path),
            ([folder["in/b.png"]], folder["linked"]), ([folder["c.jpg"], folder["a.png"]], folder["hard"]),
        ]
        for (paths, output) in cases {
            let run = try predict(folder, paths, to: output)
            #expect(run.status == 64 && run.errors.count == 1, "\(run.errors)")
            #expect(run.errors.first?.contains("nothing that is read is written to") == true, "\(run.errors)")
        }
        let empty = try predict(folder, [folder["a.png"]], to: "")
        #expect(empty.status == 64 && empty.errors.first?.contains("--output is empty") == true, "\(empty.errors)")
        for (name, photo) in zip(["a.png", "in/b.png"], photos) {
            #expect(try Data(contentsOf: URL(fileURLWithPath: folder[name])) == photo)
        }
        #expect(!files.fileExists(atPath: folder["predictions.json"]))
    }

    /// Results of one name: the second photo is named, and none is lost.
    @Test(
        arguments: [
            ["in/a.png", "in/a.overlay.png"], ["in/a.png/x.png", "in/a.jpg"], ["in/a.png", "in/a.jpg"],
            ["in/b/a.png", "in/b/a.jpeg"], ["in/a.overlay.png/x.png", "in/a.png"],
        ])
    func resultsThatMeetAreNamed(_ names: [String]) throws {
        let folder = try workshop()
        for (index, name) in names.enumerated() {
            try SmallModel.photo(40 + index, 30, seed: UInt64(index), to: folder[name])
        }
        let run = try predict(folder, [folder["in"]], to: folder["out"])
        #expect(run.status == 1, "\(run.errors)")
        #expect(run.errors.count { $0.contains("would overwrite those of") } == 1, "\(run.errors)")
        #expect(try statuses(folder).sorted() == ["done", "failed"])
    }

    @Test func oneObstacleNeverEndsTheBatch() throws {
        let folder = try workshop("in/a.png", "in/folder.png", "in/device.png", "in/z.png")
        try SmallModel.photo(20, 20, seed: 9, to: folder["in/" + String(repeating: "n", count: 247) + ".png"])
        mkfifo(folder["in/fifo.png"], 0o644)
        try FileManager.default.createDirectory(
            atPath: folder["out/folder.overlay.png"], withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(atPath: folder["out/device.png"], withDestinationPath: "/dev/null")
        for more in [[], ["--tile"], ["--format", "probabilities"]] {
            let run = try Program(
                arguments: ["predict", folder["in"], "-m", folder["model.h5"], "-o", folder["out"]] + more)
            let isHDF5 = more.count == 2
            #expect(run.status == 1, "\(run.errors)")
            let names = isHDF5 ? ["nnn"] : ["nnn", "folder.png", "device.png"]
            for name in names { #expect(run.errors.contains { $0.contains(name) }, "\(name): \(run.errors)") }
            let masks = try FileManager.default.contentsOfDirectory(atPath: folder["out"])
            let ending = isHDF5 ? ".probabilities.h5" : ".overlay.png"
            #expect(masks.contains("a" + ending) && masks.contains("z" + ending), "\(masks)")
            #expect(!masks.contains { $0.hasSuffix(".partial") || $0.hasPrefix("nnn") && !isHDF5 }, "\(masks)")
        }
    }

    @Test func aPhotoThatVanishesIsNamed() throws {
        let folder = try workshop("a.png", "b.png")
        try AtomicFile.write("\(folder["a.png"])\n\(folder["gone.png"])\n\(folder["b.png"])\n", to: folder["list.txt"])
        let run = try predict(folder, [folder["list.txt"]], to: folder["out"])
        #expect(run.status == 1 && run.errors.contains { $0.contains("gone.png: cannot open") }, "\(run.errors)")
        #expect(try statuses(folder) == ["done", "failed", "done"])
    }

    /// Finite weights whose logits are not.
    @Test func aModelWhoseOutputIsNotFiniteIsToBlame() throws {
        let folder = try workshop("in/a.png", "in/b.png")
        try SmallModel.save(to: folder["model.h5"], isHuge: true)
        for more in [["--format", "confidence"], ["--tile"], ["--flip"]] {
            let run = try Program(
                arguments: ["predict", folder["in"], "-m", folder["model.h5"], "-o", folder["out"]] + more)
            #expect(run.status == 65 && run.errors.last?.contains("not finite") == true, "\(run.errors)")
            #expect(try statuses(folder) == ["failed", "failed"])
            let left = try FileManager.default.contentsOfDirectory(atPath: folder["out"]).sorted()
            #expect(left == ["predictions.json", "review.csv"])
        }
    }
}
