import BEiTOps
import BEiTTensorCore
import Testing

@testable import BEiTTraining

@Suite(.serialized) struct MemoryForecastTests {
    /// A pass that makes `features` MiB an image on its way forward, then `gradients` MiB for all gradients, and gives the
    /// features up on its way back.
    private final class Passes {
        var gradients: [Tensor] = []
        let features: Int

        init(features: Int) { self.features = features }

        private static func megabytes(_ count: Int) -> Tensor { .zeros([count, 1 << 18]) }

        func run(_ images: Int, gradients count: Int) {
            var kept = (0..<features).map { _ in Passes.megabytes(images) }
            if gradients.isEmpty { gradients.append(Passes.megabytes(count)) }
            while !kept.isEmpty { kept.removeLast() }
        }
    }

    /// In a process of its own: other tests take memory as well.
    @Test(arguments: [(1, 64), (16, 64), (16, 320)], [1, 2])
    func isWhatTheRunTakes(_ sizes: (batch: Int, gradients: Int), _ buffers: Int) async {
        let (batch, gradients) = sizes
        await #expect(processExitsWith: .success) {
            [batch = batch as Int, gradients = gradients as Int, buffers] in
            let passes = Passes(features: 8)
            let before = Machine.residentMemoryBytes
            let forecast = MemoryForecast(
                most: batch, gradients: buffers * gradients << 20, makeBatch: { $0 },
                pass: { passes.run($0, gradients: gradients) }, clear: { passes.gradients = [] })
            let expected = buffers * gradients + 8 * batch
            let found = (forecast.bytes(batch: batch, waiting: 0) - before) >> 20
            let slack = StoragePool.shared.mostHeld(peak: expected << 20) >> 20 - expected
            #expect((expected - 1...expected + slack + 20).contains(found), "\(found) MiB, expected \(expected)")
        }
    }
}
