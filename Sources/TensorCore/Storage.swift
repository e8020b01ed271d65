import Foundation
import Synchronization

/// A block of memory aligned to 64 bytes (a cache line, an AVX-512 register), not initialised.
///
/// Blocks come from ``StoragePool`` and go back to it when the last reference disappears, so that a forward pass which
/// runs again finds its memory mapped already.
package final class Storage: @unchecked Sendable {
    package let elementType: ElementType
    package let byteCount: Int
    package let address: UnsafeMutableRawPointer
    private let holdsFloats: Bool

    /// - Precondition: the type has a size.
    package init(count: Int, _ elementType: ElementType) {
        guard count >= 0, let size = elementType.byteCount else { preconditionFailure("\(count) \(elementType)") }
        self.elementType = elementType
        holdsFloats = elementType == .float32
        byteCount = StoragePool.sizeClass(count * size)
        address = StoragePool.shared.take(byteCount)
    }

    /// Bytes whose meaning is their owner's affair.
    package convenience init(byteCount: Int) { self.init(count: byteCount, .uint8) }

    deinit { StoragePool.shared.give(address, byteCount: byteCount) }

    /// - Precondition: the elements are floats.
    package var floats: UnsafeMutablePointer<Float> {
        precondition(holdsFloats, "floats of a storage of \(elementType)")
        return address.assumingMemoryBound(to: Float.self)
    }

    /// The bit patterns of the elements.
    /// - Precondition: they are bfloat16.
    package var bfloats: UnsafeMutablePointer<UInt16> {
        precondition(elementType == .bfloat16, "bfloat16 of a storage of \(elementType)")
        return address.assumingMemoryBound(to: UInt16.self)
    }

    /// - Precondition: the elements are bytes.
    package var bytes: UnsafeMutablePointer<UInt8> {
        precondition(elementType == .uint8, "bytes of a storage of \(elementType)")
        return address.assumingMemoryBound(to: UInt8.self)
    }
}

/// Calls `body` with memory for `count` numbers, not initialised and aligned, that lasts until it returns.
///
/// A pointer does not keep its tensor alive; scratch memory that is only used through one is taken here.
package func withScratch<Result>(_ count: Int, _ body: (UnsafeMutablePointer<Float>) -> Result) -> Result {
    let storage = Storage(count: count, .float32)
    return withExtendedLifetime(storage) { body(storage.floats) }
}

/// Where tensors' memory comes from: large blocks from an ``Arena``, small ones from lists of freed blocks by size.
package final class StoragePool: Sendable {
    package static let shared = StoragePool()

    private struct State: @unchecked Sendable {
        /// Nil where the system gives large blocks.
        let arena = Arena()
        /// Small blocks by size.
        var free: [Int: [UnsafeMutableRawPointer]] = [:]
        var freeBytes = 0
        var usedBytes = 0
        var peakBytes = 0
        var gapShare = 32
    }

    /// Blocks of this size and more are large.
    private static let large = 1 << 20
    /// Bytes of small blocks that are kept.
    private static let smallSlack = 8 << 20
    private let state = Mutex(State())

    /// Bytes in live tensors at their highest since ``resetPeak()``.
    package var peakBytes: Int { state.withLock { $0.peakBytes } }
    /// Bytes in live tensors, and those together with the unused memory beside them.
    package var usedBytes: Int { state.withLock { $0.usedBytes } }
    package var heldBytes: Int {
        state.withLock { $0.usedBytes + $0.freeBytes + ($0.arena.map { $0.held - $0.used } ?? 0) }
    }
    /// Bytes that live tensors of `peak` bytes at their most and the unused memory beside them can come to: blocks of
    /// different sizes leave gaps between them.
    package func mostHeld(peak: Int) -> Int { Self.mostHeld(peak, state.withLock { $0.gapShare }) }

    private static func mostHeld(_ peak: Int, _ gapShare: Int) -> Int { peak + max(4 << 20, peak / gapShare) }

    /// Lets the gaps take an eighth of the peak in place of a 32nd, or takes that back. A step of training takes and gives back
    /// blocks of many sizes in ever other places; to hand pages back and have them cleared again can cost it a sixth of its
    /// time.
    package func expectSteps(_ expects: Bool = true) { state.withLock { $0.gapShare = expects ? 8 : 32 } }
    package func resetPeak() { state.withLock { $0.peakBytes = $0.usedBytes } }

    /// Hands all unused memory back to the system.
    package func trim() {
        let blocks = state.withLock { state in
            defer { (state.free, state.freeBytes) = ([:], 0) }
            state.arena?.release()
            return state.free.values.flatMap { $0 }
        }
        blocks.forEach { free($0) }
    }

    /// Small sizes are rounded up to an eighth of a power of two, so that nearly equal tensors share blocks; large ones to
    /// whole pages.
    static func sizeClass(_ byteCount: Int) -> Int {
        let minimum = max(byteCount, 64)
        let step = max(64, (1 << (Int.bitWidth - 1 - minimum.leadingZeroBitCount)) / 8)
        let small = (minimum + step - 1) / step * step
        return small < large ? small : (minimum + Arena.page - 1) / Arena.page * Arena.page
    }

    /// - Parameter byteCount: a ``sizeClass(_:)``.
    func take(_ byteCount: Int) -> UnsafeMutableRawPointer {
        let block = state.withLock { state -> UnsafeMutableRawPointer? in
            state.usedBytes += byteCount
            state.peakBytes = max(state.peakBytes, state.usedBytes)
            if byteCount >= StoragePool.large {
                return state.arena?.take(byteCount, limit: Self.mostHeld(state.peakBytes, state.gapShare))
            }
            guard let block = state.free[byteCount]?.popLast() else { return nil }
            state.freeBytes -= byteCount
            return block
        }
        return block ?? allocate(byteCount)
    }

    private func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer {
        var block = aligned_alloc(64, byteCount)
        if block == nil {
            trim()
            block = aligned_alloc(64, byteCount)
        }
        guard let block else { MemoryExhaustion.end(refused: byteCount) }
        return block
    }

    func give(_ block: UnsafeMutableRawPointer, byteCount: Int) {
        let isKept = state.withLock { state -> Bool in
            state.usedBytes -= byteCount
            guard byteCount < StoragePool.large else {
                return state.arena?.give(block, byteCount) == true
            }
            guard state.freeBytes + byteCount <= StoragePool.smallSlack else { return false }
            state.free[byteCount, default: []].append(block)
            state.freeBytes += byteCount
            return true
        }
        if !isKept { free(block) }
    }
}
