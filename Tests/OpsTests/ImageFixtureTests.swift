import Testing

@testable import BEiTOps
@testable import BEiTTensorCore

/// Operations on maps against another implementation's results and gradients, with each matrix engine.
@Suite struct ImageFixtureTests {
    /// Runs `operation` on the map `x` and the parameters `names` and compares the result and every gradient.
    private func check(_ oracle: OracleCase, _ names: [String] = [], _ operation: Operation) throws {
        let parameters = try [Parameter(oracle.channelsLast("x"))] + names.map { try Parameter(oracle.tensor($0)) }
        let tape = Tape(.training)
        let y = operation(tape, parameters)
        #expect(oracle.agrees(y.value, try oracle.channelsLast("y")))
        tape.backward(from: y, gradient: try oracle.channelsLast("dy"))
        #expect(oracle.agrees(parameters[0].gradient, try oracle.channelsLast("d_x")))
        for (name, parameter) in zip(names, parameters.dropFirst()) {
            #expect(oracle.agrees(parameter.gradient, try oracle.tensor("d_" + name)), "d_\(name)")
        }
    }

    private static let convolutions = [(3, 1, 1), (3, 2, 1), (1, 1, 0), (7, 1, 3), (4, 4, 0), (2, 2, 0), (5, 3, 2)]
    private static let transposedConvolutions = [(4, 2, 1), (2, 2, 0), (3, 1, 1), (3, 2, 1), (4, 4, 0)]

    @Test(arguments: MatrixEngine.available, convolutions)
    func conv2d(_ engine: MatrixEngine, _ size: (kernel: Int, stride: Int, padding: Int)) throws {
        let oracle = try OracleCase("conv2d_k\(size.kernel)s\(size.stride)p\(size.padding)")
        try MatrixEngine.$current.withValue(engine) {
            try check(oracle, ["w", "b"]) {
                $0.conv2d($1[0], weight: $1[1], bias: $1[2], stride: size.stride, padding: size.padding)
            }
        }
    }

    @Test(arguments: MatrixEngine.available, transposedConvolutions)
    func convTranspose2d(_ engine: MatrixEngine, _ size: (kernel: Int, stride: Int, padding: Int)) throws {
        let oracle = try OracleCase("conv_transpose2d_k\(size.kernel)s\(size.stride)p\(size.padding)")
        try MatrixEngine.$current.withValue(engine) {
            try check(oracle, ["w", "b"]) {
                $0.convTranspose2d($1[0], weight: $1[1], bias: $1[2], stride: size.stride, padding: size.padding)
            }
        }
    }

    @Test(arguments: [1, 2, 3, 6]) func groupNorm(_ groups: Int) throws {
        try check(OracleCase("groupnorm_g\(groups)"), ["w", "b"]) {
            $0.groupNorm($1[0], groups: groups, weight: $1[1], bias: $1[2], eps: 1e-5)
        }
    }

    @Test func batchNormOfTheBatch() throws {
        let oracle = try OracleCase("batchnorm_train")
        let (mean, variance) = (try oracle.tensor("running_mean_before"), try oracle.tensor("running_var_before"))
        let running = RunningStatistics(mean: mean, variance: variance)
        try check(oracle, ["w", "b"]) {
            let y = $0.batchNorm($1[0], weight: $1[1], bias: $1[2], running: running, eps: 1e-5)
            $0.statistics.forEach { $0.apply() }
            return y
        }
        #expect(oracle.agrees(mean, try oracle.tensor("running_mean_after")))
        #expect(oracle.agrees(variance, try oracle.tensor("running_var_after")))
    }

    @Test func batchNormByRunningStatistics() throws {
        let oracle = try OracleCase("batchnorm_eval")
        let mean = try oracle.tensor("running_mean")
        let running = RunningStatistics(mean: mean, variance: try oracle.tensor("running_var"))
        try check(oracle, ["w", "b"]) {
            $0.usesRunningStatistics = true
            return $0.batchNorm($1[0], weight: $1[1], bias: $1[2], running: running, eps: 1e-5)
        }
        #expect(oracle.agrees(mean, try oracle.tensor("running_mean")))
        let x = Variable(try oracle.channelsLast("x"))
        let y = Tape(.inference).batchNorm(
            x, weight: Parameter(try oracle.tensor("w")), bias: Parameter(try oracle.tensor("b")), running: running,
            eps: 1e-5)
        #expect(oracle.agrees(y.value, try oracle.channelsLast("y")))
    }

    @Test func maxPool() throws {
        try check(OracleCase("maxpool2_s2")) { $0.maxPool2d($1[0], kernel: 2, stride: 2) }
    }

    @Test(arguments: [3, 6]) func averagePool(_ bins: Int) throws {
        try check(OracleCase("adaptive_avg_pool_\(bins)")) { $0.averagePool($1[0], height: bins, width: bins) }
    }

    @Test(
        arguments: ["bilinear", "bilinear_antialias", "bicubic", "bicubic_antialias"],
        [("up", 11, 14), ("down", 3, 4), ("same", 5, 6), ("odd", 7, 3)])
    func resize(_ filter: String, _ size: (name: String, height: Int, width: Int)) throws {
        let antialias = filter.hasSuffix("antialias")
        if antialias && size.name == "same" { return }
        try check(OracleCase("resize_\(filter)_\(size.name)")) {
            $0.resize(
                $1[0], height: size.height, width: size.width,
                method: filter.hasPrefix("bilinear") ? .bilinear : .bicubic, antialias: antialias)
        }
    }
}
