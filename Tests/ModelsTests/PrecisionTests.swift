import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTTensorCore
import Testing

/// The networks in reduced precision against PyTorch's float32.
@Suite struct PrecisionTests {
    struct Run: CustomTestStringConvertible, Sendable {
        var oracle: OracleModel
        var engine: MatrixEngine
        var precision: Precision
        var testDescription: String { "\(oracle.name) in \(precision) on \(engine)" }
    }
    static let runs = OracleModel.all.flatMap { oracle in
        MatrixEngine.available.flatMap { engine in
            [Precision.bf16, .int8].filter { $0 != .bf16 || engine == .oneDNN && $0.problem == nil }
                .map { Run(oracle: oracle, engine: engine, precision: $0) }
        }
    }

    private func frozen(_ run: Run) throws -> Model {
        let model = try run.oracle.load()
        model.module.freeze(run.precision)
        return model
    }

    @Test(arguments: runs) func logitsAreNear(_ run: Run) throws {
        try MatrixEngine.$current.withValue(run.engine) {
            let want = try run.oracle.array(run.oracle.logits)
            let found = try run.oracle.evaluate(try frozen(run), Tape(.inference))
            let error = largestError(found.values, want.values)
            #expect(error < (run.precision == .bf16 ? 0.04 : 0.15))
            #expect(error > 1e-6, "nothing was rounded")
        }
    }

    /// Every task writes its own part, and sums of bytes are exact.
    @Test(arguments: runs.filter { $0.oracle.name == OracleModel.all[0].name })
    func threadsChangeNoBit(_ run: Run) throws {
        try MatrixEngine.$current.withValue(run.engine) {
            let model = try frozen(run)
            let results = try [1, 2, 5].map { threads in
                try WorkerPool.$scoped.withValue(WorkerPool(threads: threads)) {
                    try run.oracle.evaluate(model, Tape(.inference)).values.map(\.bitPattern)
                }
            }
            #expect(results[0] == results[1] && results[0] == results[2] ? true : false)
        }
    }
}
