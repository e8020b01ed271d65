import BEiTTensorCore
import CBEiTHDF5
import CBEiTHDF5Shim

/// What a dataset says of itself.
package struct DatasetInfo: Equatable, Sendable {
    /// From the root, `/model/a/b`.
    package let path: String
    /// Empty for a single value.
    package let shape: [Int]
    package let elementType: ElementType
}

/// Everything that hard links lead to, found by a walk that ends whatever the file says: it keeps its own stack, enters
/// a group once, and stops at fixed limits. Links of other kinds are noted and never followed.
struct Contents: Sendable {
    enum Entry: Sendable {
        case group
        /// `obstacle`: why its values cannot be read, as far as it says without reading them.
        case dataset(DatasetInfo, obstacle: String?)
        case refused(String)
    }
    private static let mostLinks = 100_000, deepest = 1_000

    private(set) var entries: [String: Entry] = ["/": .group]

    private struct Step {
        let parent: Handle
        let name: String
        let path: String
        let depth: Int
    }

    /// Walks the open file `root` of so many bytes. Throws ``HDF5Error`` if the root group cannot be read.
    init(root: Handle, file: String, fileSize: Int) throws {
        var entered: Set<haddr_t> = [beitseg_h5_address(root.id)]
        var pending: [Step] = []
        try enter(root, path: "", depth: 0, file: file, pending: &pending, entered: &entered)
        while let step = pending.popLast() {
            do {
                let object = try Handle(H5Oopen(step.parent.id, step.name, hid_t(H5P_DEFAULT)), H5Oclose) {
                    .cannotRead(file: file, path: step.path, reason: $0)
                }
                switch H5Iget_type(object.id) {
                case H5I_GROUP:
                    entries[step.path] = .group
                    try enter(
                        object, path: step.path, depth: step.depth, file: file, pending: &pending, entered: &entered)
                case H5I_DATASET:
                    let info = try DatasetInfo(object, path: step.path, file: file)
                    let check = StorageCheck(info: info, file: file, fileSize: fileSize)
                    entries[step.path] = .dataset(info, obstacle: check.obstacle(object))
                default: break  // a type with a name: no data
                }
            } catch let error as HDF5Error {
                entries[step.path] = .refused(error.reason)
            }
        }
    }

    /// Puts the links of `group` on the stack, but for those to groups where the walk has been.
    private mutating func enter(
        _ group: Handle, path: String, depth: Int, file: String, pending: inout [Step], entered: inout Set<haddr_t>
    ) throws {
        let links = try Links(of: group, atMost: Self.mostLinks - entries.count - pending.count) {
            .cannotRead(file: file, path: path.isEmpty ? "/" : path, reason: $0)
        }
        for link in links.all {
            let target = path + "/" + link.name
            if !link.isHard {
                entries[target] = .refused("it is a soft or external link; copy what it points to in its place")
            } else if depth == Self.deepest {
                entries[target] = .refused("it lies more than \(Self.deepest) groups deep")
            } else if entered.insert(link.address).inserted || !link.leadsToGroup(in: group) {
                pending.append(Step(parent: group, name: link.name, path: target, depth: depth + 1))
            }
        }
    }
}

/// The links of one group.
private struct Links {
    struct Link {
        let name: String
        let isHard: Bool
        let address: haddr_t

        func leadsToGroup(in group: Handle) -> Bool {
            let object = H5Oopen(group.id, name, hid_t(H5P_DEFAULT))
            defer { H5Oclose(object) }
            return H5Iget_type(object) == H5I_GROUP
        }
    }
    private(set) var all: [Link] = []
    private var room: Int
    private var isNamedBadly = false

    init(of group: Handle, atMost room: Int, orThrow failure: (String) -> HDF5Error) throws {
        self.room = room
        let result = withUnsafeMutablePointer(to: &self) { links in
            beitseg_h5_visit_links(
                group.id,
                { name, isHard, address, context in
                    guard let name, let links = context?.assumingMemoryBound(to: Links.self) else { return 1 }
                    return links.pointee.append(name, isHard: isHard != 0, address: address) ? 0 : 1
                }, links)
        }
        guard result >= 0 else { throw failure(Library.reason) }
        guard !isNamedBadly else { throw failure("a name in it is not UTF-8") }
        guard result == 0 else { throw failure("the file has too many objects for a model") }
    }

    /// False if the walk must stop.
    private mutating func append(_ name: UnsafePointer<CChar>, isHard: Bool, address: haddr_t) -> Bool {
        guard let name = String(validatingCString: name) else {
            isNamedBadly = true
            return false
        }
        all.append(Link(name: name, isHard: isHard, address: address))
        return all.count < room
    }
}
