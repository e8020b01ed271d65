import Foundation

/// A text that is written piece by piece: an ``AtomicFile``, which appears whole or not at all.
package final class AtomicText {
    private let file: AtomicFile
    private var descriptor: Int32
    private var waiting: [UInt8] = []

    /// Throws ``FileError``.
    package init(_ path: String) throws(FileError) {
        file = try AtomicFile(path)
        descriptor = try file.create()
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Appends `text` as UTF-8. Throws ``FileError``.
    package func write(_ text: String) throws(FileError) {
        waiting.append(contentsOf: text.utf8)
        if waiting.count >= 1 << 16 { try flush() }
    }

    private func flush() throws(FileError) {
        guard waiting.withUnsafeBytes({ writeAll($0, to: descriptor) }) else {
            throw FileError.writing(file.path, doing: "write")
        }
        waiting.removeAll(keepingCapacity: true)
    }

    /// Gives the file its name. Throws ``FileError``.
    package func commit() throws(FileError) {
        try flush()
        let isClosed = close(descriptor) == 0 || errno == EINTR
        descriptor = -1
        guard isClosed else { throw FileError.writing(file.path, doing: "write") }
        try file.commit()
    }
}
