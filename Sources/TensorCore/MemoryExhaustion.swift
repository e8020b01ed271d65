import Foundation
import Synchronization

/// The end of a process whose memory has run out.
///
/// No operation on tensors can go on without its memory, and none throws: every line of a model would have to. So the
/// process ends, as it does where Swift itself gets no memory. A library must not choose how: a program sets
/// ``handler``, which may write a line and exit. Without one a line says what was refused, and `abort` leaves a trace of
/// where.
package enum MemoryExhaustion {
    /// Called on the thread that was refused, with the bytes it asked for (0 where a library does not say).
    package static let handler = Mutex<@Sendable (_ bytes: Int) -> Never>({ bytes in
        let text = "BEiTSeg: out of memory (\(bytes >> 20) MiB more were refused)\n"
        FileHandle.standardError.write(Data(text.utf8))
        abort()
    })

    /// For memory that cannot be had in any other way.
    package static func end(refused bytes: Int) -> Never {
        let handler = handler.withLock { $0 }
        handler(bytes)
    }
}
