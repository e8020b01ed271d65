import BEiTDatasets
import BEiTFiles
import BEiTImageIO

/// A photo to segment, and where its results go.
package struct InputImage: Equatable, Sendable {
    /// As it is opened.
    package var path: String
    /// Below the output folder, without an ending: `a/b` for `a/b.jpg`.
    package var stem: String
    /// Why it cannot be read, where that is known before it is opened (a FIFO, a folder that may not be listed): it is not
    /// opened then, and counts as failed.
    package var problem: ImageError?
    /// The page that is meant, counted from 1; nil where nobody named one.
    package var page: Int?

    package init(path: String, stem: String, problem: ImageError? = nil) {
        (self.path, self.stem, self.problem) = (path, stem, problem)
    }
}

/// The images that `PATH...` stands for.
package struct InputImages: Sendable {
    /// In the order of the paths, and by name within a folder; each once.
    package private(set) var images: [InputImage] = []
    /// What lay in the folders and is no photo.
    package private(set) var leftOut = LeftOut()
    /// What is odd about shards, for people.
    package private(set) var notes: [String] = []

    /// - A folder stands for the images below it; hidden files and the folder `excluding` (the output's) are left out.
    /// - A `.tar` file, a folder that holds such files and no image, and a pattern (``Shards``) stand for the photos in
    ///   these shards.
    /// - A `.txt` file is a list of images (``PathList``), as seen from the working directory.
    /// - `-` is such a list on standard input.
    /// - The same image named twice, by whatever way to its folder, counts once.
    ///
    /// - Parameter flat: results bear the images' names alone, without folders.
    /// - Throws: ``FileError`` for a path that does not exist, or a folder without images; ``DatasetError`` for what is no
    ///   list. What a list names is not looked at.
    package init(
        _ paths: [String], excluding output: String? = nil, flat: Bool = false,
        standardInput: () throws(FileError) -> [UInt8] = Self.readAll
    ) throws {
        var sources: [InputSource] = []
        for path in paths {
            let shards = path == "-" ? nil : try Shards(path)
            if let shards, try !FileSystem.isFolder(path) || PhotoListing(path, excluding: output).names.isEmpty {
                sources += shards.paths.map(InputSource.init(shard:))
            } else if path == "-" {
                sources.append(.list(try PathList.entries(standardInput(), of: "standard input")))
            } else if FileSystem.isFolder(path) {
                let listing = try PhotoListing(path, excluding: output)
                if listing.problems.isEmpty { _ = try listing.requireNames() }
                leftOut += listing.leftOut
                sources.append(.folder(path, listing))
            } else if path.ending.lowercased() == "txt" {
                sources.append(.list(try PathList.entries(FileSystem.read(path), of: path)))
            } else {
                do {
                    if try TarArchive.find(path) == nil { _ = try FileSystem.requireStatus(of: path) }
                } catch let error as FileError where error.kind == .missing {
                    throw error
                } catch {}  // opening it will say why
                sources.append(.file(path))
            }
        }
        notes = ShardNotes(sources.lazy.compactMap { if case .shard(let samples) = $0 { samples } else { nil } }).lines
        var seen = SeenFiles()
        let stems = ResultStems(sources, flat: flat)
        for source in sources { images += seen.filter(source.images(stems), within: source.isFolder) }
    }

    /// All of standard input.
    package static func readAll() throws(FileError) -> [UInt8] { try FileSystem.read(0, "standard input") }
}

/// What one of the paths stands for.
enum InputSource {
    case file(String)
    case folder(String, PhotoListing)
    case list([String])
    case shard(ShardSamples)
    /// A shard that cannot be read.
    case damaged(String, ImageError)

    /// A damaged shard is one input among others, as a damaged image is.
    init(shard path: String) {
        do { self = .shard(ShardSamples(try TarArchive.at(path))) } catch {
            self = .damaged(path, ImageError(path: path, .unreachable((error as? ArchiveError)?.reason ?? "\(error)")))
        }
    }

    var isFolder: Bool { if case .folder = self { true } else { false } }

    func images(_ stems: ResultStems) -> [InputImage] {
        func image(_ path: String, _ problem: ImageError? = nil) -> InputImage {
            InputImage(path: path, stem: stems.stem(of: path), problem: problem)
        }
        return switch self {
        case .file(let path): [image(path)]
        case .folder(let folder, let listing):
            listing.names.map { image(folder.joined($0)) } + listing.problems.map { image($0.path, $0) }
        case .list(let paths): paths.map { image($0) }
        case .shard(let samples):
            (0..<samples.count).map {
                InputImage(path: samples.path($0), stem: stems.stem(of: samples.key($0), in: samples.archive.path))
            } + (samples.cut.map { [image($0.path, $0)] } ?? [])
        case .damaged(let path, let problem): [image(path, problem)]
        }
    }
}

extension SeenFiles {
    /// The images that were not named before. What one folder holds twice, through a link within it, has two places in its
    /// tree, and both get their results.
    fileprivate mutating func filter(_ images: [InputImage], within isFolder: Bool) -> [InputImage] {
        guard isFolder else { return images.filter { insert($0.path) } }
        let new = images.filter { !contains($0.path) }
        for image in new { _ = insert(image.path) }
        return new
    }
}
