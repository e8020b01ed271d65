import Foundation
import Synchronization
import Testing

@testable import BEiTTensorCore

@Suite struct PhiloxTests {
    /// The known answers of Random123's `kat_vectors` for philox4x32 with 10 rounds.
    @Test func knownAnswers() {
        #expect(
            Philox.block(seed: 0, stream: 0, counter: 0) == SIMD4(0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8))
        let ones = UInt64.max
        #expect(
            Philox.block(seed: ones, stream: ones, counter: ones)
                == SIMD4(0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD))
    }

    @Test func goesOnWhereItWasSaved() throws {
        var generator = Philox(seed: 7, stream: 3)
        for _ in 0..<5 { _ = generator.next() }
        let data = try JSONEncoder().encode(generator)
        var restored = try JSONDecoder().decode(Philox.self, from: data)
        #expect((0..<9).map { _ in generator.next() } == (0..<9).map { _ in restored.next() })
    }

    @Test func distributions() {
        var generator = Philox(seed: 1)
        let uniform = (0..<20_000).map { _ in generator.uniform() }
        #expect(uniform.allSatisfy { $0 >= 0 && $0 < 1 })
        #expect(abs(uniform.reduce(0, +) / 20_000 - 0.5) < 0.01)
        let normal = (0..<20_000).map { _ in generator.normal() }
        #expect(abs(normal.reduce(0, +) / 20_000) < 0.03)
        #expect(abs(normal.reduce(0) { $0 + $1 * $1 } / 20_000 - 1) < 0.05)
        let counts = (0..<3000).reduce(into: [0, 0, 0]) { counts, _ in counts[generator.integer(below: 3)] += 1 }
        #expect(counts.allSatisfy { (900...1100).contains($0) })
        #expect(generator.permutation(50).sorted() == Array(0..<50))
    }
}

@Suite struct WorkerPoolTests {
    @Test(arguments: [1, 2, 5]) func everyTaskRunsOnce(_ threads: Int) {
        let pool = WorkerPool(threads: threads)
        for round in 0..<200 {
            let counts = Tensor.zeros([37])
            pool.run(37) { counts.pointer[$0] += 1 }
            let all = counts.values.allSatisfy { $0 == 1 }
            #expect(all, "round \(round)")
        }
    }

    @Test func nestedRunsFinish() {
        let pool = WorkerPool(threads: 3)
        let sum = Atomic<Int>(0)
        pool.run(5) { _ in pool.run(7) { sum.add($0, ordering: .relaxed) } }
        #expect(sum.load(ordering: .relaxed) == 5 * 21)
    }

    @Test func grainsCoverTheRange() {
        let marks = Tensor.zeros([10])
        WorkerPool(threads: 2).run(10, grain: 4) { for index in $0 { marks.pointer[index] += 1 } }
        #expect(marks.values == [Float](repeating: 1, count: 10))
    }
}

@Suite struct StorageTests {
    @Test func alignedAndReused() {
        #expect([1, 63, 100, 5000, 9 << 20].allSatisfy { Int(bitPattern: Storage(byteCount: $0).address) % 64 == 0 })
        #expect([1, 64, 65, 1000, 1 << 20].allSatisfy { StoragePool.sizeClass($0) >= $0 })
        #expect(StoragePool.sizeClass(1_000_000) < 1_130_000)
        #expect(StoragePool.sizeClass(100_000_000) < 100_004_096)
    }

    @Test func viewsShareAndCopiesDoNot() {
        let tensor = Tensor([1, 2, 3, 4, 5, 6], [3, 2])
        let copy = tensor.copy()
        tensor.rows(1..<2).pointer[1] = 9
        #expect(tensor.values == [1, 2, 3, 9, 5, 6])
        #expect(tensor.reshaped([2, 3]).rows(1..<2).values == [9, 5, 6])
        #expect(copy.values == [1, 2, 3, 4, 5, 6])
    }
}

@Suite struct MemoryExhaustionTests {
    /// A library ends no process with a status of its choice: the program's handler does, on the thread that was refused.
    @Test(arguments: [1, 3]) func theProgramDecides(threads: Int) async {
        await #expect(processExitsWith: .exitCode(74)) { [threads = threads as Int] in
            MemoryExhaustion.handler.withLock { $0 = { bytes in _exit(bytes >= 1 << 50 ? 74 : 1) } }
            WorkerPool(threads: threads).run(4) { _ in _ = Storage(byteCount: 1 << 50) }
        }
    }

    @Test func withoutAHandlerTheProcessAborts() async {
        await #expect(processExitsWith: .signal(SIGABRT)) { _ = Storage(byteCount: 1 << 50) }
    }
}
