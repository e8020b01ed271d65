import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTTensorCore
import Testing

/// The networks against PyTorch and Hugging Face, on every matrix engine.
@Suite struct ParityTests {
    struct Run: CustomTestStringConvertible, Sendable {
        var oracle: OracleModel
        var engine: MatrixEngine
        var testDescription: String { "\(oracle.name) on \(engine)" }
    }
    static let runs = OracleModel.all.flatMap { oracle in
        MatrixEngine.available.map { Run(oracle: oracle, engine: $0) }
    }

    @Test(arguments: runs) func logitsMatch(_ run: Run) throws {
        try MatrixEngine.$current.withValue(run.engine) {
            let want = try run.oracle.array(run.oracle.logits)
            let model = try run.oracle.load()
            let plain = try run.oracle.evaluate(model, Tape(.inference))
            try #require(plain.shape == want.shape)
            #expect(largestError(plain.values, want.values) < run.oracle.tolerance)
            // Recording must not change a value, nor must packed weights.
            #expect(largestError(try run.oracle.evaluate(model, Tape(.training)).values, plain.values) < 1e-6)
            model.module.freeze(.fp32)
            let packed = try run.oracle.evaluate(model, Tape(.inference))
            #expect(largestError(packed.values, want.values) < run.oracle.tolerance)
        }
    }

    @Test(arguments: runs) func lossAndEveryGradientMatch(_ run: Run) throws {
        try MatrixEngine.$current.withValue(run.engine) {
            let model = try run.oracle.load()
            let tape = Tape(.training)
            let loss = try run.oracle.loss(model, tape)
            #expect(abs(loss.value.scalar - (try run.oracle.array("loss").scalar)) < 1e-4)
            tape.backward(from: loss)
            for named in model.module.parameters {
                let gradient = try #require(named.parameter.gradient, "\(named.path)").values
                expectGradient(gradient, try run.oracle.gradient(named.path), named.path)
            }
        }
    }

    /// Checkpointing computes blocks twice and must give the same gradients to the last bit.
    @Test func checkpointedGradientsAreTheSame() throws {
        func gradients(checkpoint: Bool) throws -> [[UInt32]] {
            guard case .segmentation(let model) = try OracleModel.all[0].load() else { return [] }
            model.backbone.checkpointsBlocks = checkpoint
            let tape = Tape(.training)
            tape.backward(from: try OracleModel.all[0].loss(.segmentation(model), tape))
            return try model.parameters.map { try #require($0.parameter.gradient).values.map(\.bitPattern) }
        }
        let (plain, again) = (try gradients(checkpoint: false), try gradients(checkpoint: true))
        #expect(!plain.isEmpty)
        #expect(plain == again ? true : false)
    }

    @Test(
        arguments: OracleModel.all.filter {
            $0.prefix.isEmpty && $0.folder != "deconv-seg" && !$0.folder.hasPrefix("hf")
        })
    func everyBlockMatches(_ oracle: OracleModel) throws {
        guard case .classification(let model) = try oracle.load() else { return }
        var states: [Int: Tensor] = [:]
        _ = model.backbone(Variable(try oracle.array("pixel_values")), Tape(.inference)) { states[$0] = $1.value }
        #expect(states.count == model.backbone.configuration.depth + 1)
        for (index, state) in states {
            #expect(largestError(state.values, try oracle.array("hidden_state_\(index)").values) < 2e-5)
        }
    }

    /// 1, 2 and 5 threads: the same logits and gradients to the last bit.
    @Test(arguments: runs) func threadsDoNotChangeABit(_ run: Run) throws {
        func bits(threads: Int) throws -> [[UInt32]] {
            try MatrixEngine.$current.withValue(run.engine) {
                try WorkerPool.$scoped.withValue(WorkerPool(threads: threads)) {
                    let model = try run.oracle.load(), tape = Tape(.training)
                    tape.backward(from: try run.oracle.loss(model, tape))
                    let gradients = try model.module.parameters.map { try #require($0.parameter.gradient) }
                    model.module.freeze(.fp32)
                    let logits = try run.oracle.evaluate(model, Tape(.inference))
                    return ([logits] + gradients).map { $0.values.map(\.bitPattern) }
                }
            }
        }
        let one = try bits(threads: 1)
        let same = try [2, 5].allSatisfy { try bits(threads: $0) == one }
        #expect(same)
    }
}
