import BEiTHDF5
import Foundation
import Testing

@testable import BEiTOps
@testable import BEiTTensorCore

/// Cross-entropies of pixels that are of one of several classes, against PyTorch (`scripts/make-marginal-fixture.py`).
@Suite struct MarginalFixtureTests {
    private struct Case {
        let file: HDF5Reader
        let name: String

        init(_ name: String) throws {
            let folder = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures")
            (file, self.name) = (try HDF5Reader(folder.appendingPathComponent("marginal.h5").path), name)
        }

        func tensor(_ array: String) throws -> Tensor {
            let (shape, values) = try file.readFloats("/\(name)/\(array)")
            return Tensor(values, shape.isEmpty ? [1] : shape)
        }

        func integers(_ array: String) throws -> (shape: [Int], values: [Int]) {
            let found = try file.readInts("/\(name)/\(array)")
            return (found.shape, found.values.map { Int($0) })
        }

        func groups() throws -> [ClassGroup] {
            let (table, named) = (try integers("groups"), try integers("named").values)
            return named.indices.map { row in
                ClassGroup(
                    (0..<table.shape[1]).filter { table.values[row * table.shape[1] + $0] == 1 }, named: named[row])
            }
        }
    }

    private func close(_ x: Tensor?, _ want: Tensor) -> Bool {
        guard let x, x.shape == want.shape else { return false }
        let most = want.values.map(abs).max() ?? 0
        return zip(x.values, want.values).allSatisfy { abs($0 - $1) <= 2e-6 * most + 2e-5 * abs($1) }
    }

    @Test(arguments: ["plain", "far", "up", "down", "projected"]) func lossAndGradientsAreThoseOfPyTorch(
        _ name: String
    ) throws {
        let found = try Case(name)
        let (groups, labels) = (try found.groups(), try found.integers("labels"))
        let (weights, smoothing) = (try found.tensor("class_weights").values, try found.tensor("smoothing").scalar)
        let inputs = name == "projected" ? ["x", "weight", "bias"] : ["logits"]
        let parameters = try inputs.map { Parameter(try found.tensor($0)) }
        let targets = labels.values.map { Int32($0) }
        #expect(targets.contains { $0 >= 7 && $0 < 255 })
        let tape = Tape(.training)
        let loss =
            switch name {
            case "projected":
                tape.projectedCrossEntropy(
                    parameters[0], weight: parameters[1], bias: parameters[2], labels: targets, classWeights: weights,
                    groups: groups)
            case "up", "down":
                tape.resizedCrossEntropy(
                    parameters[0], labels: targets, height: labels.shape[1], width: labels.shape[2],
                    labelSmoothing: smoothing, classWeights: weights, groups: groups)
            default:
                tape.softmaxCrossEntropy(
                    parameters[0], labels: targets, labelSmoothing: smoothing, classWeights: weights, groups: groups)
            }
        #expect(close(loss.value, try found.tensor("loss")))
        tape.backward(from: loss)
        for (input, parameter) in zip(inputs, parameters) {
            #expect(close(parameter.gradient, try found.tensor("d_" + input)), "\(input)")
        }
    }

    /// A group of one class is that class, to the rounding of its own kernel.
    @Test func aGroupOfOneIsAClass() throws {
        let (z, labels) = (Parameter(randomTensor([4, 5], seed: 1)), [2, 5, 6, 0] as [Int32])
        let groups = [ClassGroup([3], named: 3), ClassGroup([1], named: 1)]
        let tape = Tape(.inference)
        let grouped = tape.softmaxCrossEntropy(z, labels: labels, groups: groups).value.scalar
        let plain = tape.softmaxCrossEntropy(z, labels: [2, 3, 1, 0]).value.scalar
        #expect(abs(grouped - plain) < 1e-6)
    }
}
