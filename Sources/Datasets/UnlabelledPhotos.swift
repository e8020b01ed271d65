import Files
import Foundation
import ImageIO
import Synchronization
import TensorCore

/// Every photo below some folders, without labels: what pre-training learns from.
public struct UnlabelledPhotos: Sendable {
    /// Paths, folder after folder, each sorted.
    public private(set) var paths: [String] = []
    /// The same relative to the folders: they stay as they are when a folder moves.
    public private(set) var names: [String] = []
    /// Photos that are left out, with the reason.
    public private(set) var unreadable: [String] = []
    private let folders: [String]

    /// The share of unreadable photos above which something else must be wrong.
    private static let tolerated = 0.05

    /// Lists the photos and reads their headers, but not their pixels. Of a labelled data set in a known layout, only
    /// the training photos count, not its masks.
    ///
    /// - Parameter output: a folder that is left out: that of the run, which may lie among the photos.
    /// - Throws: `FileError` for a folder that is missing or holds no photo.
    public init(_ folders: [String], excluding output: String? = nil) throws {
        self.folders = folders
        var candidates: [(path: String, name: String)] = []
        for folder in folders {
            let layout = try? DatasetLayout.detect(folder)
            let root = layout.map { $0.pairing(folder, .train).images } ?? folder
            candidates += try PhotoFiles.below(root, excluding: output).map { (root / $0, $0) }
        }
        let problems = UnlabelledPhotos.problems(candidates.map(\.path))
        for (index, candidate) in candidates.enumerated() {
            if let problem = problems[index] {
                unreadable.append(problem)
            } else {
                paths.append(candidate.path)
                names.append(candidate.name)
            }
        }
    }

    /// By index, why a photo cannot be read.
    private static func problems(_ paths: [String]) -> [Int: String] {
        let found = Mutex<[Int: String]>([:])
        WorkerPool.current.run(paths.count) { index in
            do { _ = try imageHeader(paths[index]) } catch { found.withLock { $0[index] = "\(error)" } }
        }
        return found.withLock { $0 }
    }

    /// Splits off photos to validate with.
    /// - Parameters:
    ///   - share: of the photos, 0…1; at least one where it is not 0, at most 256.
    ///   - seed: decides which; the order stays.
    public func split(holdingOut share: Double, seed: UInt64) -> (training: [String], heldOut: [String]) {
        let wanted = min(256, max(share > 0 ? 1 : 0, Int((share * Double(paths.count)).rounded())))
        let count = min(wanted, paths.count - 1)
        // Epochs are numbered from 0, and none comes near this.
        var generator = RandomStream.order.generator(seed: seed, 1 << 48)
        let chosen = Set(generator.permutation(paths.count).prefix(max(0, count)))
        return (
            paths.indices.filter { !chosen.contains($0) }.map { paths[$0] },
            paths.indices.filter { chosen.contains($0) }.map { paths[$0] }
        )
    }

    /// The findings for people to read: one line, and one for each photo that is left out.
    public var lines: [String] {
        ["data: \(paths.count) photos below \(folders.joined(separator: ", "))"]
            + unreadable.map { "warning: left out: \($0)" }
    }

    /// Throws ``DatasetError`` if more than a few photos are unreadable.
    public func verdict() throws {
        let all = paths.count + unreadable.count
        guard Double(unreadable.count) > UnlabelledPhotos.tolerated * Double(all) || paths.isEmpty else { return }
        throw DatasetError(
            .invalid, path: folders.joined(separator: ", "),
            reason:
                "\(unreadable.count) of \(all) photos cannot be read, the first is \(unreadable.first ?? "unknown"); "
                + "mend or remove them")
    }
}
