import BEiTFiles

/// The files that were named, to find those that are named again.
///
/// A file is a name in a folder, by whatever way to that folder. A link, or a second name of the same contents, is
/// another: who gives an image two names wants two results.
package struct SeenFiles {
    private struct Place: Hashable {
        var folder: FileIdentity?
        /// The whole path where there is no folder.
        var name: [UInt8]
    }
    private var places: Set<Place> = []
    private var folders: [[UInt8]: FileIdentity?] = [:]

    package init() {}

    /// Whether no earlier path named it.
    package mutating func insert(_ path: String) -> Bool { places.insert(place(path)).inserted }

    package mutating func contains(_ path: String) -> Bool { places.contains(place(path)) }

    private mutating func place(_ path: String) -> Place {
        let parent = path.parent, key = Array(parent.utf8)
        let folder = folders[key] ?? FileSystem.status(of: parent)?.identity
        folders[key] = .some(folder)
        let name = folder == nil ? path : path.lastName
        return Place(folder: folder, name: name.fileSystemBytes)
    }
}
