import Foundation
import Synchronization

/// A block of memory aligned to 64 bytes (a cache line, an AVX-512 register), not initialised.
///
/// Blocks come from ``StoragePool`` and go back to it when the last reference disappears, so that a forward pass which
/// runs again finds its buffers mapped already.
public final class Storage: @unchecked Sendable {
    public let byteCount: Int
    public let address: UnsafeMutableRawPointer

    public init(byteCount: Int) {
        precondition(byteCount >= 0, "a negative size")
        self.byteCount = StoragePool.sizeClass(byteCount)
        address = StoragePool.shared.take(self.byteCount)
    }

    deinit { StoragePool.shared.give(address, byteCount: byteCount) }
}

/// Calls `body` with memory for `count` numbers, not initialised and aligned, that lasts until it returns.
///
/// A pointer does not keep its tensor alive; scratch memory that is only used through one is taken here.
public func withScratch<Result>(_ count: Int, _ body: (UnsafeMutablePointer<Float>) -> Result) -> Result {
    let storage = Storage(byteCount: count * MemoryLayout<Float>.stride)
    return withExtendedLifetime(storage) { body(storage.address.assumingMemoryBound(to: Float.self)) }
}

/// Keeps freed blocks by size for the next tensor of that size.
public final class StoragePool: Sendable {
    public static let shared = StoragePool()

    private struct State: @unchecked Sendable {
        var free: [Int: [UnsafeMutableRawPointer]] = [:]
        var freeBytes = 0
        var usedBytes = 0
        var peakBytes = 0

        var spareShare = 0.0

        /// Unused blocks may stand beside those in use up to this size.
        private var limit: Int { mostHeld(peakBytes) }

        func mostHeld(_ peak: Int) -> Int { peak + StoragePool.slack + Int(spareShare * Double(peak)) }

        func keeps(_ byteCount: Int) -> Bool { usedBytes + freeBytes + byteCount <= limit }

        /// Removes unused blocks until the rest is within the limit: small ones first, since what a block costs is the
        /// clearing of its pages when it comes anew, but not those that the system never takes back (below 1 MiB).
        mutating func shrink() -> [UnsafeMutableRawPointer] {
            var removed: [UnsafeMutableRawPointer] = []
            while usedBytes + freeBytes > limit, let size = free.keys.filter({ $0 >= 1 << 20 }).min() ?? free.keys.max()
            {
                if let block = free[size]?.popLast() {
                    removed.append(block)
                    freeBytes -= size
                } else {
                    free[size] = nil
                }
            }
            return removed
        }
    }
    /// A pass whose buffers differ in size needs more blocks than it ever uses at once.
    private static let slack = 40 << 20
    private let state = Mutex(State())

    /// Bytes in live tensors at their highest since ``resetPeak()``.
    public var peakBytes: Int { state.withLock { $0.peakBytes } }
    /// Bytes in live tensors, and those together with the unused blocks.
    public var usedBytes: Int { state.withLock { $0.usedBytes } }
    public var heldBytes: Int { state.withLock { $0.usedBytes + $0.freeBytes } }
    /// Lets unused blocks take up this share of the peak more. A training step, whose buffers have many sizes, then finds
    /// most of them mapped.
    public func setSpare(share: Double) { state.withLock { $0.spareShare = share } }
    /// Bytes that live tensors of `peak` bytes at their most and the unused blocks beside them can come to.
    public func mostHeld(peak: Int) -> Int { state.withLock { $0.mostHeld(peak) } }
    public func resetPeak() { state.withLock { $0.peakBytes = $0.usedBytes } }

    /// Hands every unused block back to the system.
    public func trim() {
        let blocks = state.withLock { state in
            defer { (state.free, state.freeBytes) = ([:], 0) }
            return state.free.values.flatMap { $0 }
        }
        blocks.forEach { free($0) }
    }

    /// Sizes are rounded up to an eighth of a power of two, so that nearly equal tensors share blocks.
    static func sizeClass(_ byteCount: Int) -> Int {
        let minimum = max(byteCount, 64)
        let step = max(64, (1 << (Int.bitWidth - 1 - minimum.leadingZeroBitCount)) / 8)
        return (minimum + step - 1) / step * step
    }

    func take(_ byteCount: Int) -> UnsafeMutableRawPointer {
        let (reused, surplus) = state.withLock { state -> (UnsafeMutableRawPointer?, [UnsafeMutableRawPointer]) in
            state.usedBytes += byteCount
            state.peakBytes = max(state.peakBytes, state.usedBytes)
            if let block = state.free[byteCount]?.popLast() {
                state.freeBytes -= byteCount
                return (block, [])
            }
            return (nil, state.shrink())
        }
        surplus.forEach { free($0) }
        if let reused { return reused }
        var block: UnsafeMutableRawPointer?
        let huge = byteCount >= 4 << 20
        var failed = posix_memalign(&block, huge ? 2 << 20 : 64, byteCount) != 0
        if failed {
            trim()
            failed = posix_memalign(&block, 64, byteCount) != 0
        }
        guard !failed, let block else { outOfMemory(byteCount) }
        #if os(Linux)
            // MADV_HUGEPAGE: fewer page faults and TLB misses.
            if huge { madvise(block, byteCount, 14) }
        #endif
        return block
    }

    func give(_ block: UnsafeMutableRawPointer, byteCount: Int) {
        let release = state.withLock { state -> Bool in
            state.usedBytes -= byteCount
            guard state.keeps(byteCount) else { return true }
            state.free[byteCount, default: []].append(block)
            state.freeBytes += byteCount
            return false
        }
        if release { free(block) }
    }
}

/// Memory that the system refuses cannot be had by any other way; the message names the remedy.
private func outOfMemory(_ byteCount: Int) -> Never {
    FileHandle.standardError.write(
        Data("beit-seg: out of memory (\(byteCount >> 20) MiB more); use a smaller --batch or --size\n".utf8))
    exit(74)
}
