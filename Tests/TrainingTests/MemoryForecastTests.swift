import BEiTOps
import BEiTTensorCore
import Testing

@testable import BEiTTraining

@Suite(.serialized) struct MemoryForecastTests {
    /// A pass that makes `features` MiB an image on its way forward, and gives them up on its way back for `gradients` MiB.
    private final class Passes {
        var gradients: [Tensor] = []
        let features: Int

        init(features: Int) { self.features = features }

        private static func megabytes(_ count: Int) -> Tensor { .zeros([count, 1 << 18]) }

        func run(_ images: Int, gradients count: Int) {
            var kept = (0..<features).map { _ in Passes.megabytes(images) }
            let isFirst = gradients.isEmpty
            for index in 0..<features {
                kept.removeLast()
                let share = count * (index + 1) / features - count * index / features
                if isFirst { gradients.append(Passes.megabytes(share)) }
            }
        }
    }

    /// In a process of its own: other tests take memory as well.
    @Test(arguments: [(1, 64), (16, 64), (16, 320)], [false, true])
    func isWhatTheRunTakes(_ sizes: (batch: Int, gradients: Int), _ keepsGradients: Bool) async {
        let (batch, gradients) = sizes
        await #expect(processExitsWith: .success) {
            [batch = batch as Int, gradients = gradients as Int, keepsGradients] in
            let passes = Passes(features: 8)
            let before = Machine.residentMemoryBytes
            let forecast = MemoryForecast(
                most: batch, keepsGradients: keepsGradients, makeBatch: { $0 },
                pass: { passes.run($0, gradients: gradients) }, clear: { passes.gradients = [] })
            let expected = keepsGradients ? gradients + 8 * batch : max(gradients, 8 * batch)
            let found = (forecast.bytes(batch: batch, waiting: 0) - before) >> 20
            let slack = StoragePool.shared.mostHeld(peak: 0) >> 20
            #expect((expected - 1...expected + slack + 20).contains(found), "\(found) MiB, expected \(expected)")
        }
    }
}
