import BEiTTensorCore
import CBEiTKernels
import Foundation

/// What the processor offers and what of it is used.
package enum Machine {
    /// The instruction set of the kernels in use, such as "AVX-512".
    package static var instructionSet: String { String(cString: beitseg_kernel_level_name(beitseg_kernel_level())) }

    /// Those that there are kernels for and that this processor has; the last one is in use.
    package static var instructionSets: [String] {
        (0...beitseg_kernel_level()).filter { beitseg_kernels_at($0) != nil }.map {
            String(cString: beitseg_kernel_level_name($0))
        }
    }

    /// Whether it multiplies bfloat16 faster than float32.
    package static let multipliesBFloat16 = beitseg_bf16_is_fast() == 1

    /// The arithmetic peak in GFLOP/s of each instruction set on the threads of the pool, best of several rounds: a loop of
    /// multiply-adds on registers, of a precision's numbers. Without the sets that have no instruction for these.
    package static func measurePeaks(_ precision: Precision = .fp32) -> [(instructionSet: String, gflops: Double)] {
        (0...beitseg_kernel_level()).compactMap { level in
            guard let kernels = beitseg_kernels_at(level)?.pointee else { return nil }
            let loop =
                switch precision {
                case .fp32: kernels.multiply_add_loop
                case .bf16: kernels.bf16_loop
                case .int8: kernels.int8_loop
                }
            let gflops = loop.flatMap { loop in (0..<20).map { _ in round(loop) }.max() } ?? 0
            return gflops > 0 ? (String(cString: beitseg_kernel_level_name(level)), gflops) : nil
        }
    }

    private static func round(_ loop: @convention(c) (Int, UnsafeMutablePointer<Float>?) -> Double) -> Double {
        let threads = WorkerPool.current.threads
        let iterations = 4_000_000
        let work = Tensor.zeros([2 * threads])  // operations and sink of each thread
        let start = ContinuousClock.now
        WorkerPool.current.run(threads) { task in
            var sink: Float = 0
            work.pointer[2 * task] = Float(loop(iterations, &sink))
            work.pointer[2 * task + 1] = sink
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        return stride(from: 0, to: 2 * threads, by: 2).reduce(0) { $0 + Double(work.pointer[$1]) } / seconds / 1e9
    }

    /// The largest resident memory of the process so far, in bytes.
    package static var peakMemoryBytes: Int {
        // What getrusage says also counts what the process that started this one had then.
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8))?.split(separator: "\n")
        let line = status?.first { $0.hasPrefix("VmHWM:") }
        if let kilobytes = line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Int($0) }) {
            return kilobytes * 1024
        }
        var usage = rusage()
        getrusage(0, &usage)  // RUSAGE_SELF, an enumeration on one system and a number on the other
        #if os(Linux)
            return usage.ru_maxrss * 1024
        #else
            return usage.ru_maxrss
        #endif
    }

    /// The resident memory of the process now, in bytes; where the system does not say, the largest so far.
    package static var residentMemoryBytes: Int {
        let numbers = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ")
        guard let numbers, numbers.count > 1, let pages = Int(numbers[1]) else { return peakMemoryBytes }
        return pages * Int(getpagesize())
    }
}
