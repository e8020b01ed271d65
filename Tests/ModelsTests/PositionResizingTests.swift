import BEiTCheckpoints
import BEiTHDF5
import BEiTLayers
import BEiTOps
import BEiTTensorCore
import Testing

@testable import BEiTModels

/// Positions for another input size, against what SciPy and PyTorch computed.
@Suite struct PositionResizingTests {
    private struct Case: CustomTestStringConvertible, Sendable {
        var folder: String
        var heads: Int
        var size: [Int]
        var testDescription: String { folder }
    }
    private static let cases = [
        Case(folder: "resize", heads: 4, size: [64, 64]), Case(folder: "resize-saturated", heads: 3, size: [48, 48]),
    ]

    private func load(_ test: Case, _ weights: String, size: [Int]?) throws -> (Model, ImportReport) {
        let settings = weights == "abs" ? ["backbone.heads=\(test.heads)"] : []
        let result = try ForeignModel([OracleModel.file("\(test.folder)/\(weights)")])
            .load(ImportOptions(settings: settings, size: size))
        return (result.model, result.report)
    }

    private func array(_ test: Case, _ name: String) throws -> Tensor {
        let (shape, values) = try HDF5Reader(OracleModel.file("\(test.folder)/arrays")).readFloats("/\(name)")
        return Tensor(values, shape)
    }

    private func expectClose(_ found: Tensor, _ wanted: Tensor, _ a: Float, _ r: Float) {
        #expect(found.count == wanted.count)
        let off = zip(found.values, wanted.values).filter { !(abs($0 - $1) <= a + r * abs($1)) }
        #expect(off.isEmpty, "\(off.count) differ, first \(String(describing: off.first))")
    }

    @Test(arguments: cases) private func tablesAreTheOracles(_ test: Case) throws {
        for weights in ["abs", "rel", "shared"] {
            let (model, report) = try load(test, weights, size: test.size)
            #expect(report.resized.count == (weights == "rel" ? 2 : 1))
            let parameters = Dictionary(
                uniqueKeysWithValues: model.module.parameters.map { ($0.path, $0.parameter.value) })
            for path in report.resized {
                let official = path.split(separator: "/").dropFirst().joined(separator: ".")
                let name = weights == "abs" ? "abs_pos_embed_resized" : "\(weights)_table__\(official)"
                expectClose(try #require(parameters[path]), try array(test, name), 2e-5, 1e-4)
            }
        }
    }

    @Test(arguments: cases) private func logitsAreTheOracles(_ test: Case) throws {
        for weights in ["abs", "rel", "shared"] {
            for (size, kind) in [(nil, "source"), (test.size, "target")] as [([Int]?, String)] {
                let (model, _) = try load(test, weights, size: size)
                guard case .classification(let classifier) = model else {
                    Issue.record("\(weights) is no classifier")
                    return
                }
                let pixels = try array(test, "pixel_values_\(kind)")
                let logits = classifier(Variable(pixels), Tape(.inference)).value
                expectClose(logits, try array(test, "\(weights)_logits_\(kind)"), 2e-4, 2e-4)
            }
        }
    }

    @Test(arguments: cases) private func theAxisIsTheOracles(_ test: Case) throws {
        let wanted = try HDF5Reader(OracleModel.file("\(test.folder)/arrays")).readFloats("/geometric_axis").values
        let source = wanted.count
        let target = 2 * test.size[0] / 8 - 1
        let found = PositionResizing.geometricAxis(source, target)
        for (x, y) in zip(found, wanted) { #expect(abs(x - Double(y)) < 1e-5) }
    }

    /// A cubic is its own spline, between knots too.
    @Test func aCubicIsReproduced() {
        let spline = CubicSpline([-3, -1, 0, 0.5, 2, 5])
        func cubic(_ x: Double) -> Double { 2 + x - 3 * x * x + 0.5 * x * x * x }
        for x in [-3, -2.2, -0.3, 0.25, 1.9, 4.4, 5] {
            let value = zip(spline.weights(at: x), [-3, -1, 0, 0.5, 2, 5]).reduce(0) { $0 + $1.0 * cubic($1.1) }
            #expect(abs(value - cubic(x)) < 1e-10, "\(x)")
        }
        let parabola = CubicSpline([-1, 0, 2])
        let value = zip(parabola.weights(at: 1), [1.0, 0, 4]).reduce(0) { $0 + $1.0 * $1.1 }
        #expect(abs(value - 1) < 1e-12)
    }

    /// Each direction has its own ratio: what is constant down stays so, and one that stays is not touched.
    @Test func gridsNeedNotBeSquare() {
        let old = Tensor(uninitialized: [7 * 5 + 3, 1])
        for row in 0..<7 { for column in 0..<5 { old.pointer[row * 5 + column] = Float(column * column) } }
        for row in 0..<3 { old.pointer[35 + row] = Float(100 + row) }
        let path = "blocks/0/attn/relative_position_bias_table"
        let resizing = PositionResizing(from: (4, 3), to: (2, 3))
        let new = Tensor(uninitialized: [3 * 5 + 3, 1])
        #expect(resizing.oldShape(path, new.shape) == old.shape)
        resizing.resize(path, old, into: new)
        for row in 0..<3 {
            for column in 0..<5 { #expect(abs(new.values[row * 5 + column] - Float(column * column)) < 1e-5) }
        }
        #expect(new.values.suffix(3) == [100, 101, 102])
        #expect(resizing.oldShape("blocks/0/attn/proj/weight", [4, 4]) == nil)
    }
}
