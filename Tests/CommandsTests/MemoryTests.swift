import Foundation
import Testing

/// Limits of memory under which some part of the program, its runtime or its libraries is refused some.
@Suite struct MemoryTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path
    static let network = [
        "--init", "none", "--preset", "tiny", "--set", "backbone.width=192", "--set", "backbone.depth=2", "--size",
        "96",
    ]

    #if os(Linux)
        @Test(arguments: [220, 300, 360, 400, 440, 500, 600, 700, 900], ["predict", "finetune"])
        func wantOfMemoryIsALineAndAStatus(_ megabytes: Int, _ command: String) throws {
            let folder = try Scratch(), output = folder["out"]
            var arguments = [Program.path, command, "-q", "-o", output, "--threads", "3"]
            if command == "predict" {
                arguments += [Self.root + "/samples/images", "-m", Self.root + "/models/beit-seg.h5"]
            } else {
                try layOut(in: folder)
                arguments += ["--task", "segmentation", "--data", folder["data"], "--steps", "2", "--batch", "2"]
                arguments += Self.network
            }
            let (status, errors) = try run(arguments, kilobytes: megabytes << 10)
            if status == 127 { return }  // not even the libraries find room
            #expect(status == 0 || status == 74, "\(status): \(errors)")
            #expect(errors.count == (status == 0 ? 0 : 1), "\(errors)")
            #expect(errors.allSatisfy { $0.hasPrefix("beit-seg: ") }, "\(errors)")
            let left = FileManager.default.enumerator(atPath: output)?.compactMap { $0 as? String } ?? []
            #expect(left.filter { $0.hasSuffix(".partial") } == [])
        }

        /// Status and lines of errors.
        private func run(_ arguments: [String], kilobytes: Int) throws -> (Int32, [String]) {
            let process = Process(), errors = Pipe()
            process.executableURL = URL(fileURLWithPath: "/bin/sh")
            process.arguments = ["-c", "ulimit -v \(kilobytes); exec timeout -k 1 60 \"$@\"", "sh"] + arguments
            (process.standardError, process.standardOutput) = (errors, FileHandle.nullDevice)
            try process.run()
            let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            return (process.terminationStatus, text.split(separator: "\n").map(String.init))
        }

        /// The samples as a data set, for training and for validation.
        private func layOut(in folder: Scratch) throws {
            for part in ["images", "masks"] {
                try FileManager.default.createDirectory(
                    atPath: folder["data/" + part], withIntermediateDirectories: true)
                for split in ["train", "val"] {
                    try FileManager.default.createSymbolicLink(
                        atPath: folder["data/\(part)/\(split)"], withDestinationPath: Self.root + "/samples/" + part)
                }
            }
            try FileManager.default.copyItem(
                atPath: Self.root + "/samples/classes.txt", toPath: folder["data/classes.txt"])
        }
    #endif
}
