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
            #expect(throws: HDF5Error.cannotWrite(file: file, reason: "File too large")) {
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
