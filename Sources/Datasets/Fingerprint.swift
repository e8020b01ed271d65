import BEiTFiles
import BEiTTensorCore
import Foundation

extension [String] {
    /// FNV-1a over the strings in order: changes when one of them or their order does.
    package var fingerprint: UInt64 {
        var hash = FNV1a()
        hash.add(joined(separator: "\n").utf8)
        return hash.value
    }

    /// Changes when what the files hold does: of each its size and the 4 kB at its beginning, middle and end.
    ///
    /// A picture that was edited has another size or another end, where a PNG keeps the checksum of all its pixels and a
    /// JPEG what its entropy coder came to. Reading whole sets would take minutes at every start.
    package var contentsFingerprint: UInt64 {
        var hashes = [UInt64](repeating: 0, count: count)
        hashes.withUnsafeMutableBufferPointer { buffer in
            nonisolated(unsafe) let values = buffer  // each task writes its own element
            WorkerPool.current.run(count) { values[$0] = FNV1a(contentsOf: self[$0]).value }
        }
        var all = FNV1a()
        hashes.withUnsafeBytes { all.add($0) }
        return all.value
    }
}

/// A hash of 64 bits (Fowler, Noll and Vo), which tells changes made without intent.
struct FNV1a {
    private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

    init() {}

    mutating func add(_ bytes: some Sequence<UInt8>) {
        for byte in bytes { value = (value ^ UInt64(byte)) &* 0x100_0000_01B3 }
    }

    /// Of a file's size and samples; of one that cannot be opened, of nothing.
    init(contentsOf path: String) {
        let descriptor = path.withFileSystemName { open($0, O_RDONLY | O_NONBLOCK) }
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return }
        let size = Int(status.st_size), sample = 4096
        withUnsafeBytes(of: UInt64(size).littleEndian) { add($0) }
        var buffer = [UInt8](repeating: 0, count: sample)
        for start in size <= 3 * sample ? [0, sample, 2 * sample] : [0, (size - sample) / 2, size - sample] {
            let count = pread(descriptor, &buffer, sample, off_t(start))
            add(buffer.prefix(max(0, count)))
        }
    }
}
