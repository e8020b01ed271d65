import Foundation
import Testing

@testable import BEiTOps
@testable import BEiTTensorCore
@testable import BEiTTraining

@Suite struct OptimizerTests {
    private func parameter(_ values: [Float], gradient: [Float], decays: Bool = true) -> Parameter {
        let parameter = Parameter(Tensor(values, [values.count]), decays: decays)
        parameter.slot?.add(Tensor(gradient, [gradient.count]))
        return parameter
    }

    private func optimizer(_ seed: UInt64) -> (AdamW, [Parameter]) {
        var generator = Philox(seed: seed)
        let parameters = [7, 70_001, 3].map { count in
            parameter(
                (0..<count).map { _ in generator.normal() }, gradient: (0..<count).map { _ in generator.normal() })
        }
        return (AdamW([.init([parameters[0]], rateScale: 0.5), .init([parameters[1], parameters[2]])]), parameters)
    }

    @Test func rateScaleAndDecayBelongToTheParameter() {
        let slow = parameter([1, -2], gradient: [0, 0]), bias = parameter([3], gradient: [0], decays: false)
        let frozen = Parameter(Tensor([5], [1]))
        AdamW([.init([slow, frozen], rateScale: 0.5), .init([bias])]).step(rate: 0.5, weightDecay: 0.5)
        #expect(slow.value.values == [0.875, -1.75])
        #expect(bias.value.values == [3])
        #expect(frozen.value.values == [5])
    }

    @Test func aGradientThatIsNotFiniteChangesNothing() {
        let good = parameter([1], gradient: [1]), bad = parameter([1, 2], gradient: [0, .nan])
        let adamW = AdamW([.init([good, bad])])
        #expect(adamW.step(rate: 0.1, weightDecay: 0.1).isNaN)
        #expect(good.value.values == [1] && bad.value.values == [1, 2] && adamW.steps == 0)
        #expect(adamW.moments.allSatisfy { $0.first.values.allSatisfy { $0 == 0 } })
    }

    @Test func clippingScalesTheGradientsOfAllParameters() {
        let (clipped, plain) = (optimizer(3), optimizer(3))
        let norm = clipped.0.gradientNorm()
        #expect(norm > 200)
        #expect(clipped.0.step(rate: 0.1, clipNorm: 1.5) == norm)
        for (parameter, other) in zip(clipped.1, plain.1) {
            for i in 0..<parameter.value.count { other.gradient?.pointer[i] *= Float(1.5 / (norm + 1e-6)) }
            #expect(parameter.gradient?.shape == other.gradient?.shape)
        }
        plain.0.step(rate: 0.1)
        for (one, other) in zip(clipped.0.moments, plain.0.moments) {
            #expect(zip(one.first.values, other.first.values).allSatisfy { abs($0 - $1) <= 1e-6 * abs($1) + 1e-12 })
        }
    }

    @Test func sameBytesForAnyNumberOfThreadsAndAfterARestore() {
        let runs = [1, 2, 5].map { threads in
            WorkerPool.$scoped.withValue(WorkerPool(threads: threads)) { () -> [[Float]] in
                var (adamW, parameters) = optimizer(8)
                for step in 0..<3 {
                    adamW.step(rate: 0.01, weightDecay: 0.05, clipNorm: 1)
                    if step == threads % 3 {
                        let next = AdamW([.init([parameters[0]], rateScale: 0.5), .init(Array(parameters[1...]))])
                        next.restore(steps: adamW.steps, moments: adamW.moments)
                        adamW = next
                    }
                }
                return parameters.map { $0.value.values }
            }
        }
        #expect(runs[0] == runs[1] && runs[0] == runs[2])
    }

    @Test func clearingForgetsEveryGradient() {
        let (adamW, parameters) = optimizer(1)
        adamW.clearGradients()
        #expect(parameters.allSatisfy { $0.gradient == nil })
        #expect(adamW.gradientNorm() == 0)
    }
}

@Suite struct ScheduleTests {
    private func values(_ schedule: Schedule) -> [Double] { (0...schedule.steps).map(schedule.value(at:)) }

    /// lr = base·(1 − i/n), times 1 − (1 − i/w)·(1 − ratio) in the warm-up.
    @Test func polynomial() {
        let got = values(Schedule(.polynomial(power: 1), base: 4, steps: 8, warmupSteps: 4, warmupStart: 1))
        #expect(got == [1, 1.53125, 1.875, 2.03125, 2, 1.5, 1, 0.5, 0])
        #expect(values(Schedule(.polynomial(power: 2), base: 5, final: 1, steps: 4)) == [5, 3.25, 2, 1.25, 1])
    }

    @Test func constantAfterWarmup() {
        #expect(values(Schedule(.constant, base: 2, steps: 4, warmupSteps: 3)) == [0, 1, 2, 2, 2])
        #expect(values(Schedule(.constant, base: 2, steps: 2)) == [2, 2, 2])
    }

    /// A schedule may rise, and stays at its end.
    @Test func cosineFromZeroToAWeight() {
        let schedule = Schedule(.cosine, base: 0, final: 6.5, steps: 2)
        #expect(abs(schedule.value(at: 1) - 3.25) < 1e-12)
        #expect(schedule.value(at: 2) == 6.5 && schedule.value(at: 900) == 6.5)
    }

    /// mmsegmentation's `poly` with `warmup_ratio` 1e-6: base·(1 − i/n)·(1 − (1 − i/w)·(1 − 1e-6)), worked by hand.
    @Test func theRecipeChooses() throws {
        var recipe = Recipe()
        (recipe.learningRate, recipe.minimumLearningRate, recipe.schedule) = (1, 0, .polynomial(power: 1))
        let poly = recipe.rates(steps: 8, warmupSteps: 2)
        for (step, value) in [(0, 1e-6), (1, 0.875 * 0.5000005), (2, 0.75), (4, 0.5), (8, 0)] {
            #expect(abs(poly.value(at: step) - value) < 1e-12)
        }
        recipe.schedule = .constant
        #expect(values(recipe.rates(steps: 5, warmupSteps: 3)) == [0, 0.5, 1, 1, 1, 1])
        recipe.schedule = nil
        #expect(recipe.rates(steps: 70, warmupSteps: 900).warmupSteps == 70)
        #expect(recipe.rates(steps: 70, warmupSteps: 9).decay == .cosine)
        #expect(recipe.problem == nil)
        recipe.schedule = .polynomial(power: .nan)
        #expect(recipe.problem?.contains("`poly-power`") == true)
    }

    @Test func theScheduleIsKept() throws {
        var recipe = Recipe()
        recipe.schedule = .polynomial(power: 0.9)
        let again = try JSONDecoder().decode(Recipe.self, from: JSONEncoder().encode(recipe))
        #expect(again == recipe)
        var former = try #require(
            try JSONSerialization.jsonObject(with: JSONEncoder().encode(recipe)) as? [String: Any])
        former["schedule"] = nil
        let decoded = try JSONDecoder().decode(Recipe.self, from: JSONSerialization.data(withJSONObject: former))
        #expect(decoded.schedule == nil)
    }
}
