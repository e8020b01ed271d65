import BEiTFiles
import Foundation
import Testing

/// Standard streams that are full, closed, or whose reader went away.
@Suite struct StreamTests {
    /// Runs a line of the shell in which `$B` is the program. Returns its status and what it printed, both streams.
    private func shell(_ line: String) throws -> (status: Int32, text: String) {
        let process = Process(), pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments = ["-c", line]
        process.environment = ProcessInfo.processInfo.environment.merging(["B": Program.path]) { $1 }
        (process.standardOutput, process.standardError) = (pipe, pipe)
        try process.run()
        let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus, text)
    }

    private var model: String { Oracle.path("deconv-seg/weights.h5") }

    @Test(arguments: ["--help", "--version", "predict --help", "inspect MODEL", "inspect MODEL --json"])
    func resultsThatCannotBeWrittenAreAnError(_ arguments: String) throws {
        let arguments = arguments.replacingOccurrences(of: "MODEL", with: "'\(model)'")
        for (stream, reason) in [("/dev/full", "No space left on device"), ("&-", "Bad file descriptor")] {
            let run = try shell("\"$B\" \(arguments) >\(stream)")
            #expect(run.status == 74)
            #expect(run.text.hasPrefix("beit-seg: standard output: cannot write: \(reason)"), "\(run.text)")
            #expect(run.text.split(separator: "\n").count == 1)
        }
    }

    @Test func aReaderThatGoesAwayIsNoError() throws {
        let run = try shell("\"$B\" inspect -v '\(model)' | true; echo ${PIPESTATUS[0]}")
        #expect(run.text == "0\n")
    }

    /// Standard error may be full, closed, or a pipe without a reader: the work goes on, and the status is its own.
    @Test(arguments: ["2>/dev/full", "2>&-", "2> >(true)"]) func messagesThatCannotBeWrittenEndNothing(_ stream: String)
        throws
    {
        #expect(try shell("sleep 0.1; \"$B\" inspect /nowhere.h5 \(stream)").status == 66)
        let folder = try Scratch()
        let line = "\"$B\" import '\(Oracle.path("unilm-pth/classifier.h5"))' -o '\(folder["m.h5"])' -v \(stream)"
        #expect(try shell(line).status == 0)
        #expect(try shell("\"$B\" inspect '\(folder["m.h5"])'").status == 0)
    }

    /// No file gets the number of a closed stream.
    @Test func whatIsPrintedGoesIntoNoFile() throws {
        let folder = try Scratch()
        let source = Oracle.path("unilm-pth/classifier.h5")
        #expect(try shell("\"$B\" import '\(source)' -o '\(folder["m.h5"])' <&- >&- 2>&-").status == 74)
        #expect(try shell("\"$B\" import '\(source)' -o '\(folder["m.h5"])' <&- 2>&-").status == 0)
        #expect(try shell("\"$B\" inspect '\(folder["m.h5"])'").status == 0)
    }

    @Test(arguments: ["a\nb.h5", "a\u{1B}[31mb.h5", "a\rb.h5", "a\u{202E}b.h5"])
    func namesAreShown(_ name: String) throws {
        let run = try Program("inspect", "/nowhere/" + name)
        #expect(run.status == 66 && run.errors.count == 1)
        #expect(run.errors.first?.contains("/nowhere/" + name.shown) == true, "\(run.errors)")
    }

    @Test func namesThatAreNoUTF8AreFound() throws {
        let folder = try Scratch()
        let bytes = "$'\\xe9t\\xff.h5'"
        let made = try shell(
            "cd '\(folder.path)'; \"$B\" import '\(Oracle.path("unilm-pth/classifier.h5"))' -o \(bytes) -q >/dev/null "
                + "&& \"$B\" inspect \(bytes) >/dev/null && \"$B\" export \(bytes) -o a.h5 -q; ls; rm \(bytes)")
        #expect(made.text == "\u{FFFD}t\u{FFFD}.h5\na.h5\n" || made.text == "a.h5\n\u{FFFD}t\u{FFFD}.h5\n")
        let run = try shell("cd '\(folder.path)'; \"$B\" inspect \(bytes)")
        #expect(run.status == 66)
        #expect(run.text.contains("\\xE9t\\xFF.h5"), "\(run.text)")
    }

    /// Also where they came with a file: class names that colour the terminal or turn the line.
    @Test func namesInFilesAreShown() throws {
        let folder = try Scratch()
        try SmallModel.save(to: folder["m\n.h5"], names: ["a\u{1B}[31m", "b\u{202E}", "c\nd"])
        let run = try Program("inspect", folder["m\n.h5"])
        #expect(run.status == 0)
        #expect(run.output.contains("m\\n.h5 ("))
        #expect(run.output.contains("a\\x1B[31m, b\\u{202E}, c"), "\(run.output)")
        #expect(!run.output.unicodeScalars.contains("\u{1B}"))
    }

    @Test(arguments: [["export"], ["import"]]) func aNameThatIsTooLongIsRefusedBeforeTheWork(_ command: [String]) throws
    {
        let folder = try Scratch(), name = String(repeating: "n", count: 300)
        try SmallModel.save(to: folder["m.h5"])
        let run = try Program(arguments: command + [folder["m.h5"], "-o", folder[name]])
        #expect(run.status == 74 && run.errors.count == 1)
        #expect(run.errors.first?.hasSuffix("cannot create: File name too long; give it a shorter name") == true)
        #expect(folder.names == ["m.h5"])
    }

    @Test func aFileThatMayNotGrowIsAnError() throws {
        let folder = try Scratch()
        let run = try shell(
            "ulimit -f 10; \"$B\" import '\(Oracle.path("unilm-pth/classifier.h5"))' -o '\(folder["m.h5"])'")
        #expect(run.status == 74)
        #expect(run.text.contains("File too large"), "\(run.text)")
        #expect(folder.names == [])
    }
}
