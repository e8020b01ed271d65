import BEiTFiles
import BEiTImageIO
import Foundation
import Testing

/// Which images `PATH...` stands for, and what becomes of those that cannot be had.
@Suite struct InputPathTests {
    /// A folder with `model.h5`, and photos in `a/` and `b/`.
    private func workshop() throws -> Scratch {
        let folder = try Scratch()
        try SmallModel.save(to: folder["model.h5"])
        try SmallModel.photo(40, 30, seed: 1, to: folder["a/x.png"])
        try SmallModel.photo(40, 30, seed: 2, to: folder["b/x.png"])
        return folder
    }

    private func predict(_ folder: Scratch, _ paths: [String], _ more: String...) throws -> Program {
        let options = ["-m", folder["model.h5"], "-o", folder["out"], "--format", "index"]
        return try Program(arguments: ["predict"] + paths.map { folder[$0] } + options + more)
    }

    private func masks(_ folder: Scratch) -> [String] {
        (FileManager.default.subpaths(atPath: folder["out"]) ?? []).filter { $0.hasSuffix(".png") }.sorted()
    }

    @Test func severalFoldersStayApart() throws {
        let folder = try workshop()
        #expect(try predict(folder, ["a", "b", "a/x.png"]).status == 0)
        #expect(masks(folder) == ["a/x.png", "b/x.png"])
    }

    @Test func flatResultsBearTheNamesAlone() throws {
        let folder = try workshop()
        try SmallModel.photo(40, 30, seed: 3, to: folder["b/y.png"])
        #expect(try predict(folder, ["a", "b/y.png"], "--flat").status == 0)
        #expect(masks(folder) == ["x.png", "y.png"])
    }

    @Test func whatIsLeftOutIsSaidOnce() throws {
        let folder = try workshop()
        for name in ["p.gif", "q.gif", ".hidden.png"] { try AtomicFile.write("", to: folder["a/" + name]) }
        let run = try predict(folder, ["a"])
        #expect(run.status == 0)
        let lines = run.errors.filter { $0.contains("left out") }
        #expect(lines.count == 1 && lines[0].contains("2 .gif (not read") && lines[0].contains("1 hidden"), "\(lines)")
        try FileManager.default.removeItem(atPath: folder["a/x.png"])
        let none = try predict(folder, ["a"])
        #expect(none.status == 66 && none.errors.count == 1 && none.errors[0].contains("2 .gif"), "\(none.errors)")
    }

    @Test(.timeLimit(.minutes(2))) func aFIFOFailsAndTheRestGoesOn() throws {
        let folder = try workshop()
        #expect(mkfifo(folder["a/f.png"], 0o600) == 0)
        let run = try predict(folder, ["a"])
        #expect(run.status == 1 && masks(folder) == ["x.png"])
        #expect(
            run.errors.contains { $0.contains("f.png: it is a FIFO, a socket or a device, not an image") },
            "\(run.errors)")
    }

    @Test func aSecondRunWithoutResumeDoesAllAnew() throws {
        let folder = try workshop()
        for _ in 0..<2 {
            let run = try predict(folder, ["a"])
            #expect(run.status == 0 && !run.errors.contains { $0.contains("complete already") }, "\(run.errors)")
        }
    }

    @Test func aDamagedPhotoIsNamedOrAllowed() throws {
        let folder = try workshop()
        // Noise, so that there are more data than tables, and half of the file ends within them.
        let noise = (0..<3 * 120 * 90).map { UInt8(truncatingIfNeeded: ($0 &* 7919) >> 3) }
        let jpeg = try encodeJPEG(RGBImage(width: 120, height: 90, pixels: noise))
        try AtomicFile.write(Array(jpeg[..<(jpeg.count / 2)]), to: folder["a/d.jpg"])
        let refused = try predict(folder, ["a"])
        #expect(refused.status == 1 && masks(folder) == ["x.png"])
        #expect(refused.errors.contains { $0.contains("a/d.jpg: is damaged: Premature end of JPEG file; ") })
        let allowed = try predict(folder, ["a"], "--allow-damaged")
        #expect(allowed.status == 0 && masks(folder) == ["d.png", "x.png"])
        #expect(allowed.errors.filter { $0.contains("a/d.jpg: is damaged") && $0.contains("warning") }.count == 1)
    }

    @Test func aListThatIsNoTextIsRefused() throws {
        let folder = try workshop()
        try AtomicFile.write([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0], to: folder["list.txt"])
        let run = try predict(folder, ["list.txt"])
        #expect(
            run.status == 65 && run.errors.count == 1 && run.errors[0].contains("no list of paths"), "\(run.errors)")
    }
}
