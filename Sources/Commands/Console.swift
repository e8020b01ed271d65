import BEiTFiles
import Foundation
import Logging
import Synchronization

/// Results go to standard output, all else to standard error, one line a message.
///
/// A message that cannot be written is lost, and that ends nothing. A result that cannot be written is an error, which the
/// program reports at its end with status 74. A reader that went away (`| head`) has what it wanted: the rest of the
/// printing is left out, quietly, and the status is that of the work.
enum Console {
    /// Why results could not be printed; after the first failure nothing more is.
    private static let failure = Mutex<FileError?>(nil)

    /// Nil where all results were printed, or their reader went away.
    static var printingError: FileError? {
        failure.withLock { $0.flatMap { $0.reason.isEmpty ? nil : $0 } }
    }

    static func error(_ message: String) { write("beit-seg: \(message)") }

    /// One line whatever is in the names that it tells of: control characters are shown, not sent.
    static func write(_ line: String) { emit((Terminal.isThere ? Terminal.clearing : "") + line.shown + "\n") }

    /// What stands on a terminal's last line until the next message, such as a progress bar.
    static func renew(_ line: String) { emit(Terminal.clearing + line.shown) }

    private static func emit(_ text: String) {
        _ = Array(text.utf8).withUnsafeBytes { writeAll($0, to: STDERR_FILENO) }
    }

    /// Results for people, whose lines tell of names that came with files.
    static func print(lines text: String) {
        print(
            text.split(separator: "\n", omittingEmptySubsequences: false).map { String($0).shown }.joined(
                separator: "\n"))
    }

    /// Results as they are, and a line feed behind them.
    ///
    /// Of several processes that share a run the first one prints.
    static func print(_ text: String) {
        if Launch.isSpokenFor { return }
        failure.withLock { failure in
            guard failure == nil else { return }
            let bytes = Array((text + "\n").utf8)
            guard !bytes.withUnsafeBytes({ writeAll($0, to: STDOUT_FILENO) }) else { return }
            let isReaderGone = errno == EPIPE
            failure = .writing("standard output", doing: "write")
            if isReaderGone { failure?.reason = "" }
        }
    }

    static func print(json value: some Encodable) throws { print(try JSONText.pretty(value)) }

    /// Sees to it that no file that is opened later gets the number of a standard stream that was closed (`>&-`), and what
    /// is printed goes into it. Printing to a closed one fails.
    static func keepStandardStreams() {
        for number in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(number, F_GETFD) < 0 && errno == EBADF {
            _ = open("/dev/null", number == STDERR_FILENO ? O_WRONLY : O_RDONLY)
        }
    }
}

/// Log messages as plain lines on standard error.
struct ConsoleLogHandler: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    init(level: Logger.Level) { logLevel = level }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        if Launch.isSpokenFor { return }
        let kind = event.level >= .warning ? "\(event.level): " : ""
        Console.write("beit-seg: \(kind)\(OptionNames.spelled(event.message.description))")
    }
}
