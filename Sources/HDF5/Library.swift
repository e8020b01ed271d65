import BEiTFiles
import CBEiTHDF5
import CBEiTHDF5Shim
import Foundation

/// libhdf5 itself: one caller at a time (not every build of it locks), errors thrown instead of printed.
enum Library {
    private static let lock = NSRecursiveLock()

    /// Settings of the process, made before the first other call.
    private static let isSetUp: Bool = {
        // When the program ends, libhdf5 would once more close what a full disk kept it from closing, and crash.
        // Plugins are code that a file can name, so none is ever loaded.
        H5dont_atexit() >= 0 && H5PLset_loading_state(0) >= 0 && beitseg_h5_keep_references() >= 0
    }()

    /// Runs `body` while no other thread is in libhdf5.
    static func locked<Result>(_ body: () throws -> Result) rethrows -> Result {
        lock.lock()
        defer { lock.unlock() }
        precondition(isSetUp, "libhdf5 does not start")
        H5Eset_auto2(hid_t(H5E_DEFAULT), nil, nil)  // a setting of the thread, hence here
        return try body()
    }

    /// The most specific message of the call that failed last on this thread, in one line.
    static var reason: String {
        var text = [CChar](repeating: 0, count: 1000)
        beitseg_h5_innermost_error(&text, text.count)
        let bytes = text.prefix { $0 != 0 }.map { (0..<32).contains($0) ? UInt8(ascii: " ") : UInt8(bitPattern: $0) }
        let line = String(decoding: bytes, as: UTF8.self)
        // Of a failed system call libhdf5 gives the time, addresses and sizes as well.
        if let start = line.range(of: "errno = "), let code = Int32(line[start.upperBound...].prefix { $0.isNumber }) {
            return FileError.systemReason(code)
        }
        return line.isEmpty ? "libhdf5 gives no reason" : line
    }
}

/// An identifier of libhdf5 (dataset, group, type, property list, ...), released once when the last reference goes.
///
/// Bind it to a name for as long as its `id` is in use: a temporary is gone before the call that takes its `id`.
final class Handle: Sendable {
    let id: hid_t
    private let close: @Sendable (hid_t) -> herr_t

    /// Throws `failure(reason)` if `id` says that the call which made it failed.
    init(_ id: hid_t, _ close: @escaping @Sendable (hid_t) -> herr_t, orThrow failure: (String) -> HDF5Error) throws {
        guard id >= 0 else { throw failure(Library.reason) }
        (self.id, self.close) = (id, close)
    }

    deinit { _ = Library.locked { close(id) } }
}
