import BEiTDatasets
import BEiTFiles
import Foundation

/// Sees before the first byte whether results would meet what is read, or each other.
struct ResultPlan {
    /// By the image's place, why its results cannot be written.
    private(set) var obstacles: [Int: String] = [:]

    private var check: OutputCheck
    /// Whose results will be where: of files, and of the folders that hold them.
    private var files: [OutputCheck.Place: Int] = [:]
    private var folders: [OutputCheck.Place: Int] = [:]
    /// The folders above a result, up to the output.
    private var above: [String: [OutputCheck.Place]] = [:]

    /// - Parameters:
    ///   - images: of all processes that share the work.
    ///   - reads: what is read beside them.
    ///   - shared: files of the run that are written as well.
    /// - Throws: `FileError` of status 64 where a result would be a file that is read.
    init(_ images: [InputImage], _ form: ResultForm, reads: [String], shared: [String]) throws(FileError) {
        check = OutputCheck(reads: reads + images.lazy.map(\.path).files)
        for path in shared { try check.check(write: path) }
        for (index, image) in images.enumerated() {
            do {
                for path in form.paths(image.stem) + form.masksInPlace(image.stem) {
                    try check.check(write: path)
                    _ = try requireName(path)
                }
            } catch {
                guard error.kind != .isInput else { throw error }
                obstacles[index] = "\(image.path.shown): its result cannot be written: \(error)"
                continue
            }
            if let owner = take(form.places(image.stem), for: index, below: form.folder) {
                obstacles[index] =
                    "\(image.path.shown): its results would overwrite those of \(images[owner].path.shown); rename one of them"
            }
        }
    }

    /// A name that the system cannot take, or below what is no folder, is found by asking.
    private func requireName(_ path: String) throws(FileError) {
        // Where the folder is yet to be made the system cannot be asked.
        if path.lastName.fileSystemBytes.count > NAME_MAX {
            throw FileError.writing(path, doing: "create", code: ENAMETOOLONG)
        }
        do { _ = try FileSystem.requireStatus(of: path, followingLinks: false) } catch {
            if error.kind != .missing { throw error }
        }
    }

    /// Takes the places of an image's results. Returns the image that has one of them already.
    private mutating func take(_ paths: [String], for index: Int, below folder: String) -> Int? {
        let places = paths.map { check.place(of: $0) }
        let holders = paths.first.map { self.holders(of: $0, below: folder) } ?? []
        for place in places { if let owner = files[place] ?? folders[place] { return owner } }
        for place in holders { if let owner = files[place] { return owner } }
        for place in places { files[place] = index }
        for place in holders where folders[place] == nil { folders[place] = index }
        return nil
    }

    /// The folders between the output and a result.
    private mutating func holders(of path: String, below output: String) -> [OutputCheck.Place] {
        let parent = path.parent
        if let known = above[parent] { return known }
        guard parent.utf8.count > output.utf8.count, parent != path else { return [] }
        let places = [check.place(of: parent)] + holders(of: parent, below: output)
        above[parent] = places
        return places
    }
}
