import Foundation
import Testing

@testable import BEiTFiles

@Suite struct LinkedOutputTests {
    @Test func aLinkStaysAndItsFileIsReplaced() throws {
        let folder = try Scratch()
        try AtomicFile.write("old", to: folder["disk/best"])
        folder.link("best", to: "disk/best")
        try AtomicFile.write("new", to: folder["best"])
        #expect(folder.text("disk/best") == "new")
        #expect(FileSystem.status(of: folder["best"], followingLinks: false)?.kind == .link)
        #expect(try FileSystem.names(in: folder["disk"]) == ["best"])
    }

    @Test func aFolderThatVanishesIsAnError() throws {
        let folder = try Scratch(), file = try AtomicFile(folder["run/a"])
        try #require(FileManager.default.createFile(atPath: file.temporaryPath, contents: nil))
        try FileManager.default.removeItem(atPath: folder["run"])
        let error = #expect(throws: FileError.self) { try file.commit() }
        #expect(error?.exitStatus == 74 && error?.reason.contains("has been removed") == true)
        #expect(folder.names == [])
    }

    /// The target has become a folder between the look and the renaming.
    @Test func aFailedRenamingLeavesNoPartialFile() throws {
        let folder = try Scratch()
        do {
            let file = try AtomicFile(folder["a"])
            try #require(FileManager.default.createFile(atPath: file.temporaryPath, contents: nil))
            try makeFolder(folder["a/b"])
            #expect(throws: FileError.self) { try file.commit() }
        }
        #expect(folder.names == ["a"])
    }
}

@Suite struct LeftoverTests {
    /// A thread that is making its file when the end comes has it removed as well; one that comes later makes none.
    @Test func noFileIsMadeWhileTheProcessEnds() async throws {
        let folder = try Scratch()
        await #expect(processExitsWith: .exitCode(7)) { [path = folder.path as String] in
            nonisolated(unsafe) let early = try AtomicFile(path + "/early"), late = try AtomicFile(path + "/late")
            let isMaking = DispatchSemaphore(value: 0)
            Thread.detachNewThread {
                early.making { name in
                    isMaking.signal()
                    usleep(30_000)
                    close(open(name, O_WRONLY | O_CREAT, 0o644))
                }
            }
            isMaking.wait()
            removeUnfinishedFiles()
            Thread.detachNewThread { _ = try? late.create() }
            usleep(100_000)
            _exit(7)
        }
        #expect(folder.names == [])
    }
}

@Suite struct AppendingTests {
    @Test func appendsAllOrNothing() async throws {
        let folder = try Scratch(), path = folder["log"]
        try AtomicFile.write("one\n", to: path)
        try appendBytes(Array("two\n".utf8), to: path)
        #expect(folder.text("log") == "one\ntwo\n")
        // A file that may grow by three bytes, as on a full disk: the system takes a part of the line.
        await #expect(processExitsWith: .success) { [path = path as String] in
            signal(SIGXFSZ, SIG_IGN)
            var limit = rlimit(rlim_cur: 11, rlim_max: 11)
            setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            let error = #expect(throws: FileError.self) { try appendBytes(Array("three\n".utf8), to: path) }
            #expect(error?.exitStatus == 74)
        }
        #expect(folder.text("log") == "one\ntwo\n")
    }

    @Test func doesNotMakeTheFileAgain() throws {
        let folder = try Scratch()
        let error = #expect(throws: FileError.self) { try appendBytes([1], to: folder["none"]) }
        #expect(error?.exitStatus == 74)
        #expect(folder.names == [])
    }

    /// A pipe takes 64 KiB at a time, and its reader is slow.
    @Test func whatGoesInPiecesGoesWhole() throws {
        let pipe = Pipe(), bytes = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 / 3) }
        let writer = Thread {
            #expect(bytes.withUnsafeBytes { writeAll($0, to: pipe.fileHandleForWriting.fileDescriptor) })
            try? pipe.fileHandleForWriting.close()
        }
        writer.start()
        #expect([UInt8](pipe.fileHandleForReading.readDataToEndOfFile()) == bytes)
    }
}
