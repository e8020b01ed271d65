import Testing

@testable import BEiTOps
@testable import BEiTTensorCore

/// Losses and relaxations against another implementation's results and gradients.
@Suite struct LossFixtureTests {
    /// Runs `operation` on `inputs` and compares the result with `y` and each gradient with `gradients`.
    private func check(
        _ oracle: OracleCase, _ inputs: [Tensor], y: Tensor, dy: Tensor, gradients: [Tensor], _ operation: Operation
    ) {
        let parameters = inputs.map { Parameter($0) }
        let tape = Tape(.training)
        let result = operation(tape, parameters)
        #expect(oracle.agrees(result.value, y))
        tape.backward(from: result, gradient: dy.copy())
        for (parameter, gradient) in zip(parameters, gradients) { #expect(oracle.agrees(parameter.gradient, gradient)) }
    }

    @Test func gelu() throws {
        let oracle = try OracleCase("gelu")
        try check(
            oracle, [oracle.tensor("x")], y: oracle.tensor("y"), dy: oracle.tensor("dy"),
            gradients: [oracle.tensor("d_x")]
        ) { $0.gelu($1[0]) }
    }

    @Test func softmax() throws {
        let oracle = try OracleCase("softmax")
        try check(
            oracle, [oracle.tensor("x")], y: oracle.tensor("y"), dy: oracle.tensor("dy"),
            gradients: [oracle.tensor("d_x")]
        ) { $0.softmax($1[0]) }
    }

    @Test(arguments: [("plain", Float(0)), ("smooth0.1", 0.1)])
    func crossEntropy(_ variant: String, _ smoothing: Float) throws {
        let oracle = try OracleCase("cross_entropy_\(variant)")
        let labels = try oracle.labels()
        try check(
            oracle, [oracle.tensor("z")], y: oracle.tensor("y"), dy: oracle.tensor("dy"),
            gradients: [oracle.tensor("d_z")]
        ) { $0.softmaxCrossEntropy($1[0], labels: labels, labelSmoothing: smoothing) }
    }

    @Test func crossEntropyWithSoftTargets() throws {
        let oracle = try OracleCase("cross_entropy_soft_target")
        let targets = try oracle.tensor("target")
        try check(
            oracle, [oracle.tensor("z")], y: oracle.tensor("y"), dy: oracle.tensor("dy"),
            gradients: [oracle.tensor("d_z")]
        ) { $0.softmaxCrossEntropy($1[0], targets: targets) }
    }

    @Test(arguments: ["image", "weighted"], [false, true])
    func crossEntropyOfImages(_ variant: String, resized: Bool) throws {
        let oracle = try OracleCase("cross_entropy_\(variant)")
        let labels = try oracle.labels()
        let weights = variant == "weighted" ? try oracle.tensor("class_weight").values : nil
        let z = try oracle.channelsLast("z")
        try check(
            oracle, [z], y: oracle.tensor("y"), dy: oracle.tensor("dy"), gradients: [oracle.channelsLast("d_z")]
        ) { tape, inputs in
            resized
                ? tape.resizedCrossEntropy(
                    inputs[0], labels: labels, height: z.shape[1], width: z.shape[2], classWeights: weights)
                : tape.softmaxCrossEntropy(inputs[0], labels: labels, classWeights: weights)
        }
    }

    @Test(arguments: ["1.0", "0.5"])
    func gumbelSoftmax(_ temperature: String) throws {
        let oracle = try OracleCase("gumbel_softmax_tau\(temperature)")
        let (noise, tau) = (try oracle.channelsLast("gumbel"), try #require(Float(temperature)))
        try check(
            oracle, [oracle.channelsLast("z")], y: oracle.channelsLast("y"), dy: oracle.channelsLast("dy"),
            gradients: [oracle.channelsLast("d_z")]
        ) { $0.gumbelSoftmax($1[0], temperature: tau, noise: noise) }
    }

    @Test func logitLaplace() throws {
        let oracle = try OracleCase("logit_laplace_loglik")
        let target = try oracle.tensor("x")
        try check(
            oracle, [oracle.tensor("mu"), oracle.tensor("ln_b")], y: oracle.tensor("y"), dy: oracle.tensor("dy"),
            gradients: [oracle.tensor("d_mu"), oracle.tensor("d_ln_b")]
        ) { $0.logitLaplace(mu: $1[0], logScale: $1[1], target: target) }
    }

    @Test func dropPath() throws {
        let oracle = try OracleCase("drop_path")
        let kept = try oracle.tensor("kept")
        let factors = Tensor(kept.values.map { $0 == 0 ? 0 : 1 / 0.7 }, kept.shape)
        try check(
            oracle, [oracle.tensor("x")], y: oracle.tensor("y"), dy: oracle.tensor("dy"),
            gradients: [oracle.tensor("d_x")]
        ) { $0.scaleSamples($1[0], factors) }
    }
}
