import BEiTFiles

/// Paths in one run of bytes: strings of their own would take three times the memory, which counts where they are millions.
package struct PathTable: RandomAccessCollection, Equatable, Sendable, ExpressibleByArrayLiteral {
    private var bytes: [UInt8] = []
    /// Where each path ends in ``bytes``.
    private var ends: [Int] = []

    package init() {}
    package init(_ paths: some Sequence<String>) { for path in paths { append(path) } }
    package init(arrayLiteral paths: String...) { self.init(paths) }

    package var startIndex: Int { 0 }
    package var endIndex: Int { ends.count }
    package subscript(_ index: Int) -> String { String(decoding: self.bytes(index), as: UTF8.self) }

    /// A path's UTF-8.
    func bytes(_ index: Int) -> ArraySlice<UInt8> { bytes[(index > 0 ? ends[index - 1] : 0)..<ends[index]] }

    package mutating func append(_ path: String) {
        bytes += path.utf8
        ends.append(bytes.count)
    }

    mutating func append(_ path: ArraySlice<UInt8>) {
        bytes += path
        ends.append(bytes.count)
    }

    /// Stretches of paths that follow each other in one archive; a file is one by itself.
    package var stretches: [Range<Int>] {
        var stretches: [Range<Int>] = []
        var archive: ArraySlice<UInt8>?
        for index in indices {
            let own = bytes(index).archive
            if let own, let archive, own == archive, let last = stretches.last {
                stretches[stretches.count - 1] = last.lowerBound..<index + 1
            } else {
                stretches.append(index..<index + 1)
            }
            archive = own
        }
        return stretches
    }
}

extension ArraySlice<UInt8> {
    /// The name of the archive in that of a member, as far as names tell.
    fileprivate var archive: ArraySlice<UInt8>? {
        let colon = indices.first { place in
            self[place] == UInt8(ascii: ":") && place - startIndex > 4
                && [".tar", ".TAR"].contains { self[(place - 4)..<place].elementsEqual($0.utf8) }
        }
        return colon.map { self[..<$0] }
    }
}

extension Sequence<String> {
    /// The files that hold what the paths name: archives in place of their members; each once.
    package var files: [String] {
        var (seen, last): (Set<String>, String?) = ([], nil)
        return compactMap { path in
            // Members of one archive mostly follow each other.
            if let last, path.utf8.starts(with: last.utf8) { return nil }
            let member = TarArchive.split(path)
            last = member.map { $0.archive + ":" }
            let file = member?.archive ?? path
            return seen.insert(file).inserted ? file : nil
        }
    }
}
