import BEiTModels
import BEiTOps
import Foundation

/// The memory that a run can have.
enum MachineMemory {
    /// Physical and swap memory in bytes, or what a container or `ulimit -v` allows, whichever is less.
    static var limit: Int {
        ([physical + swap] + controlGroup + [addressSpace]).compactMap { $0 }.min() ?? .max
    }

    private static var physical: Int { Int(clamping: ProcessInfo.processInfo.physicalMemory) }

    private static var swap: Int {
        let lines = ((try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8)) ?? "").split(separator: "\n")
        let words = lines.first { $0.hasPrefix("SwapTotal:") }?.split(separator: " ") ?? []
        return words.count > 1 ? (Int(words[1]) ?? 0) << 10 : 0
    }

    /// Of the group of this process and of those above it (version 2), or of the memory controller (version 1).
    private static var controlGroup: [Int] {
        let text = (try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8)) ?? ""
        let own = text.split(separator: "\n").first { $0.hasPrefix("0::/") }?.dropFirst(4) ?? ""
        var files = ["/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory.max"]
        var folder = "/sys/fs/cgroup"
        for name in own.split(separator: "/") {
            folder += "/" + name
            files.append(folder + "/memory.max")
        }
        return files.compactMap { file in
            (try? String(contentsOfFile: file, encoding: .utf8)).flatMap {
                Int($0.trimmingCharacters(in: .whitespacesAndNewlines))
            }
        }
    }

    private static var addressSpace: Int? {
        var limit = rlimit()
        #if os(Linux)
            let found = getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit)
        #else
            let found = getrlimit(RLIMIT_AS, &limit)
        #endif
        return found == 0 && limit.rlim_cur < 1 << 62 ? Int(limit.rlim_cur) : nil
    }

    /// Throws ``PlanError`` where a run that takes so many bytes at its most cannot work here.
    /// - Parameter isLeast: whether it takes more than that, of which this is a part.
    static func require(_ bytes: Int, isLeast: Bool = false, limit: Int = limit) throws(PlanError) {
        guard bytes > limit else { return }
        let text = { (bytes: Int) in String(format: "%.1f GiB", Double(bytes) / 0x1p30) }
        throw PlanError(
            "the run would take \(isLeast ? "at least" : "about") \(text(bytes)) of memory, and there are \(text(limit)); "
                + "`accumulate` with a smaller `batch`, `checkpoint-blocks`, a smaller `size` or a smaller model takes less"
        )
    }
}

extension ModelConfiguration {
    /// Bytes that learning takes at least, by arithmetic alone: weights, gradient and moments, the pixels of a batch and of
    /// those that wait, and the features of blocks and decoder that the way back needs. Some two thirds of what it really
    /// takes, so that nothing that would work is refused.
    /// - Parameter precision: of the products.
    func leastTrainingBytes(
        batch: Int, checkpointsBlocks: Bool, freezesBackbone: Bool = false, size: [Int], precision: Precision
    ) -> Int {
        let pixels = Double(size[0]) * Double(size[1])
        var (frozen, weights, features) = (0.0, 0.0, 4 * 3 * pixels)
        if let backbone {
            let (width, hidden) = (Double(backbone.width), Double(backbone.hiddenWidth))
            let tokens = pixels / Double(backbone.patchSize * backbone.patchSize)
            let blocks = Double(backbone.depth) * (4 * width * width + 2 * width * hidden)
            if freezesBackbone { frozen += blocks } else { weights += blocks }
            // Residual; norm, q, k, v, attention's result, both products of the MLP.
            let block = tokens * (width + (5 * width + 2 * hidden) * (precision == .bf16 ? 0.5 : 1))
            switch (freezesBackbone, checkpointsBlocks) {
            case (true, _): features += block
            case (false, true): features += block + Double(backbone.depth) * tokens * width
            case (false, false): features += Double(backbone.depth) * block
            }
            weights += decoder?.weightCount(width: backbone.width) ?? 0
            features += decoder?.keptCount(width: backbone.width, patches: tokens) ?? 0
            weights += width * Double((mim?.vocabulary ?? 0) + (classifier?.classes ?? 0))
        }
        return Int(min(1e18, 4 * (frozen + 4 * weights + features * Double(batch))))
    }
}
