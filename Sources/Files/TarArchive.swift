import Foundation
import Synchronization

/// A tar archive whose members are read where they lie.
///
/// A member is named `ARCHIVE.tar:MEMBER` (`shards/train-003.tar:cats/17.jpg`) wherever a file is; ``find(_:)`` tells such a
/// name from that of a file. The index of an archive is made once and kept beside it (``TarIndex/path(of:)``); where that is
/// impossible it is made anew by each process.
package final class TarArchive: Sendable {
    package let path: String
    package let index: TarIndex
    private let identity: FileIdentity
    /// Why the index is not kept; nil where it is.
    package let obstacle: String?

    private init(_ path: String) throws {
        self.path = path
        let file = try OpenArchive(path)
        identity = file.status.identity
        if let index = Self.kept(path, file.status) {
            (self.index, obstacle) = (index, nil)
        } else {
            index = try TarIndex(file.descriptor, path: path, file.status)
            obstacle = Self.keep(index, of: path)
        }
    }

    /// The index of an earlier process, if the archive is still what it was.
    private static func kept(_ path: String, _ status: FileStatus) -> TarIndex? {
        let place = TarIndex.path(of: path)
        guard FileSystem.isFile(place), let bytes = try? FileSystem.read(place, atMost: 1 << 34),
            let index = TarIndex(encoded: bytes)
        else { return nil }
        return (index.length, index.modified) == (status.size, status.modified) ? index : nil
    }

    /// Writes the index, and returns why that is impossible.
    private static func keep(_ index: TarIndex, of path: String) -> String? {
        let place = TarIndex.path(of: path)
        do {
            if FileSystem.exists(place),
                try !FileSystem.isFile(place)
                    || FileSystem.start(of: place, count: TarIndex.mark.count) != TarIndex.mark
            {
                return "\(place.shown): it is a file of something else"
            }
            try AtomicFile.write(index.encoded, to: place)
            return nil
        } catch { return "\(error)" }
    }

    /// All bytes of a member. Throws `FileError`, also where they are more than `limit`.
    package func contents(_ member: Int, atMost limit: Int) throws -> [UInt8] {
        if let kept = index.contents(member) { return kept }
        let (name, size) = (path + ":" + index.name(member), index.size(member))
        guard size <= limit else {
            throw FileError(
                .inputOutput, path: name, reason: "it is larger than \(limit) bytes, too large for what it should be")
        }
        return try readBytes(file().descriptor, name, at: index.offset(member), count: size)
    }

    // MARK: All archives of the process

    private static let known = Mutex<[[UInt8]: TarArchive]>([:])

    /// The archive at a path, whose index is read or made the first time. Throws ``ArchiveError`` and `FileError`.
    package static func at(_ path: String) throws -> TarArchive {
        if let archive = known.withLock({ $0[path.fileSystemBytes] }) { return archive }
        let archive = try TarArchive(path)
        return known.withLock { known in
            let first = known[path.fileSystemBytes] ?? archive
            known[path.fileSystemBytes] = first
            return first
        }
    }

    /// Whether a file is a tar archive by its name.
    package static func isNamed(_ path: String) -> Bool { ["tar", "TAR"].contains(path.ending) }

    /// The archive of `ARCHIVE.tar:MEMBER` and the member's name; nil for the path of a file.
    package static func split(_ path: String) -> (archive: String, member: String)? {
        let bytes = path.utf8
        var rest = bytes.startIndex
        while let colon = bytes[rest...].firstIndex(of: UInt8(ascii: ":")) {
            let (archive, next) = (bytes[..<colon], bytes.index(after: colon))
            rest = next
            guard archive.suffix(4).elementsEqual(".tar".utf8) || archive.suffix(4).elementsEqual(".TAR".utf8),
                next < bytes.endIndex
            else { continue }
            let name = String(Substring(archive))
            if known.withLock({ $0[name.fileSystemBytes] != nil }) || FileSystem.isFile(name) {
                return (name, String(Substring(bytes[next...])))
            }
        }
        return nil
    }

    /// The file that holds what a path names: the archive of a member, else the path.
    package static func file(of path: String) -> String { split(path)?.archive ?? path }

    /// The member that a path names; nil for the path of a file. Throws ``ArchiveError`` and `FileError`, of the kind
    /// `missing` for a member that is not there.
    package static func find(_ path: String) throws -> ArchiveMember? {
        guard let (name, member) = split(path) else { return nil }
        let archive = try at(name)
        guard let place = archive.index.find(member) else {
            throw FileError(.missing, path: path, reason: "the archive has no member of this name")
        }
        return ArchiveMember(archive: archive, place: place)
    }

    // MARK: Open archives

    /// Those used last. More wait closed, as a process may have few files open.
    private static let open = Mutex<[OpenArchive]>([])
    private static let mostOpen = 32

    /// Opens the archive, unless it is open. Throws `FileError`, also where it is another than the index knows.
    fileprivate func file() throws -> OpenArchive {
        let known = Self.open.withLock { open -> OpenArchive? in
            guard let place = open.lastIndex(where: { $0.path == path }) else { return nil }
            open.append(open.remove(at: place))
            return open.last
        }
        if let known { return known }
        let file = try OpenArchive(path)
        guard (file.status.identity, file.status.size, file.status.modified) == (identity, index.length, index.modified)
        else {
            throw FileError(
                .inputOutput, path: path, reason: "the archive has changed since the run began; start it again")
        }
        Self.open.withLock { open in
            open.append(file)
            if open.count > Self.mostOpen { open.removeFirst() }
        }
        return file
    }
}

/// A file within an archive.
package struct ArchiveMember: Sendable {
    package let archive: TarArchive
    /// Its number in the index.
    fileprivate let place: Int

    package var size: Int { archive.index.size(place) }
    /// Where it begins in the archive's file.
    package var offset: Int { archive.index.offset(place) }
    /// As of the archive, in nanoseconds since 1970.
    package var modified: Int { archive.index.modified }

    /// The archive's file, open as long as somebody holds it. Throws `FileError`.
    package func file() throws -> OpenArchive { try archive.file() }
}

/// An open file, closed when the value goes away.
package final class OpenArchive: Sendable {
    let path: String
    package let descriptor: Int32
    let status: FileStatus

    /// Throws `FileError`.
    fileprivate init(_ path: String) throws(FileError) {
        let descriptor = path.withFileSystemName { Foundation.open($0, O_RDONLY | O_NONBLOCK | O_CLOEXEC) }
        guard descriptor >= 0 else { throw FileError.system(path, doing: "open") }
        var status = stat()
        let isKnown = fstat(descriptor, &status) == 0
        (self.path, self.descriptor, self.status) = (path, descriptor, FileStatus(status))
        guard isKnown, self.status.kind == .file else {
            throw FileError(.notAFile, path: path, reason: "it is no file, but a folder, a device or a pipe")
        }
    }

    deinit { close(descriptor) }
}
