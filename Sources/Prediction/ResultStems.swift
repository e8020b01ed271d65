import BEiTFiles

/// Where results lie below the output folder.
///
/// The results of a single folder repeat its tree. Several inputs keep as much of their folders as tells them apart: a
/// result lies below the output as its image lies below the deepest folder that holds all inputs: `a/` and `b/` give
/// `a/x.png` and `b/x.png`, as do `/data/a/` and `/data/b/`. The relative paths of a list lie below the output as they
/// stand. Nothing leads out of the output.
struct ResultStems {
    /// The names on the way to the folder that holds all inputs; nil where only the images' own names count.
    private var base: [String]?
    private let workingFolder: [String]

    init(_ sources: [InputSource], flat: Bool, workingFolder: String = FileSystem.realPath(".") ?? "/") {
        self.workingFolder = Self.split(workingFolder)
        var common = CommonFolder()
        for source in flat ? [] : sources {
            switch source {
            case .file(let path): common.hold(names(path.parent))
            case .folder(let path, _): common.hold(sources.count == 1 ? names(path) : names(path).dropLast())
            case .list(let paths):
                for path in paths {
                    let isAbsolute = path.utf8.first == UInt8(ascii: "/")
                    if !isAbsolute { common.hold(self.workingFolder) }
                    if isAbsolute || path.contains("..") { common.hold(names(path).dropLast()) }
                }
            }
        }
        base = flat ? nil : common.names ?? []
    }

    /// The path of an image's results below the output folder, without an ending.
    func stem(of path: String) -> String {
        guard let base else { return path.stem }
        return names(path).dropFirst(base.count).joined(separator: "/").withoutEnding
    }

    /// The names on the way from the root.
    private func names(_ path: String) -> [String] {
        var names = path.utf8.first == UInt8(ascii: "/") ? [] : workingFolder
        for name in Self.split(path) where name != "." {
            if name == ".." { _ = names.popLast() } else { names.append(name) }
        }
        return names
    }

    private static func split(_ path: String) -> [String] {
        path.utf8.split(separator: UInt8(ascii: "/")).map { String(Substring($0)) }
    }
}

/// The deepest folder that holds others.
private struct CommonFolder {
    var names: [String]?

    mutating func hold(_ folder: some Collection<String>) {
        guard let held = names else {
            names = Array(folder)
            return
        }
        // Names that differ in their bytes alone are two.
        let same = zip(held, folder).prefix { $0.utf8.elementsEqual($1.utf8) }.count
        names = Array(held.prefix(same))
    }
}
