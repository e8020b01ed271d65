import BEiTHDF5
import BEiTModels
import Foundation
import Testing

@testable import BEiTOps
@testable import BEiTTensorCore
@testable import BEiTTraining

/// Optimizer and schedules against another implementation's numbers (cases of `ops.h5`).
@Suite struct OptimizerFixtureTests {
    private let file: HDF5Reader

    init() throws {
        let folder = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures")
        file = try HDF5Reader(folder.appendingPathComponent("ops.h5").path)
    }

    private func array(_ path: String) throws -> [Float] { try file.readFloats("/" + path).values }

    private func agree(_ values: [Float], _ want: [Float], absolute: Float = 1e-5, relative: Float = 1e-5) -> Bool {
        values.count == want.count && zip(values, want).allSatisfy { abs($0 - $1) <= absolute + relative * abs($1) }
    }

    @Test(arguments: [("adamw_wd0.05", 0.05), ("adamw_wd0", 0)])
    func everyStepOfAdamW(_ name: String, _ weightDecay: Double) throws {
        let (grads, params, rates) = (try array("\(name)/grads"), try array("\(name)/params"), try array("\(name)/lr"))
        let width = grads.count / rates.count
        let parameter = Parameter(Tensor(Array(params[..<width]), [width]))
        let adamW = AdamW([.init([parameter])], settings: .init(beta2: 0.98))
        for (step, rate) in rates.enumerated() {
            adamW.clearGradients()
            parameter.slot?.add(Tensor(Array(grads[step * width..<(step + 1) * width]), [width]))
            adamW.step(rate: Double(rate), weightDecay: weightDecay)
            #expect(agree(parameter.value.values, Array(params[(step + 1) * width..<(step + 2) * width])))
        }
        #expect(agree(adamW.moments[0].first.values, try array("\(name)/exp_avg")))
        #expect(agree(adamW.moments[0].second.values, try array("\(name)/exp_avg_sq")))
    }

    @Test func clipping() throws {
        let gradients = try ["g0", "g1"].map { try array("clip_grad_norm/\($0)") }
        let parameters = gradients.map { values in
            let parameter = Parameter(.zeros([values.count]))
            parameter.slot?.add(Tensor(values, [values.count]))
            return parameter
        }
        let norm = AdamW([.init(parameters)]).gradientNorm()
        #expect(agree([Float(norm)], try array("clip_grad_norm/norm")))
        let scale = Float(AdamW.clippingScale(norm: norm, limit: 1.5))
        for (index, values) in gradients.enumerated() {
            #expect(agree(values.map { scale * $0 }, try array("clip_grad_norm/clipped\(index)")))
        }
        #expect(AdamW.clippingScale(norm: 1, limit: 1.5) == 1)
    }

    static let cosines: [(String, Schedule)] = [
        ("a", Schedule(.cosine, base: 0.0015, final: 1e-5, steps: 70, warmupSteps: 14)),
        ("b", Schedule(.cosine, base: 0.0005, final: 1e-6, steps: 60, warmupSteps: 9, warmupStart: 1e-6)),
        ("c", Schedule(.cosine, base: 0.001, steps: 20)),
    ]

    @Test(arguments: cosines) func cosine(_ name: String, _ schedule: Schedule) throws {
        let got = (0..<schedule.steps).map { Float(schedule.value(at: $0)) }
        #expect(agree(got, try array("cosine_schedule/schedule_\(name)"), absolute: 1e-9, relative: 1e-6))
    }

    @Test(arguments: [(12, 0.65), (3, 0.75)]) func layerDecay(_ depth: Int, _ decay: Double) throws {
        let got = (0...depth + 1).map { Float(layerDecayScale(layer: $0, depth: depth, decay: decay)) }
        #expect(agree(got, try array("layer_decay/depth\(depth)_decay\(decay)")))
    }

    @Test(arguments: [(12, Float(0.1)), (4, 0.3), (1, 0.2)]) func dropPath(_ depth: Int, _ maximum: Float) throws {
        var backbone = BackboneConfiguration()
        (backbone.dropPath, backbone.depth) = (maximum, depth)
        let got = backbone.dropPathRates
        #expect(agree(got, try array("drop_path_rates/depth\(depth)_max\(maximum)")))
    }
}
