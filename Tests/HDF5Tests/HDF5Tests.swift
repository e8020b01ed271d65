import Foundation
import Testing

@testable import HDF5

/// A folder that goes away with the test.
final class Scratch {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("hdf5-\(UUID().uuidString)")
    init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(at: folder) }
    func path(_ name: String) -> String { folder.appendingPathComponent(name).path }
    var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()) ?? [] }
}

/// Awkward values first, then ones that fill every bit of the significand.
func sampleFloats(_ count: Int) -> [Float] {
    let awkward: [Float] = [0, -0.0, 1, -1.5, .pi, .infinity, -.infinity, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 65520]
    var state: UInt64 = 12345
    return (0..<count).map { i in
        if i < awkward.count { return awkward[i] }
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return (Float(state >> 40) - 8_388_608) / 65536
    }
}

func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }

@Suite struct RoundTripTests {
    static let shapes = [[], [1], [7], [0, 24], [2, 3, 5], [1, 1, 8], [13, 1, 4, 4], [700_001], [3, 300_007], [3, 5, 70_001]]

    @Test(arguments: shapes) func float32KeepsEveryBit(_ shape: [Int]) throws {
        let scratch = try Scratch(), file = scratch.path("a.h5"), values = sampleFloats(shape.reduce(1, *))
        for compress in [false, true] {
            let writer = try HDF5Writer(file)
            try writer.write("/model/a/weight", shape: shape, floats: values, compress: compress)
            try writer.commit()
            let reader = try HDF5Reader(file)
            let read = try reader.readFloats("/model/a/weight")
            #expect(read.shape == shape)
            #expect(bits(read.values) == bits(values))
            #expect(reader.datasets == [DatasetInfo(path: "/model/a/weight", shape: shape, elementType: .float32)])
        }
    }
}
