import BEiTFiles
import Foundation

/// A file of scalars that TensorBoard reads: TFRecords of `Event` messages (`tensorflow/core/util/event.proto`).
///
/// Each start of a run has a file of its own. It begins with a session start, upon which TensorBoard forgets the steps
/// from there on that earlier files have: those of a run that was killed and repeats them.
final class EventFile {
    let path: String

    /// Begins a file in `folder`, which sorts behind those that are there. `firstStep` is the first that will be written.
    /// Throws `FileError`.
    init(in folder: String, firstStep: Int, now: Date = Date()) throws {
        let prefix = "events.out.tfevents."
        let names = try FileSystem.names(in: folder)
        let latest = names.compactMap { name -> Int? in
            guard name.hasPrefix(prefix) else { return nil }
            return name.dropFirst(prefix.count).split(separator: ".").first.flatMap { Int($0) }
        }.max()
        let time = max(Int(now.timeIntervalSince1970), (latest ?? 0) + 1)
        let digits = String(time)
        path =
            folder + "/" + prefix + String(repeating: "0", count: max(0, 10 - digits.count)) + digits
            + ".\(ProcessInfo.processInfo.hostName).\(getpid())"
        let wallTime = now.timeIntervalSince1970
        try AtomicFile.write(
            EventFile.version(wallTime: wallTime) + EventFile.sessionStart(step: firstStep, wallTime: wallTime),
            to: path)
    }

    /// Throws `FileError`.
    func append(_ scalars: [(tag: String, value: Double)], step: Int) throws {
        try appendBytes(EventFile.record(scalars, step: step, wallTime: Date().timeIntervalSince1970), to: path)
    }
}

// MARK: Records

extension EventFile {
    /// The first record of a file.
    static func version(wallTime: Double) -> [UInt8] {
        record(Message().double(1, wallTime).bytes(3, Array("brain.Event:2".utf8)))
    }

    static func sessionStart(step: Int, wallTime: Double) -> [UInt8] {
        record(event(step: step, wallTime: wallTime).bytes(7, Message().integer(1, 1).data))
    }

    static func record(_ scalars: [(tag: String, value: Double)], step: Int, wallTime: Double) -> [UInt8] {
        var summary = Message()
        for (tag, value) in scalars {
            summary = summary.bytes(1, Message().bytes(1, Array(tag.utf8)).float(2, Float(value)).data)
        }
        return record(event(step: step, wallTime: wallTime).bytes(5, summary.data))
    }

    private static func event(step: Int, wallTime: Double) -> Message {
        Message().double(1, wallTime).integer(2, UInt64(step))
    }

    /// A TFRecord: the length and its checksum, the data and theirs.
    private static func record(_ message: Message) -> [UInt8] {
        let length = UInt64(message.data.count).littleEndianBytes
        return length + CRC32C.masked(length).littleEndianBytes + message.data
            + CRC32C.masked(message.data).littleEndianBytes
    }
}

/// A message in protocol buffers' wire format, field by field.
private struct Message {
    private(set) var data: [UInt8] = []

    /// An integer or enumeration; 0 is left out, as everywhere in protocol buffers.
    func integer(_ field: UInt64, _ value: UInt64) -> Message {
        value == 0 ? self : adding(field << 3, Message.varint(value))
    }
    func double(_ field: UInt64, _ value: Double) -> Message {
        adding(field << 3 | 1, value.bitPattern.littleEndianBytes)
    }
    /// Text, bytes or a message in it.
    func bytes(_ field: UInt64, _ value: [UInt8]) -> Message {
        adding(field << 3 | 2, Message.varint(UInt64(value.count)) + value)
    }
    func float(_ field: UInt64, _ value: Float) -> Message {
        adding(field << 3 | 5, value.bitPattern.littleEndianBytes)
    }

    private func adding(_ key: UInt64, _ value: [UInt8]) -> Message {
        var result = self
        result.data += Message.varint(key) + value
        return result
    }

    /// Seven bits a byte, lowest first; the eighth says that more follow.
    private static func varint(_ value: UInt64) -> [UInt8] {
        var (rest, result) = (value, [UInt8]())
        while rest > 127 {
            result.append(UInt8(rest & 127) | 128)
            rest >>= 7
        }
        return result + [UInt8(rest)]
    }
}

extension FixedWidthInteger {
    fileprivate var littleEndianBytes: [UInt8] { withUnsafeBytes(of: littleEndian) { Array($0) } }
}
