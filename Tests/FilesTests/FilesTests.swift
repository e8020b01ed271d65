import BEiTFiles
import Foundation
import Testing

/// A folder that goes away with the test.
private final class Scratch {
    let path = NSTemporaryDirectory() + "beit-seg-" + UUID().uuidString

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    subscript(name: String) -> String { path + "/" + name }
    var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }
}

@Suite struct LockedFileTests {
    @Test func oneAtATimeHoldsAFile() throws {
        let folder = try Scratch()
        var first = try LockedFile(folder["made/.lock"])
        #expect(first != nil)
        #expect(try LockedFile(folder["made/.lock"]) == nil)
        first = nil
        #expect(!FileManager.default.fileExists(atPath: folder["made/.lock"]))
        let second = try LockedFile(folder["made/.lock"])
        #expect(second != nil)
    }

    @Test func aKilledProcessHoldsNothing() async throws {
        let folder = try Scratch(), path = folder[".lock"]
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let lock = try LockedFile(path)
            withExtendedLifetime(lock) { if lock != nil { kill(getpid(), SIGKILL) } }
        }
        #expect(folder.names == [".lock"])
        let lock = try LockedFile(path)
        #expect(lock != nil)
    }

    @Test func whatCannotBeMadeIsNamed() throws {
        let folder = try Scratch()
        try AtomicFile.write("", to: folder["file"])
        let error = #expect(throws: FileError.self) { try LockedFile(folder["file/run/.lock"]) }
        #expect(error?.exitStatus == 74 && error?.reason == "cannot create the folder: Not a directory")
    }
}

@Suite struct AtomicFileTests {
    @Test(arguments: ["x", "ü"]) func aNameMayBeAsLongAsTheSystemAllows(_ letter: String) throws {
        let folder = try Scratch(), name = String(repeating: letter, count: 255 / letter.utf8.count)
        try AtomicFile.write("text", to: folder[name])
        #expect(folder.names == [name])
    }
}

@Suite struct AbandonedFileTests {
    private var host: String { ProcessInfo.processInfo.hostName.replacingOccurrences(of: ".", with: "_") }

    /// Files of a process that has ended, of this one's number, of one that lives, and of another machine.
    private func leaveBehind(in folder: Scratch) throws {
        let ended = Process()
        ended.executableURL = URL(fileURLWithPath: "/bin/true")
        try ended.run()
        ended.waitUntilExit()
        for owner in ["\(host)-\(ended.processIdentifier)", "\(host)-\(getpid())", "\(host)-1", "another-machine-7"] {
            try Data("half".utf8).write(to: URL(fileURLWithPath: folder[".a.png.\(owner)-5.partial"]))
        }
    }

    @Test func thoseOfLiveProcessesAndOtherMachinesStay() throws {
        let folder = try Scratch()
        try leaveBehind(in: folder)
        AtomicFile.removeAbandoned(in: folder.path)
        #expect(folder.names == [".a.png.another-machine-7-5.partial", ".a.png.\(host)-1-5.partial"].sorted())
    }

    @Test func inAFolderOfOnesOwnAllGoButThoseInUse() throws {
        let folder = try Scratch()
        try leaveBehind(in: folder)
        let file = try AtomicFile(folder["b.png"])
        try Data("half".utf8).write(to: URL(fileURLWithPath: file.temporaryPath))
        AtomicFile.removeAbandoned(in: folder.path, isOnlyUser: true)
        #expect(folder.names == [(file.temporaryPath as NSString).lastPathComponent])
        try file.commit()
        #expect(folder.names == ["b.png"])
    }
}

@Suite struct FingerprintTests {
    @Test(arguments: [0, 1, 4096, 4097, 300_001, 3_000_000]) func tellsFilesApart(_ size: Int) throws {
        let folder = try Scratch()
        func fingerprint(_ bytes: [UInt8]) throws -> String {
            try Data(bytes).write(to: URL(fileURLWithPath: folder["a"]))
            return try SHA256.fingerprint(ofFile: folder["a"])
        }
        let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 / 7) }
        let whole = try fingerprint(bytes)
        #expect(try fingerprint(bytes) == whole)
        #expect(try fingerprint(bytes + [0]) != whole)
        guard size > 0 else { return }
        for place in [0, size - 1] {
            var other = bytes
            other[place] ^= 1
            #expect(try fingerprint(other) != whole)
        }
        #expect(try fingerprint(bytes.map { $0 ^ 1 }) != whole)
    }

    @Test func noFileHasNone() {
        #expect(throws: FileError.self) { try SHA256.fingerprint(ofFile: "/nowhere/a") }
    }
}
