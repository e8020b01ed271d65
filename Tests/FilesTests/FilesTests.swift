import BEiTFiles
import Foundation
import Testing

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
    private var host: String {
        var name = [CChar](repeating: 0, count: 65)
        gethostname(&name, 64)
        return String(fileSystemName: name).replacingOccurrences(of: ".", with: "_")
    }

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
