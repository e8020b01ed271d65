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

    /// Of a tokenizer's training: photos beside what their tokens keep.
    var reconstructions: String { path + "/reconstructions.png" }

    package init(_ path: String) { self.path = path }

    var exists: Bool { FileSystem.exists(path) }

    /// Makes the folder for a new run, and claims it. Throws ``TrainingError`` if a run is there, or `FileError`.
    package func begin(_ settings: some Encodable) throws {
        try requireFree()
        try claim()
        try requireFree()
        AtomicFile.removeAbandoned(in: path, isOnlyUser: true)
        try AtomicFile.write("", to: log)
        try describe(settings)
    }

    /// Writes `config.json`: what the run is made of.
    func describe(_ settings: some Encodable) throws {
        try AtomicFile.write(JSONText.pretty(settings) + "\n", to: config)
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

    /// Throws ``TrainingError`` if a run is there, or a file of another origin that the run would overwrite, and
    /// `FileError` where none can be written; makes nothing.
    func requireFree() throws {
        if FileSystem.exists(last) { throw TrainingError.occupied(folder: path) }
        // What a run writes after `last.h5`; and before it `log.jsonl`, empty, and then `config.json`.
        for file in [best, report, predictions, reconstructions] where FileSystem.exists(file) {
            throw TrainingError.wouldOverwrite(file: file)
        }
        if let size = FileSystem.status(of: log)?.size {
            if size > 0 { throw TrainingError.wouldOverwrite(file: log) }
        } else if FileSystem.exists(config) {
            throw TrainingError.wouldOverwrite(file: config)
        }
        try AtomicFile.requireWritable(config)
    }

    /// Forgets what was logged after `step`, because it will happen again, and a last line that a kill has torn.
    /// - Parameter validating: whether the validation after that step will happen again as well.
    /// - Precondition: the folder is claimed.
    func rewindLog(to step: Int, validating: Bool) throws {
        AtomicFile.removeAbandoned(in: path, isOnlyUser: true)
        struct Line: Decodable {
            var step: Int
            /// Of a validation.
            var best: Bool?
        }
        func isPast(_ line: Line) -> Bool { line.step < step || line.step == step && !(validating && line.best != nil) }
        let text = String(decoding: FileSystem.exists(log) ? try FileSystem.read(log) : [], as: UTF8.self)
        let kept = text.split(separator: "\n").filter { line in
            (try? JSONText.decode(Line.self, from: line.utf8, of: log)).map(isPast) ?? false
        }
        try AtomicFile.write(kept.map { $0 + "\n" }.joined(), to: log)
    }

    /// Throws `FileError` where somebody has removed the folder, which a checkpoint would make again, without the rest.
    func requireThere() throws(FileError) {
        guard FileSystem.exists(log) else {
            throw FileError(
                .inputOutput, path: path,
                reason:
                    "the folder of the run, or its log.jsonl, has been removed; what was in it cannot be written again")
        }
    }

    /// Appends a line to the log. Throws `FileError`.
    func append(_ entry: some Encodable) throws {
        try appendBytes(Array((JSONText.line(entry) + "\n").utf8), to: log)
    }
}
