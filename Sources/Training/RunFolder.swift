import BEiTReports
import BEiTMetrics
import BEiTFiles
import Foundation
import Synchronization

/// The folder of a training run: `last.h5`, `best.h5`, `log.jsonl`, `config.json`, `report.html`, and TensorBoard's event
/// files. One process at a time writes there.
package final class RunFolder: Sendable {
    package let path: String
    private let lock = Mutex<LockedFile?>(nil)
    package var last: String { path + "/last.h5" }
    package var best: String { path + "/best.h5" }
    var log: String { path + "/log.jsonl" }
    var report: String { path + "/report.html" }
    var config: String { path + "/config.json" }
    /// Of masked image modeling: what is predicted for a few photos.
    var predictions: String { path + "/predictions.png" }

    package init(_ path: String) { self.path = path }

    var exists: Bool { FileManager.default.fileExists(atPath: path) }

    /// Makes the folder for a new run, and claims it. Throws ``TrainingError`` if a run is there, or `FileError`.
    package func begin(_ settings: some Encodable) throws {
        try requireFree()
        try claim()
        try requireFree()
        AtomicFile.removeAbandoned(in: path, isOnlyUser: true)
        try AtomicFile.write(JSONText.pretty(settings) + "\n", to: config)
        try AtomicFile.write("", to: log)
    }

    /// Keeps other processes out until ``release()``. Throws ``TrainingError`` where one is at work, or `FileError`.
    func claim() throws {
        try lock.withLock { lock in
            guard lock == nil else { return }
            lock = try LockedFile(path + "/.lock")
            if lock == nil { throw TrainingError.busy(folder: path) }
        }
    }

    func release() { lock.withLock { $0 = nil } }

    /// Throws ``TrainingError`` if a run is there, and `FileError` where none can be written; makes nothing.
    func requireFree() throws {
        let files = FileManager.default
        if files.fileExists(atPath: last) { throw TrainingError.occupied(folder: path) }
        if files.fileExists(atPath: best) { throw TrainingError.holdsModel(file: best) }
        try AtomicFile.requireWritable(config)
    }

    /// Forgets what was logged after `step`, because it will happen again, and a last line that a kill has torn.
    /// - Precondition: the folder is claimed.
    func rewindLog(to step: Int) throws {
        AtomicFile.removeAbandoned(in: path, isOnlyUser: true)
        struct Line: Decodable { var step: Int }
        let isThere = FileManager.default.fileExists(atPath: log)
        let text = String(decoding: isThere ? try Data(contentsOf: URL(fileURLWithPath: log)) : Data(), as: UTF8.self)
        let kept = text.split(separator: "\n").filter { line in
            (try? JSONText.decode(Line.self, from: line.utf8, of: log)).map { $0.step <= step } ?? false
        }
        try AtomicFile.write(kept.map { $0 + "\n" }.joined(), to: log)
    }

    /// Appends a line to the log. Throws `FileError`.
    func append(_ entry: some Encodable) throws {
        try appendBytes(Array((JSONText.line(entry) + "\n").utf8), to: log)
    }
}

/// Appends `bytes` to a file at once, so that a reader sees all of them or nothing. Throws `FileError`.
func appendBytes(_ bytes: [UInt8], to path: String) throws {
    let descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT, 0o644)
    guard descriptor >= 0 else { throw FileError.system(path, doing: "open") }
    let written = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    let code = errno
    guard close(descriptor) == 0, written == bytes.count else {
        throw FileError.system(path, doing: "write", code: code)
    }
}
