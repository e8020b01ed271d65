import CBEiTHDF5
import CBEiTHDF5Shim
import Foundation

/// Where a text of variable length lies: what stands in its place in an attribute. It leads to a global heap, a part of
/// the file that holds numbered objects.
///
/// libhdf5 is not trusted with following it. It takes the length from here and the bytes from there, and of neither
/// asks whether it is true: a damaged length reserves gigabytes, a damaged size in the heap writes past the end of
/// what was reserved and ends the process (1.10.8). So it hands over the reference as it stands, and the heap is read
/// here, where nothing is believed that the file does not hold.
///
/// Source: HDF5 File Format Specification 3.0, III.E "Disk Format: Level 1E - Global Heap".
struct HeapReference {
    /// Bytes of the text.
    private let length: Int
    /// Of the heap, from the beginning of the HDF5 part of the file.
    private let address: UInt64
    private let index: UInt32

    static let byteCount = 16

    /// - Parameter bytes: ``byteCount`` of them, as in a file with addresses of 8 bytes.
    init(_ bytes: [UInt8]) {
        length = Int(bytes.number(0, 4))
        address = bytes.number(4, 8)
        index = UInt32(bytes.number(12, 4))
    }

    /// The bytes of the text, or why there is none.
    func text(in file: HeapFile) -> Result<[UInt8], HeapProblem> {
        if length == 0 { return .success([]) }
        guard length <= HeapFile.mostText, length <= file.size else {
            return .failure(HeapProblem("it declares a text of \(length) bytes, the file has \(file.size)"))
        }
        guard let heap = file.heap(at: address) else { return .failure(HeapProblem("its text lies nowhere")) }
        var place = HeapFile.headerSize
        while place + HeapFile.headerSize <= heap.count {
            let (number, size) = (UInt32(heap.number(place, 2)), heap.number(place + 8, 8))
            place += HeapFile.headerSize
            guard size <= UInt64(heap.count - place), number != 0 else { break }  // 0: the space that is left
            if number == index {
                guard size >= length else { break }
                return .success(Array(heap[place..<place + length]))
            }
            place += (Int(size) + 7) / 8 * 8
        }
        return .failure(HeapProblem("its text of \(length) bytes is not where it should be"))
    }
}

/// What is wrong with a text in a global heap, in half a line.
struct HeapProblem: Error {
    let reason: String
    init(_ reason: String) { self.reason = reason }
}

/// An open file, seen as the bytes that it is.
struct HeapFile {
    /// Texts of more bytes are refused.
    static let mostText = 64 << 20
    /// Of a heap, and of each object in it.
    static let headerSize = 16

    private let descriptor: Int32
    /// Bytes before the HDF5 part, from where its addresses count.
    private let base: UInt64
    /// Bytes.
    let size: Int

    /// - Parameter root: the open file, of `size` bytes. Nil where libhdf5 reads it by other means than a descriptor.
    init?(_ root: Handle, size: Int) {
        descriptor = beitseg_h5_descriptor(root.id)
        let plan = H5Fget_create_plist(root.id)
        defer { H5Pclose(plan) }
        var base: hsize_t = 0
        guard descriptor >= 0, H5Pget_userblock(plan, &base) >= 0 else { return nil }
        (self.base, self.size) = (UInt64(base), size)
    }

    /// A global heap with its header; nil where none begins at `address` or not all of it is in the file.
    fileprivate func heap(at address: UInt64) -> [UInt8]? {
        let (place, overflow) = base.addingReportingOverflow(address)
        guard !overflow, let header = read(place, Self.headerSize) else { return nil }
        guard header.starts(with: Array("GCOL".utf8) + [1]) else { return nil }
        return read(place, Int(clamping: header.number(8, 8)))
    }

    private func read(_ place: UInt64, _ count: Int) -> [UInt8]? {
        guard place <= size, count >= Self.headerSize, count <= min(size - Int(place), Self.mostText + (1 << 20)) else {
            return nil
        }
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let got = bytes[done...].withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress, $0.count, off_t(place) + off_t(done))
            }
            if got < 0, errno == EINTR { continue }
            guard got > 0 else { return nil }
            done += got
        }
        return bytes
    }
}

extension [UInt8] {
    /// A little-endian number.
    fileprivate func number(_ start: Int, _ count: Int) -> UInt64 {
        self[start..<start + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
