import Foundation

/// A folder that goes away with the test.
final class Scratch {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("hdf5-\(UUID().uuidString)")
    init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(at: folder) }
    func path(_ name: String) -> String { folder.appendingPathComponent(name).path }
    var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()) ?? [] }
}

func fixture(_ name: String) -> String { Bundle.module.resourceURL!.appendingPathComponent("Fixtures/" + name).path }

/// Awkward values first, then ones that differ from each other.
func sampleFloats(_ count: Int) -> [Float] {
    let awkward: [Float] = [
        0, -0.0, 1, -1.5, .pi, .infinity, -.infinity, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 65520, 1e-7,
    ]
    var state: UInt64 = 12345
    return (0..<count).map { i in
        if i < awkward.count { return awkward[i] }
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return (Float(state >> 40) - 8_388_608) / 65536
    }
}

func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }
