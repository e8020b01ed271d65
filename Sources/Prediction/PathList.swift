import BEiTDatasets
import BEiTFiles
import BEiTImageIO

/// The paths that a text file or a pipe lists.
///
/// Separators are NULs, where there is one (`find -print0`), and then an entry is a path as it stands. Else they are line
/// feeds (with a carriage return before them, or carriage returns alone); a byte order mark, empty lines, lines that begin
/// with `#`, and blanks at both ends are left out. A name that begins with `#` is written `./#…`; one that really ends in
/// blanks is found where there is no such name without them.
enum PathList {
    /// A path longer than this is none that the system takes.
    private static let longest = 4096

    /// - Parameter source: the list's name, for the error.
    /// - Throws: ``DatasetError`` for what is no list of paths.
    static func entries(_ bytes: [UInt8], of source: String) throws(DatasetError) -> [String] {
        if let obstacle = obstacle(bytes) {
            throw DatasetError(.invalid, path: source, reason: "it is no list of paths but \(obstacle)")
        }
        let text = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...]
        if text.contains(0) {
            return text.split(separator: 0).map { String(fileSystemBytes: $0) }
        }
        let separator: UInt8 = text.contains(lineFeed) ? lineFeed : carriageReturn
        return text.split(separator: separator).compactMap(entry)
    }

    private static let lineFeed = UInt8(ascii: "\n"), carriageReturn = UInt8(ascii: "\r")

    private static func entry(_ line: ArraySlice<UInt8>) -> String? {
        let isBlank = { (byte: UInt8) in byte == UInt8(ascii: " ") || (9...13).contains(byte) }
        var trimmed = line.drop(while: isBlank)
        while let last = trimmed.last, isBlank(last) { trimmed.removeLast() }
        guard let first = trimmed.first, first != UInt8(ascii: "#") else { return nil }
        let path = String(fileSystemBytes: trimmed)
        guard trimmed.count < line.count, !FileSystem.exists(path) else { return path }
        // A carriage return at the end belongs to the line's end rather than to the name.
        let whole = String(fileSystemBytes: line.last == carriageReturn ? line.dropLast() : line)
        return FileSystem.exists(whole) ? whole : path
    }

    /// What the bytes are instead of text; nil if they can be a list.
    private static func obstacle(_ bytes: [UInt8]) -> String? {
        let head = Array(bytes.prefix(512)), format = ForeignFormat(head)
        let isUTF16 = head.starts(with: [0xFF, 0xFE]) || head.starts(with: [0xFE, 0xFF])
        if isUTF16, head.contains(0) { return "UTF-16 text; save it as UTF-8" }
        if isText(bytes.prefix(1 << 16)) { return format?.isText == true ? format?.name : nil }
        let image = ImageCodec(beginning: head)
        return image.map { "an image (\($0.name))" } ?? format?.name ?? "binary data"
    }

    /// Text has no line longer than any path, no two separators of `-print0` in a row, and hardly a control character.
    private static func isText(_ sample: ArraySlice<UInt8>) -> Bool {
        let controls = sample.count { $0 < 32 && !(9...13).contains($0) && $0 != 0 }
        let lines = sample.split { $0 == 0 || $0 == lineFeed || $0 == carriageReturn }
        return controls <= sample.count / 50 && lines.allSatisfy { $0.count <= longest }
            && !zip(sample, sample.dropFirst()).contains { $0 == 0 && $1 == 0 }
    }
}
