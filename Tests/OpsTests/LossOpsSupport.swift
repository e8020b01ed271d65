import BEiTHDF5
import Foundation
import Testing

@testable import BEiTOps
@testable import BEiTTensorCore

/// A case of `ops.h5`: arrays that another implementation computed, and the tolerance that `ops.json` grants.
struct OracleCase {
    private struct Description: Decodable {
        struct Tolerance: Decodable { let atol, rtol: Float }
        let cases: [String: Tolerance]
    }

    private let name: String
    private let file: HDF5Reader
    private let tolerance: Description.Tolerance

    init(_ name: String) throws {
        let folder = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures")
        let json = try Data(contentsOf: folder.appendingPathComponent("ops.json"))
        tolerance = try #require(try JSONDecoder().decode(Description.self, from: json).cases[name])
        file = try HDF5Reader(folder.appendingPathComponent("ops.h5").path)
        self.name = name
    }

    func tensor(_ array: String) throws -> Tensor {
        let (shape, values) = try file.readFloats("/\(name)/\(array)")
        return Tensor(values, shape.isEmpty ? [1] : shape)
    }

    /// An array `[N, C, ...]` with its channels last.
    func channelsLast(_ array: String) throws -> Tensor {
        let x = try tensor(array)
        return x.transposed([0] + Array(2..<x.shape.count) + [1])
    }

    func labels(_ array: String = "labels") throws -> [Int32] {
        try file.readInts("/\(name)/\(array)").values.map(Int32.init)
    }

    /// Whether x has the shape of `want` and every element is within the case's tolerance.
    func agrees(_ x: Tensor?, _ want: Tensor) -> Bool {
        guard let x, x.shape == want.shape else { return false }
        return zip(x.values, want.values).allSatisfy { abs($0 - $1) <= tolerance.atol + tolerance.rtol * abs($1) }
    }
}
