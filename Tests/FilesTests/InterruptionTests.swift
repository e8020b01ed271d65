import Foundation
import Testing

@testable import BEiTFiles

@Suite struct InterruptionTests {
    /// A run that asks has all the time that it needs.
    @Test(arguments: [SIGINT, SIGTERM, SIGHUP]) func aRunHeedsTheSignal(_ number: Int32) async throws {
        await #expect(processExitsWith: .exitCode(7)) { [number = number as Int32] in
            Interruption.watch()
            Interruption.noting(patience: Interruption.short) {
                kill(getpid(), number)
                while Interruption.signal == nil { usleep(1000) }
                #expect(Interruption.signal == number)
                usleep(1_500_000)
            }
            exit(7)
        }
    }

    @Test(.timeLimit(.minutes(10))) func aHangingReadEndsAndLeavesNothing() async throws {
        let folder = try Scratch()
        folder.fifo("photo.jpg")
        await #expect(processExitsWith: .exitCode(128 + SIGHUP)) { [path = folder.path as String] in
            Interruption.watch()
            try Interruption.noting(patience: Interruption.short) {
                let lock = try LockedFile(path + "/.lock"), file = try AtomicFile(path + "/a.png")
                _ = FileManager.default.createFile(atPath: file.temporaryPath, contents: nil)
                kill(getpid(), SIGHUP)
                _ = try FileSystem.read(path + "/photo.jpg")
                withExtendedLifetime((lock, file)) {}
            }
        }
        #expect(folder.names == ["photo.jpg"])
    }

    @Test func withoutARunTheSignalKillsAndLeavesNothing() async throws {
        let folder = try Scratch()
        await #expect(processExitsWith: .signal(SIGTERM)) { [path = folder.path as String] in
            Interruption.watch()
            let file = try AtomicFile(path + "/a.png")
            _ = FileManager.default.createFile(atPath: file.temporaryPath, contents: nil)
            kill(getpid(), SIGTERM)
            while true { usleep(1000) }
        }
        #expect(folder.names == [])
    }

    /// A training in the middle of a step: only a second signal ends it unasked.
    @Test func patienceWithoutEnd() async throws {
        await #expect(processExitsWith: .exitCode(7)) {
            Interruption.watch()
            Interruption.noting {
                kill(getpid(), SIGINT)
                usleep(1_500_000)
                #expect(Interruption.signal == SIGINT)
            }
            exit(7)
        }
        await #expect(processExitsWith: .exitCode(128 + SIGINT)) {
            Interruption.watch()
            Interruption.noting {
                kill(getpid(), SIGINT)
                usleep(100_000)
                kill(getpid(), SIGINT)
                while true { usleep(1000) }
            }
        }
    }

    @Test func aRunWithinARunLeavesTheSignalToTheOuterOne() async throws {
        await #expect(processExitsWith: .exitCode(7)) {
            Interruption.watch()
            Interruption.noting {
                Interruption.noting(patience: Interruption.short) {
                    kill(getpid(), SIGINT)
                    while Interruption.signal == nil { usleep(1000) }
                }
                #expect(Interruption.signal == SIGINT)
                usleep(1_000_000)
            }
            exit(7)
        }
    }

    /// As `nohup` starts a program.
    @Test func whatIsIgnoredStaysIgnored() async throws {
        await #expect(processExitsWith: .exitCode(7)) {
            signal(SIGHUP, SIG_IGN)
            Interruption.watch()
            Interruption.noting {
                kill(getpid(), SIGHUP)
                usleep(1_000_000)
                #expect(Interruption.signal == nil)
            }
            exit(7)
        }
    }

    @Test func aRunOfALibraryGivesTheHandlersBack() async throws {
        await #expect(processExitsWith: .signal(SIGINT)) {
            Interruption.noting {
                kill(getpid(), SIGINT)
                while Interruption.signal == nil { usleep(1000) }
            }
            kill(getpid(), SIGINT)
            usleep(1_000_000)
            exit(7)
        }
    }
}
