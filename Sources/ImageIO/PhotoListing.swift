import BEiTFiles

/// The photos below a folder, chosen by the endings of their names; nothing is opened.
package struct PhotoListing: Sendable {
    /// Paths relative to the folder, sorted by their bytes.
    package private(set) var names: [String] = []
    /// What was there and is no photo.
    package private(set) var leftOut = LeftOut()
    /// What may be a photo and cannot be had: folders that may not be listed, FIFOs and devices named like images. To be
    /// named as failed; the rest goes on.
    package private(set) var problems: [ImageError] = []
    private let folder: String

    /// Lists everything below `folder` but hidden names and the folder `excluding`. Links are followed, but not into a
    /// folder that they lie in.
    ///
    /// - Parameter endings: of the files wanted, in lower case.
    /// - Throws: ``FileError`` for a path that is no folder, or may not be listed.
    package init(
        _ folder: String, endings: Set<String> = ImageCodec.endings, excluding output: String? = nil
    ) throws(FileError) {
        let status = try FileSystem.requireStatus(of: folder)
        guard status.kind == .folder else {
            throw FileError(.inputOutput, path: folder, reason: "it is not a folder")
        }
        self.folder = folder
        let names = try FileSystem.names(in: folder)
        let excluded = output.flatMap { FileSystem.status(of: $0)?.identity }
        guard status.identity != excluded else { return }
        add(names, below: "", within: [status.identity], endings, excluded)
        self.names.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    private mutating func add(
        _ names: [String], below prefix: String, within ancestors: [FileIdentity], _ endings: Set<String>,
        _ excluded: FileIdentity?
    ) {
        for name in names {
            let relative = prefix + name
            if name.utf8.first == UInt8(ascii: ".") {
                leftOut.hidden.add(folder.joined(relative))
                continue
            }
            let path = folder.joined(relative)
            let status: FileStatus
            do throws(FileError) {
                status = try FileSystem.requireStatus(of: path)
            } catch {
                // A link that leads nowhere; what is named like a photo was meant as one, and says so when it is opened.
                if endings.contains(name.ending.lowercased()) {
                    self.names.append(relative)
                } else if error.kind == .missing {
                    leftOut.others.add(path)
                } else {
                    problems.append(ImageError(path: path, .unreachable(error.reason)))
                }
                continue
            }
            switch status.kind {
            case .folder:
                if status.identity == excluded { continue }
                if ancestors.contains(status.identity) {
                    leftOut.circles.add(path)
                    continue
                }
                do throws(FileError) {
                    let inside = try FileSystem.names(in: path)
                    add(inside, below: relative + "/", within: ancestors + [status.identity], endings, excluded)
                } catch { problems.append(ImageError(path: path, .unreachable(error.reason))) }
            case .file: addFile(relative, endings)
            case .link, .other:
                if endings.contains(name.ending.lowercased()) {
                    problems.append(ImageError(path: path, .notAFile("a FIFO, a socket or a device")))
                } else {
                    leftOut.others.add(path)
                }
            }
        }
    }

    private mutating func addFile(_ name: String, _ endings: Set<String>) {
        let ending = name.ending.lowercased()
        if endings.contains(ending) {
            names.append(name)
        } else if ForeignFormat.endings.contains(ending) {
            leftOut.foreign[ending, default: LeftOut.Group()].add(folder.joined(name))
        } else {
            leftOut.others.add(folder.joined(name))
        }
    }

    /// The names. Throws ``FileError`` where there is not one, with what was there instead.
    package func requireNames() throws(FileError) -> [String] {
        guard names.isEmpty else { return names }
        let wanted = ImageCodec.endings.sorted().map { "." + $0 }.joined(separator: ", ")
        let others = leftOut.description.map { "; \($0)" } ?? ""
        throw FileError(.missing, path: folder, reason: "there is no photo (\(wanted)) in the folder" + others)
    }
}

/// Files that are there and not taken, counted.
package struct LeftOut: Equatable, Sendable {
    package struct Group: Equatable, Sendable {
        package private(set) var count = 0
        /// A path.
        package private(set) var first = ""

        mutating func add(_ path: String) {
            if count == 0 { first = path }
            count += 1
        }

        fileprivate static func += (group: inout Group, more: Group) {
            if group.count == 0 { group.first = more.first }
            group.count += more.count
        }
    }
    /// Images of formats that are not read, by ending.
    package internal(set) var foreign: [String: Group] = [:]
    /// Names that begin with a dot, folders among them; what is in these is not looked at.
    package internal(set) var hidden = Group()
    /// Files of other types.
    package internal(set) var others = Group()
    /// Folders that are reached from within themselves.
    package internal(set) var circles = Group()

    package init() {}

    package static func += (sum: inout LeftOut, more: LeftOut) {
        sum.foreign.merge(more.foreign) { a, b in
            var group = a
            group += b
            return group
        }
        sum.hidden += more.hidden
        sum.others += more.others
        sum.circles += more.circles
    }

    /// Whether there were images.
    package var hasImages: Bool { !foreign.isEmpty }

    /// For people, in one line; nil where nothing was left out.
    package var description: String? {
        let images = foreign.sorted { ($1.value.count, $0.key) < ($0.value.count, $1.key) }
        var parts = images.map { "\($1.count) .\($0.shown) (not read; convert to PNG; first \($1.first.shown))" }
        for (group, what) in [
            (hidden, "hidden"), (others, "of other types"), (circles, "leading back to a folder above"),
        ]
        where group.count > 0 {
            parts.append("\(group.count) \(what) (\(group.count > 1 ? "first " : "")\(group.first.shown))")
        }
        return parts.isEmpty ? nil : "left out: " + parts.joined(separator: ", ")
    }
}
