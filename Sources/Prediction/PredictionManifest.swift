import BEiTFiles
import Foundation
import Synchronization

/// The file `predictions.json` in the output folder.
package struct PredictionManifest: Codable, Equatable, Sendable {
    /// The model's file.
    package var model: String
    /// SHA-256 of that file, in hexadecimal.
    package var modelFingerprint: String?
    /// That file as it was; a run that was cut off before the fingerprint was known is known by this.
    package var modelFile: KnownFile?
    /// What changes results beside the model, as it was typed: `--slide --flip`; the first manifests did not say.
    package var options: String?
    /// The formats that were asked for.
    package var formats: [PredictionFormat]?
    /// The classes that results may have, by index.
    package var classes: [ListedClass]?
    /// In the order of the images; behind them those of earlier runs that this one was not asked for.
    package var images: [PredictionRecord] = []

    /// The paths of the images that are done, the one that the model is least sure of first.
    package var review: [String]?

    private enum CodingKeys: String, CodingKey {
        case model, options, formats, classes, images, review
        case modelFingerprint = "model_fingerprint"
        case modelFile = "model_file"
    }

    /// A class, as results have it.
    package struct ListedClass: Codable, Equatable, Sendable {
        package var index: Int
        package var name: String
    }

    /// Whether the results of both can lie in one folder.
    func goesWith(_ other: PredictionManifest) -> Bool {
        guard options == other.options else { return false }
        if let modelFingerprint, let known = other.modelFingerprint { return modelFingerprint == known }
        return modelFile != nil && modelFile == other.modelFile
    }

    /// Processes that share the work have a manifest each.
    static func path(_ folder: String, _ shard: Shard?) -> String {
        folder.joined("predictions\(shard?.suffix ?? "").json")
    }

    /// Of several processes with one manifest all but the first have what keeps their journals apart.
    static func path(_ folder: String, process: Int) -> String { folder.joined("predictions-process-\(process).json") }

    /// The file that a run holds (`LockedFile`), beside its manifest.
    static func lock(_ manifest: String) -> String { hidden(manifest, "lock") }

    static func hidden(_ manifest: String, _ ending: String) -> String {
        manifest.parent.joined(".\(manifest.lastName).\(ending)")
    }

    /// The paths of the manifests in a folder, whatever number of processes shared the work; of a run that was cut off
    /// there may be the journal alone.
    static func paths(in folder: String) -> [String] {
        let names = (try? FileSystem.names(in: folder)) ?? []
        let manifests = names.compactMap { name -> String? in
            var name = name
            if name.hasPrefix("."), name.hasSuffix(".journal") { name = String(name.dropFirst().dropLast(8)) }
            guard name.wholeMatch(of: /predictions(-[0-9]+-of-[0-9]+|-process-[0-9]+)?\.json/) != nil else {
                return nil
            }
            return folder.joined(name)
        }
        return Set(manifests).sorted()
    }

    /// What is known of the run whose manifest is or will be at `path`; nil where it left nothing. Throws
    /// ``PredictionError/unreadable(manifest:reason:)``, `FileError`.
    static func earlier(_ path: String) throws -> PredictionManifest? {
        let journal = PredictionJournal.path(path)
        if FileSystem.exists(journal) { return try PredictionJournal.read(journal) }
        guard FileSystem.exists(path) else { return nil }
        do {
            let manifest: PredictionManifest = try JSONText.decode(from: try FileSystem.read(path), of: path)
            if let problem = manifest.images.lazy.compactMap(\.problem).first {
                throw PredictionError.unreadable(manifest: path, reason: "it lists \(problem)")
            }
            return manifest
        } catch let error as JSONError {
            throw PredictionError.unreadable(manifest: path, reason: error.reason)
        }
    }

    /// Throws ``FileError``.
    func write(to path: String) throws { try AtomicFile.write(try JSONText.pretty(self) + "\n", to: path) }
}

/// The records of a run that is not finished, a line each: what a killed run leaves for the next one.
final class PredictionJournal: Sendable {
    private struct State {
        var records: [PredictionRecord]
        var hasBegun = false, hasFingerprint = false
    }
    private let path: String
    private let heading: PredictionHeading
    private let state: Mutex<State>

    static func path(_ manifest: String) -> String { PredictionManifest.hidden(manifest, "journal") }

    /// A new journal that begins with `records`. It replaces one that is there when it begins.
    init(_ path: String, _ heading: PredictionHeading, records: [PredictionRecord]) {
        (self.path, self.heading) = (path, heading)
        state = Mutex(State(records: records))
    }

    /// To be called before a result gets its name: from then on those of earlier runs do not count. Throws ``FileError``.
    func begin() throws { try state.withLock { if !$0.hasBegun { try write(&$0) } } }

    /// Throws ``FileError``, also where the journal has been removed, with the folder or without.
    func add(_ record: PredictionRecord) throws {
        try state.withLock { state in
            state.records.append(record)
            try appendBytes(Array((try JSONText.line(record) + "\n").utf8), to: path)
            // Once more, where the first line lacks what is known now.
            if !state.hasFingerprint, heading.soFar.modelFingerprint != nil { try write(&state) }
        }
    }

    private func write(_ state: inout State) throws {
        let heading = heading.soFar
        let lines = try [JSONText.line(heading)] + state.records.map { try JSONText.line($0) }
        try AtomicFile.write(lines.joined(separator: "\n") + "\n", to: path)
        (state.hasBegun, state.hasFingerprint) = (true, heading.modelFingerprint != nil)
    }

    func remove() { path.withFileSystemName { _ = unlink($0) } }

    /// What a killed run recorded, without a last line that is not whole. Throws
    /// ``PredictionError/unreadable(manifest:reason:)``, `FileError`.
    static func read(_ path: String) throws -> PredictionManifest {
        var lines = try FileSystem.read(path).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        lines.removeLast()  // empty, or cut off
        func decode<Value: Decodable>(_ number: Int) throws -> Value {
            do { return try JSONText.decode(from: lines[number], of: path) } catch {
                throw PredictionError.unreadable(manifest: path, reason: "line \(number + 1): \(error.reason)")
            }
        }
        guard !lines.isEmpty else { throw PredictionError.unreadable(manifest: path, reason: "it is empty") }
        var result: PredictionManifest = try decode(0)
        result.images = try lines.indices.dropFirst().map { number in
            let record: PredictionRecord = try decode(number)
            if let problem = record.problem {
                throw PredictionError.unreadable(manifest: path, reason: "line \(number + 1) has \(problem)")
            }
            return record
        }
        return result
    }
}
