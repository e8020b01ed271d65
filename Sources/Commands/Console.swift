import BEiTFiles
import Foundation
import Logging

/// Standard error, one line a message. Standard output belongs to results.
enum Console {
    static func error(_ message: String) { write("beit-seg: \(message)") }

    /// Line breaks that came with a file's name or a library's message do not break the line.
    static func write(_ line: String) {
        let line = line.split(whereSeparator: \.isNewline).joined(separator: " ")
        FileHandle.standardError.write(Data((line + "\n").utf8))
    }

    static func print(json value: some Encodable) throws { Swift.print(try JSONText.pretty(value)) }
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
        let kind = event.level >= .warning ? "\(event.level): " : ""
        Console.write("beit-seg: \(kind)\(event.message)")
    }
}
