import BEiTFiles
import BEiTTensorCore
import Foundation

/// Writes safetensors files, byte for byte as the reference library does (`serialize` in its `tensor.rs`): the header first,
/// filled up with spaces to 8 bytes; tensors ordered by type, then by the bytes of their names; no gaps.
package enum Safetensors {
    /// Writes `path`, whole or not at all. Of the tensors there is never more than one in memory.
    ///
    /// Throws ``WeightFileError/beyondRange(file:tensor:value:type:)``, `FileError`, and what a tensor throws that is made.
    /// - Precondition: no two tensors have the same name, none that of the metadata.
    package static func write(_ tensors: [OutgoingTensor], metadata: [String: String] = [:], to path: String) throws {
        let tensors = tensors.sorted {
            $0.format.rank != $1.format.rank
                ? $0.format.rank < $1.format.rank : $0.name.utf8.lexicographicallyPrecedes($1.name.utf8)
        }
        let file = try AtomicFile(path)
        let descriptor = try file.create()
        do {
            defer { close(descriptor) }
            try header(tensors, metadata).withUnsafeBytes { try put($0, descriptor, path) }
            for tensor in tensors { try write(tensor, descriptor, path) }
        }
        try file.commit()
    }

    private static func put(_ bytes: UnsafeRawBufferPointer, _ descriptor: Int32, _ path: String) throws {
        guard writeAll(bytes, to: descriptor) else { throw FileError.writing(path, doing: "write") }
    }

    // MARK: Header

    /// With its length before it.
    static func header(_ tensors: [OutgoingTensor], _ metadata: [String: String]) throws -> [UInt8] {
        precondition(
            Set(tensors.map(\.name) + ["__metadata__"]).count == tensors.count + 1, "two tensors have the same name")
        var members: [String] = metadata.isEmpty ? [] : ["\"__metadata__\":" + (try JSONText.line(metadata))]
        var end = 0
        for tensor in tensors {
            let start = end
            end += tensor.shape.elementCount * tensor.format.byteCount
            let shape = tensor.shape.map(String.init).joined(separator: ",")
            members.append(
                try JSONText.line(tensor.name)
                    + #":{"dtype":"\#(tensor.format.name)","shape":[\#(shape)],"data_offsets":[\#(start),\#(end)]}"#)
        }
        var text = Array("{\(members.joined(separator: ","))}".utf8)
        text += [UInt8](repeating: UInt8(ascii: " "), count: (8 - text.count % 8) % 8)
        return withUnsafeBytes(of: UInt64(text.count).littleEndian, Array.init) + text
    }

    // MARK: Values

    private static let elementsAtOnce = 1 << 16

    private static func write(_ outgoing: OutgoingTensor, _ descriptor: Int32, _ path: String) throws {
        let tensor = try outgoing.make()
        precondition(tensor.shape == outgoing.shape, "\(outgoing.name): \(tensor.shape) instead of \(outgoing.shape)")
        let size = outgoing.format.byteCount
        let raw = UnsafeMutableRawBufferPointer.allocate(byteCount: elementsAtOnce * size, alignment: 8)
        defer { raw.deallocate() }
        for start in stride(from: 0, to: tensor.count, by: elementsAtOnce) {
            let values = UnsafeBufferPointer(rebasing: tensor.buffer[start..<min(start + elementsAtOnce, tensor.count)])
            if let value = outgoing.format.encode(values, into: raw) {
                throw WeightFileError.beyondRange(
                    file: path, tensor: outgoing.name, value: value, type: "\(outgoing.format)")
            }
            try put(UnsafeRawBufferPointer(rebasing: raw[..<(values.count * size)]), descriptor, path)
        }
    }
}
