import BEiTFiles
import BEiTImageIO
import Foundation
import Testing

/// Nothing that a command reads is ever written to, by whatever name it is reached.
@Suite struct OutputTests {
    /// A model, photos and masks, and other names for some of them: `link.h5`, `hard.h5`, `linked/`.
    private func workshop() throws -> Scratch {
        let folder = try Scratch()
        try SmallModel.save(to: folder["m.h5"], names: ["a", "b"])
        for name in ["0", "confusion"] {
            try SmallModel.photo(50, 40, seed: 1, to: folder["photos/\(name).png"])
            let values = (0..<50 * 40).map { UInt16($0 / 30 % 2) }
            try writePNG(IndexMask(width: 50, height: 40, values: values), to: folder["masks/\(name).png"])
        }
        try AtomicFile.write("a 0 0 0\nb 9 9 9\n", to: folder["classes.txt"])
        for (name, target) in [("link.h5", "m.h5"), ("linked", "masks"), ("photo-link.png", "photos/0.png")] {
            _ = symlink(folder[target], folder[name])
        }
        _ = link(folder["m.h5"], folder["hard.h5"])
        return folder
    }

    /// In the shell's words, with `$` for the folder; and a word of the message.
    @Test(
        arguments: [
            ("import $/m.h5 -o $/m.h5", "read as well"),
            ("import $/m.h5 -o $/./photos/../m.h5", "which is read"),
            ("import $/m.h5 -o $/link.h5", "which is read"),
            ("import $/link.h5 -o $/hard.h5", "which is read"),
            ("import $/m.h5 --classes $/classes.txt -o $/classes.txt", "read as well"),
            ("import $/m.h5 -o /dev/null", "not a file"),
            ("import $/m.h5 -o ", "empty name"),
            ("import $/m.h5 -o $/photos", "it is a folder"),
            ("export $/m.h5 -o $/link.h5", "which is read"),
            ("export $/hard.h5 -o $/m.h5 --layout flat", "which is read"),
            ("export $/m.h5 -o /dev/full", "not a file"),
            ("logits -m $/m.h5 -i $/in.h5 -o $/in.h5", "read as well"),
            ("logits -m $/m.h5 -i $/in.h5 -o $/hard.h5", "which is read"),
            ("tokenizer encode -m $/m.h5 $/photos -o $/m.h5", "read as well"),
            ("tokenizer encode -m $/m.h5 $/photos -o $/photos/0.png", "read as well"),
            ("tokenizer encode -m $/m.h5 $/photos/0.png -o $/photo-link.png", "which is read"),
            ("tokenizer reconstruct -m $/m.h5 $/photos/0.png -o $/photos", "read as well"),
            ("tokenizer reconstruct -m $/m.h5 $/photos/0.png -o $/pairs --sheet $/photo-link.png", "which is read"),
            ("elbo $/photos -m $/m.h5 --tokenizer $/hard.h5 --report $/photos/0.png", "read as well"),
            ("elbo $/photos -m $/m.h5 --tokenizer $/hard.h5 --report $/link.h5", "which is read"),
            ("eval --miou -m $/m.h5 --images $/photos --masks $/masks --report $/masks", "read as well"),
            ("eval --miou -m $/m.h5 --images $/photos --masks $/masks --report $/linked/", "which is read"),
            ("eval --miou --predictions $/masks --masks $/masks --report $/linked", "which is read"),
            ("finetune --data $/photos -o $/photos", "read as well"),
            ("pretrain --data $/masks --objective pixels -o $/linked", "which is read"),
            ("tokenizer train --data $/masks $/photos -o $/photos/", "which is read"),
        ])
    func anInputIsNoOutput(_ line: String, _ word: String) throws {
        let folder = try workshop()
        if line.contains("in.h5") { try AtomicFile.write("pixels", to: folder["in.h5"]) }
        let before = try contents(folder.path)
        let arguments = line.split(separator: " ", omittingEmptySubsequences: false).map {
            $0.replacingOccurrences(of: "$", with: folder.path)
        }
        let run = try Program(arguments: arguments)
        #expect(run.status == 64, "\(run.errors)")
        #expect(run.errors.count == 1 && run.errors[0].contains(word), "\(run.errors)")
        #expect(try contents(folder.path) == before)
        #expect(FileSystem.status(of: "/dev/null")?.kind == .other)
    }

    /// A picture of the report would replace a mask in a folder below.
    @Test func aReportOverwritesNoMask() throws {
        let folder = try workshop()
        try makeFolder(folder["set"])
        for name in ["photos", "masks"] { _ = symlink(folder[name], folder["set/" + name]) }
        let before = try contents(folder.path)
        let run = try Program(
            "eval", "--miou", "-m", folder["m.h5"], "--images", folder["photos"], "--masks", folder.path, "--report",
            folder["masks"])
        #expect(run.status == 64 || run.status == 65, "\(run.errors)")
        #expect(try contents(folder.path) == before)
    }

    @Test(arguments: ["report.html", "config.json", "predictions.png", "best.h5"])
    func aRunOverwritesNoFileOfAnotherOrigin(_ name: String) throws {
        let folder = try workshop()
        try AtomicFile.write("mine", to: folder["run/" + name])
        let run = try Program(
            "pretrain", "--data", folder["photos"], "--objective", "pixels", "--preset", "tiny", "--steps", "1", "-o",
            folder["run"])
        #expect(run.status == 64 && run.errors.last?.contains(name) == true, "\(run.errors)")
        #expect(try FileSystem.names(in: folder["run"]) == [name])
        #expect(try FileSystem.read(folder["run/" + name]) == Array("mine".utf8))
    }

    /// A link is followed: a model may lie on another disk.
    @Test func aLinkToAnOldResultIsFollowed() throws {
        let folder = try workshop()
        try AtomicFile.write("old", to: folder["disk/old.h5"])
        _ = symlink("disk/old.h5", folder["new.h5"])
        #expect(try Program("export", folder["m.h5"], "-o", folder["new.h5"]).status == 0)
        #expect(FileSystem.status(of: folder["new.h5"], followingLinks: false)?.kind == .link)
        #expect(try Program("inspect", folder["disk/old.h5"]).status == 0)
    }

    /// Of every file and link below a folder.
    private func contents(_ folder: String) throws -> [String: [UInt8]] {
        var result: [String: [UInt8]] = [:]
        for name in try FileSystem.names(in: folder) {
            let path = folder.joined(name)
            switch FileSystem.status(of: path, followingLinks: false)?.kind {
            case .folder: result.merge(try contents(path)) { $1 }
            case .link: result[path] = [0]
            default: result[path] = try FileSystem.read(path)
            }
        }
        return result
    }
}
