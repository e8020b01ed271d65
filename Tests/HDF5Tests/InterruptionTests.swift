import Foundation
import Testing

@testable import BEiTHDF5

@Suite struct InterruptionTests {
    /// In a process of its own, whose files may not grow past a megabyte; it must also end without a crash.
    @Test(arguments: [false, true]) func fullDiskIsAnError(inRows: Bool) async throws {
        let scratch = try Scratch(), file = scratch.path("a.h5")
        await #expect(processExitsWith: .success) { [file = file as String, inRows] in
            signal(SIGXFSZ, SIG_IGN)
            var limit = rlimit(rlim_cur: 1 << 20, rlim_max: 1 << 20)
            setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            #expect(
                throws: HDF5Error.cannotWrite(
                    file: file, reason: "File too large; raise the limit (ulimit -f), or choose another disk")
            ) {
                let writer = try HDF5Writer(file), row = sampleFloats(100_000)
                if inRows { try writer.create("/w", shape: [30, 100_000], as: .float32) }
                for i in 0..<30 {
                    if inRows {
                        try row.withUnsafeBufferPointer { try writer.writeRows("/w", i..<i + 1, floats: $0) }
                    } else {
                        try writer.write("/w/\(i)", shape: [100_000], floats: row)
                    }
                }
                try writer.commit()
            }
        }
        #expect(scratch.names == [])
    }

    #if os(Linux)
        /// From step `step` on every write to the file fails. The process must end without a crash, the folder be empty.
        @Test(arguments: 0..<9) func aDiskThatFillsAtAnyStep(_ step: Int) async throws {
            let scratch = try Scratch(), file = scratch.path("a.h5")
            await #expect(processExitsWith: .success) { [file = file as String, step = step as Int] in
                for _ in 0..<2 {
                    let error = #expect(throws: HDF5Error.self) { try write(file) { if $0 == step { fillDisk(file) } } }
                    #expect(error == .cannotWrite(file: file, reason: "No space left on device; make room on the disk"))
                }
                try write(file) { _ in }  // libhdf5 is still sound
            }
            #expect(scratch.names == ["a.h5"])
            #expect(try HDF5Reader(file).readFloats("/b/w").values == sampleFloats(500_000))
        }
    #endif

    @Test func aKilledWriterLeavesTheOldFile() async throws {
        let scratch = try Scratch(), file = scratch.path("a.h5")
        let writer = try HDF5Writer(file)
        try writer.write("/w", shape: [3], floats: [1, 2, 3])
        try writer.commit()
        await #expect(processExitsWith: .signal(SIGKILL)) { [file = file as String] in
            let writer = try HDF5Writer(file)
            try writer.write("/w", shape: [3], floats: [4, 5, 6])
            kill(getpid(), SIGKILL)
        }
        #expect(try HDF5Reader(file).readFloats("/w") == ([3], [1, 2, 3]))
    }
}

/// Writes something of every kind; `before` hears the number of each step.
private func write(_ file: String, before: (Int) -> Void) throws {
    let writer = try HDF5Writer(file), row = sampleFloats(500_000)
    before(0)
    try writer.setAttribute("config", "{}")
    before(1)
    try writer.write("/a/w", shape: [500_000], floats: row)
    before(2)
    try writer.setAttribute("classes", String(repeating: "a class ", count: 20_000))
    before(3)
    try writer.create("/rows", shape: [3, 500_000], as: .float32)
    before(4)
    try row.withUnsafeBufferPointer { try writer.writeRows("/rows", 0..<1, floats: $0) }
    before(5)
    try row.withUnsafeBufferPointer { try writer.writeRows("/rows", 1..<2, floats: $0) }
    try writer.keepRows("/rows", 2)
    before(6)
    try writer.write("/b/w", shape: [500_000], floats: row, compress: true)
    before(7)
    try writer.write("/names", strings: ["a", "bc"])
    before(8)
    try writer.commit()
}

#if os(Linux)
    /// Leads the temporary file of `file` to a device that is always full.
    private func fillDisk(_ file: String) {
        let folder = URL(fileURLWithPath: file).deletingLastPathComponent().path
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? [] {
            let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + name)
            guard let number = Int32(name), let target, target.hasPrefix(folder + "/.") else { continue }
            let full = open("/dev/full", O_RDWR)
            dup2(full, number)
            close(full)
        }
    }
#endif
