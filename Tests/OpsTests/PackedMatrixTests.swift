import BEiTTensorCore
import Testing

@testable import BEiTOps

@Suite struct PackedMatrixTests {
    private func product(_ a: [Float], _ w: [Float], rows: Int, inputs: Int, outputs: Int) -> [Float] {
        (0..<rows * outputs).map { index in
            let (row, output) = (index / outputs, index % outputs)
            return Float(
                (0..<inputs).reduce(0.0) { $0 + Double(a[row * inputs + $1]) * Double(w[output * inputs + $1]) })
        }
    }

    @Test(arguments: [1, 5, 63, 64, 65, 100, 130, 193, 800])
    func packedProductsMatchPlainOnes(rows: Int) throws {
        let (inputs, outputs) = (13, 390)
        var generator = Philox(seed: 3, stream: UInt64(rows))
        let a = (0..<rows * inputs).map { _ in generator.normal() }
        let w = (0..<outputs * inputs).map { _ in generator.normal() }
        let (input, result) = (Tensor(a, [rows, inputs]), Tensor(repeating: .nan, [rows, outputs]))
        PackedMatrix(weight: Tensor(w, [outputs, inputs])).multiply(
            Product(rows: rows, inputs: inputs, outputs: outputs), input, into: result)
        let expected = product(a, w, rows: rows, inputs: inputs, outputs: outputs)
        for (found, wanted) in zip(result.values, expected) { #expect(abs(found - wanted) <= 1e-5 * (1 + abs(wanted))) }
    }
}
