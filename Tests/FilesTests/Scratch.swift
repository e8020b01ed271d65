import BEiTFiles
import Foundation

/// A folder that goes away with the test.
final class Scratch {
    let path = NSTemporaryDirectory() + "beit-seg-" + UUID().uuidString

    init() throws { try makeFolder(path) }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    subscript(name: String) -> String { path + "/" + name }
    var names: [String] { (try? FileSystem.names(in: path)) ?? [] }

    func text(_ name: String) -> String? {
        (try? FileSystem.read(self[name])).map { String(decoding: $0, as: UTF8.self) }
    }

    func link(_ name: String, to target: String) {
        self[name].withFileSystemName { name in target.withFileSystemName { _ = symlink($0, name) } }
    }

    func hardLink(_ name: String, to target: String) {
        self[name].withFileSystemName { name in self[target].withFileSystemName { _ = Foundation.link($0, name) } }
    }

    func fifo(_ name: String) { self[name].withFileSystemName { _ = mkfifo($0, 0o644) } }
}
