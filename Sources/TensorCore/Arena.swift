import Foundation

/// Large blocks in one range of addresses, which is reserved at once and holds memory only where it was written to.
///
/// A pass that runs again asks for the same blocks in the same order and gets the same addresses: their pages are there,
/// and nothing is cleared anew. Blocks of all sizes share them, so that little more is held than was in use at its most.
/// Not safe for several threads by itself.
final class Arena {
    private let base: UnsafeMutableRawPointer
    private let size: Int
    /// Offsets outside of blocks.
    private var free: RangeSet<Int>
    /// Offsets that hold no memory.
    private var clean: RangeSet<Int>
    /// Bytes that hold memory: of blocks, and of what were blocks.
    private(set) var held = 0
    /// Bytes of blocks.
    private(set) var used = 0

    /// Blocks are whole pages of the system, so that giving one back touches no other.
    static let page = max(4096, Int(sysconf(Int32(_SC_PAGESIZE))))

    /// As many bytes as there is memory, or half of the addresses that `ulimit -v` allows. Nil where addresses must be
    /// backed by memory (strict overcommit): there the system's own allocator serves.
    convenience init?() {
        let overcommit = FileManager.default.contents(atPath: "/proc/sys/vm/overcommit_memory")
        if overcommit?.first == UInt8(ascii: "2") { return nil }
        var limit = rlimit()
        let isLimited = getrlimit(resourceOfAddresses, &limit) == 0 && limit.rlim_cur < rlim_t(Int64.max)
        let memory = Int(clamping: ProcessInfo.processInfo.physicalMemory)
        self.init(byteCount: isLimited ? min(memory, Int(limit.rlim_cur / 2)) : memory)
    }

    init?(byteCount: Int) {
        let size = byteCount / Arena.page * Arena.page
        guard let address = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON | MAP_NORESERVE, -1, 0),
            address != MAP_FAILED
        else { return nil }
        #if os(Linux)
            madvise(address, size, 14)  // MADV_HUGEPAGE: fewer page faults and TLB misses
        #endif
        (base, self.size) = (address, size)
        (free, clean) = (RangeSet(0..<size), RangeSet(0..<size))
    }

    deinit { munmap(base, size) }

    /// A block from the free part that holds it and the most memory, the smallest of equals; nil where none is so large.
    /// - Parameters:
    ///   - byteCount: whole pages.
    ///   - limit: where more is held, free memory goes back to the system.
    func take(_ byteCount: Int, limit: Int) -> UnsafeMutableRawPointer? {
        var best: (part: Range<Int>, missing: Int)?
        for part in free.ranges where part.count >= byteCount {
            let missing = clean.count(in: part.lowerBound..<part.lowerBound + byteCount)
            if let best, (best.missing, best.part.count) <= (missing, part.count) { continue }
            best = (part, missing)
        }
        guard let best else { return nil }
        let block = best.part.lowerBound..<best.part.lowerBound + byteCount
        free.remove(contentsOf: block)
        used += byteCount
        held += clean.count(in: block)
        clean.remove(contentsOf: block)
        if held > limit { release(held - limit) }
        return base + block.lowerBound
    }

    /// Takes a block back. False where it is not one of the arena's.
    func give(_ block: UnsafeMutableRawPointer, _ byteCount: Int) -> Bool {
        let start = block - base
        guard 0..<size ~= start else { return false }
        free.insert(contentsOf: start..<start + byteCount)
        used -= byteCount
        return true
    }

    /// Hands free memory back to the system, up to so many bytes and from the last on.
    func release(_ most: Int = .max) {
        var left = most / Arena.page * Arena.page
        for part in free.subtracting(clean).ranges.reversed() where left > 0 {
            let given = max(part.lowerBound, part.upperBound - left)..<part.upperBound
            guard madvise(base + given.lowerBound, given.count, discard) == 0 else { return }
            clean.insert(contentsOf: given)
            held -= given.count
            left -= given.count
        }
    }
}

extension RangeSet<Int> {
    fileprivate func count(in range: Range<Int>) -> Int { ranges.reduce(0) { $0 + $1.clamped(to: range).count } }
}

#if canImport(Darwin)
    private let resourceOfAddresses = RLIMIT_AS
    private let discard = MADV_FREE
#else
    private let discard = MADV_DONTNEED
    private let resourceOfAddresses = __rlimit_resource_t(RLIMIT_AS.rawValue)
#endif
