import BEiTFiles

/// Where results lie below the output folder.
///
/// The results of a single folder repeat its tree. Several inputs keep as much of their folders as tells them apart: a
/// result lies below the output as its image lies below the deepest folder that holds all inputs: `a/` and `b/` give
/// `a/x.png` and `b/x.png`, as do `/data/a/` and `/data/b/`. The relative paths of a list lie below the output as they
/// stand. The results of a shard are named after its samples' keys; where two shards have one key, those of each shard lie
/// in a folder of its name. Nothing leads out of the output.
struct ResultStems {
    /// The names on the way to the folder that holds all inputs; nil where only the images' own names count.
    private var base: [String]?
    private let workingFolder: [String]
    private let flat: Bool
    /// Whether shards have keys in common.
    private let dividesShards: Bool

    init(_ sources: [InputSource], flat: Bool, workingFolder: String = FileSystem.realPath(".") ?? "/") {
        (self.workingFolder, self.flat) = (Self.split(workingFolder), flat)
        dividesShards = Self.haveCommonKeys(sources)
        var common = CommonFolder()
        for source in flat ? [] : sources {
            switch source {
            case .file(let path), .damaged(let path, _): common.hold(names(path).dropLast())
            case .shard: break
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
        guard let base else { return Self.place(of: path).stem }
        return names(path).dropFirst(base.count).joined(separator: "/").withoutEnding
    }

    /// The same of a sample in a shard.
    func stem(of key: String, in shard: String) -> String {
        let name = flat ? key.lastName : key
        return dividesShards ? shard.stem.joined(name) : name
    }

    private static func haveCommonKeys(_ sources: [InputSource]) -> Bool {
        let shards = sources.compactMap { if case .shard(let samples) = $0 { samples } else { nil } }
        guard shards.count > 1 else { return false }
        var keys: Set<String> = []
        return shards.contains { shard in (0..<shard.count).contains { !keys.insert(shard.key($0)).inserted } }
    }

    /// The names on the way from the root.
    private func names(_ path: String) -> [String] {
        var names = path.utf8.first == UInt8(ascii: "/") ? [] : workingFolder
        for name in Self.split(Self.place(of: path)) where name != "." {
            if name == ".." { _ = names.popLast() } else { names.append(name) }
        }
        return names
    }

    /// A member lies in its archive as a file does in a folder.
    private static func place(of path: String) -> String {
        TarArchive.split(path).map { $0.archive.joined($0.member) } ?? path
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
