import BEiTFiles
import BEiTImageIO
import BEiTTensorCore
import Foundation
import Synchronization

/// Photos without labels to learn from: where they are, and how many are held out.
package struct PhotoOptions: Codable, Equatable, Sendable {
    package var folders: [String]
    /// The share of a folder's photos that is held out for validation, where it has no `val` of its own.
    package var validationShare = 0.05

    package init(_ folders: [String]) { self.folders = folders }

    /// What makes them impossible, in one sentence; nil if nothing does.
    package var problem: String? {
        0..<1 ~= validationShare ? nil : "`validation` is \(validationShare), and must be from 0 to below 1"
    }
}

/// The photos below some folders, divided into those to learn from and those held out.
///
/// Held out is what lies in a folder `val` or `validation`; where a data folder has none, a share that a hash of each
/// name chooses, so that a photo stays where it is when others come or go. Of a data set for segmentation the photos
/// count, its masks do not.
package struct PhotoDataset: Sendable {
    /// Paths, in the order of the data folders and by name within one.
    package private(set) var training: [String] = [], validation: [String] = []
    /// One line for each photo that cannot be read; training goes on without them.
    package private(set) var unreadable: [String] = []
    /// Changes when the photos to learn from or their order do, but not with the place of the data folders.
    package private(set) var fingerprint: UInt64 = 0
    /// How photos are read.
    package let reading: ImageReading
    /// What the listing decided, for people.
    private var notes: [String] = []

    private struct Photo {
        var path: String
        /// Below the data folder.
        var name: String
        var isHeldOut: Bool
    }

    /// Lists the photos and reads their headers.
    ///
    /// - Parameter output: the folder of the run, whose pictures are none to learn from.
    /// - Throws: `FileError` for a folder that is missing or without photos; ``DatasetError`` where there is nothing to
    ///   learn from, or too much is unreadable.
    package init(
        _ options: PhotoOptions, as reading: ImageReading = ImageReading(), excluding output: String? = nil
    ) throws {
        self.reading = reading
        var (photos, seen): ([Photo], SeenFiles) = ([], SeenFiles())
        for folder in options.folders {
            let found = try list(folder, excluding: output, share: options.validationShare)
            photos += found.filter { seen.insert($0.path) }
        }
        PhotoDataset.holdOutOne(&photos, share: options.validationShare)
        let failures = PhotoDataset.failures(photos, page: reading.page)
        let broken = failures.sorted { $0.key < $1.key }.map(\.value)
        try PhotoDataset.check(broken, of: photos.count)
        unreadable += broken
        let readable = photos.indices.filter { failures[$0] == nil }.map { photos[$0] }
        let shown = readable.filter { !$0.isHeldOut }
        (training, validation) = (shown.map(\.path), readable.filter(\.isHeldOut).map(\.path))
        fingerprint = shown.map(\.name).fingerprint
        guard !training.isEmpty else {
            throw DatasetError(
                .invalid, path: options.folders.joined(separator: ", "),
                reason: "every photo is held out for validation; name the folder of the training photos")
        }
    }

    private mutating func list(_ folder: String, excluding output: String?, share: Double) throws -> [Photo] {
        let listing = try PhotoListing(folder, excluding: output)
        var names = try listing.requireNames()
        notes += listing.leftOut.description.map { ["\(folder): \($0)"] } ?? []
        unreadable += listing.problems.map { "\($0)" }
        if let layout = try? DatasetLayout.detect(folder, asAnnotations: false) {
            let (all, isPhoto) = (names.count, layout.photos(in: folder))
            names = names.filter { isPhoto(folder / $0) }
            let others = all - names.count
            notes.append("\(folder) is a data set for segmentation: \(others) masks and other pictures are left out")
        }
        let hasOwn = names.contains(where: PhotoDataset.isHeldOut)
        return names.map { name in
            let isHeldOut = hasOwn ? PhotoDataset.isHeldOut(name) : PhotoDataset.draw(name) < share
            return Photo(path: folder.joined(name), name: name, isHeldOut: isHeldOut)
        }
    }

    private static func isHeldOut(_ name: String) -> Bool {
        name.split(separator: "/").dropLast().contains { $0 == "val" || $0 == "validation" }
    }

    /// Uniform in 0..<1, from the name.
    static func draw(_ name: String) -> Double {
        Double(Philox.block(seed: [name].fingerprint, stream: 0, counter: 0)[0]) * 0x1p-32
    }

    /// A few photos may all have been drawn for training.
    private static func holdOutOne(_ photos: inout [Photo], share: Double) {
        guard share > 0, photos.count > 1, !photos.contains(where: \.isHeldOut) else { return }
        if let least = photos.indices.min(by: { draw(photos[$0].name) < draw(photos[$1].name) }) {
            photos[least].isHeldOut = true
        }
    }

    private static func failures(_ photos: [Photo], page: Int) -> [Int: String] {
        let failures = Mutex<[Int: String]>([:])
        WorkerPool.current.run(photos.count) { index in
            do { _ = try imageHeader(photos[index].path, page: page) } catch {
                failures.withLock { $0[index] = "\(error)" }
            }
        }
        return failures.withLock { $0 }
    }

    /// Of photos, one in so many may be unreadable; more mean that something else is wrong.
    static let tolerance = 20

    /// Throws ``DatasetError`` with the first of them if they are too many.
    static func check(_ unreadable: [String], of count: Int) throws(DatasetError) {
        guard let first = unreadable.first, unreadable.count > max(1, count / tolerance) else { return }
        throw DatasetError(
            .invalid, path: "data check",
            reason: "\(unreadable.count) of \(count) photos cannot be read, the first is \(first)")
    }

    /// Leaves out the photos that something needed is not there for; ``fingerprint`` stays that of the listing.
    ///
    /// - Parameter what: what is not there, for people.
    /// - Throws: ``DatasetError`` if they are more than a few.
    package mutating func keep(_ isKept: (String) -> Bool, lacking what: String) throws(DatasetError) {
        let all = training + validation, lost = all.filter { !isKept($0) }
        guard let first = lost.first else { return }
        guard lost.count <= max(1, all.count / PhotoDataset.tolerance), lost.count < all.count else {
            throw DatasetError(
                .invalid, path: "data check",
                reason: "\(lost.count) of \(all.count) photos have no \(what), the first is \(first)")
        }
        training.removeAll { !isKept($0) }
        validation.removeAll { !isKept($0) }
        unreadable += lost.map { "\($0): it has no \(what)" }
    }

    /// The findings for people to read.
    package var lines: [String] {
        let most = 20
        return notes.map { "data: \($0)" }
            + ["data: \(training.count.counted("photo")) to learn from, \(validation.count) held out for validation"]
            + unreadable.prefix(most).map { "warning: left out: \($0)" }
            + (unreadable.count > most ? ["warning: left out: \(unreadable.count - most) more"] : [])
    }
}
