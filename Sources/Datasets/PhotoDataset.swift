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
/// Held out is what lies in a folder `val` or `validation`, or in a shard of that name; where a data folder has none, a share that a hash of each
/// name chooses, so that a photo stays where it is when others come or go. Of a data set for segmentation the photos
/// count, its masks do not. A data folder may be ``Shards``.
package struct PhotoDataset: Sendable {
    /// Paths, in the order of the data folders and by name within one; in the order of its members within a shard.
    package private(set) var training = PathTable(), validation = PathTable()
    /// One line for each photo that cannot be read; training goes on without them.
    package private(set) var unreadable: [String] = []
    /// Changes when the photos to learn from or their order do, but not with the place of the data folders.
    package private(set) var fingerprint: UInt64 = 0
    /// How photos are read.
    package let reading: ImageReading
    /// What the listing decided, for people.
    private var notes: [String] = []

    /// Lists the photos and reads their headers; of those in shards an even sample (``mostChecked``).
    ///
    /// - Parameter output: the folder of the run, whose pictures are none to learn from.
    /// - Throws: `FileError` for a folder that is missing or without photos; `ArchiveError`; ``DatasetError`` where there
    ///   is nothing to learn from, or too much is unreadable.
    package init(
        _ options: PhotoOptions, as reading: ImageReading = ImageReading(), excluding output: String? = nil
    ) throws {
        self.reading = reading
        var (photos, seen) = (FoundPhotos(), SeenFiles())
        for folder in options.folders {
            try list(folder, excluding: output, share: options.validationShare, &seen, &photos)
        }
        if options.validationShare > 0 { photos.holdOutOne() }
        let failures = photos.failures(page: reading.page)
        let broken = failures.sorted { $0.key < $1.key }.map(\.value)
        try PhotoDataset.check(broken, of: photos.count)
        unreadable += broken
        var hash = FNV1a()
        for index in 0..<photos.count where failures[index] == nil {
            if photos.isHeldOut[index] {
                validation.append(photos.paths.bytes(index))
            } else {
                if !training.isEmpty { hash.add([UInt8(ascii: "\n")]) }
                hash.add(photos.name(index))
                training.append(photos.paths.bytes(index))
            }
        }
        fingerprint = hash.value
        guard !training.isEmpty else {
            throw DatasetError(
                .invalid, path: options.folders.joined(separator: ", "),
                reason: "every photo is held out for validation; name the folder of the training photos")
        }
    }

    private mutating func list(
        _ folder: String, excluding output: String?, share: Double, _ seen: inout SeenFiles, _ photos: inout FoundPhotos
    ) throws {
        if let shards = try Shards(folder), try !FileSystem.isFolder(folder) || PhotoListing(folder).names.isEmpty {
            return try list(shards, share: share, &seen, &photos)
        }
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
        photos.begin(checking: .max)
        for name in names where seen.insert(folder.joined(name)) {
            let isHeldOut = hasOwn ? PhotoDataset.isHeldOut(name) : PhotoDataset.draw(name) < share
            photos.add(folder.joined(name), name: name, isHeldOut: isHeldOut)
        }
    }

    private mutating func list(
        _ shards: Shards, share: Double, _ seen: inout SeenFiles, _ photos: inout FoundPhotos
    ) throws {
        let hasOwn = shards.paths.contains { Shards.split(of: $0) == .val }
        var odd = ShardNotes()
        photos.begin(checking: PhotoDataset.mostChecked)
        for archive in try shards.open() where seen.insert(archive.path) {
            let (samples, isVal) = (ShardSamples(archive), Shards.split(of: archive.path) == .val)
            odd.add(samples)
            unreadable += samples.cut.map { ["\($0)"] } ?? []
            for sample in 0..<samples.count {
                let name = samples.name(sample)
                photos.add(
                    samples.path(sample), name: name, isHeldOut: hasOwn ? isVal : PhotoDataset.draw(name) < share)
            }
        }
        notes += odd.lines
    }

    static func isHeldOut(_ name: String) -> Bool {
        name.split(separator: "/").dropLast().contains { $0 == "val" || $0 == "validation" }
    }

    /// Uniform in 0..<1, from the name.
    static func draw(_ name: String) -> Double {
        Double(Philox.block(seed: [name].fingerprint, stream: 0, counter: 0)[0]) * 0x1p-32
    }

    /// Headers of photos in shards that are read before a run, at most. The others are found damaged when they are decoded.
    static let mostChecked = 5000

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
        let lost = training.filter { !isKept($0) } + validation.filter { !isKept($0) }
        guard let first = lost.first else { return }
        let all = training.count + validation.count
        guard lost.count <= max(1, all / PhotoDataset.tolerance), lost.count < all else {
            throw DatasetError(
                .invalid, path: "data check",
                reason: "\(lost.count) of \(all) photos have no \(what), the first is \(first)")
        }
        (training, validation) = (PathTable(training.lazy.filter(isKept)), PathTable(validation.lazy.filter(isKept)))
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

/// The photos of all data folders, before they are divided.
private struct FoundPhotos {
    private(set) var paths = PathTable()
    private(set) var isHeldOut: [Bool] = []
    /// UTF-8 of a path's end that is its name below the data folder, or in the shard.
    private var nameLengths: [UInt32] = []
    /// Where each data folder begins, and how many of its headers are read at most.
    private var parts: [(start: Int, checked: Int)] = []

    var count: Int { paths.count }

    func name(_ index: Int) -> ArraySlice<UInt8> { paths.bytes(index).suffix(Int(nameLengths[index])) }

    mutating func begin(checking most: Int) { parts.append((count, most)) }

    mutating func add(_ path: String, name: String, isHeldOut: Bool) {
        paths.append(path)
        nameLengths.append(UInt32(name.utf8.count))
        self.isHeldOut.append(isHeldOut)
    }

    /// A few photos may all have been drawn for training.
    mutating func holdOutOne() {
        guard count > 1, !isHeldOut.contains(true) else { return }
        let draws = (0..<count).map { PhotoDataset.draw(String(decoding: name($0), as: UTF8.self)) }
        if let least = draws.indices.min(by: { draws[$0] < draws[$1] }) { isHeldOut[least] = true }
    }

    /// Why photos cannot be read, by their numbers.
    func failures(page: Int) -> [Int: String] {
        let failures = Mutex<[Int: String]>([:])
        for (place, part) in parts.enumerated() {
            let count = (place + 1 < parts.count ? parts[place + 1].start : self.count) - part.start
            let step = max(1, (count - 1) / part.checked + 1)
            WorkerPool.current.run((count + step - 1) / step) { number in
                let index = part.start + number * step
                do { _ = try imageHeader(paths[index], page: page) } catch {
                    failures.withLock { $0[index] = "\(error)" }
                }
            }
        }
        return failures.withLock { $0 }
    }
}
