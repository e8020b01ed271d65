import BEiTHDF5
import BEiTWeightFiles
import Foundation
import Testing

/// A folder that goes away with the test.
final class Scratch {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("weights-\(UUID().uuidString)")
    init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(at: folder) }
    func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

    /// Writes a file and gives its path.
    func file(_ name: String, _ bytes: [UInt8]) throws -> String {
        try Data(bytes).write(to: URL(fileURLWithPath: path(name)))
        return path(name)
    }

    func file(_ name: String, _ text: String) throws -> String { try file(name, Array(text.utf8)) }
}

func fixture(_ name: String) -> String { Bundle.module.resourceURL!.appendingPathComponent("Fixtures/" + name).path }

func contents(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }

extension StoredTensor {
    func values() throws -> [Float] {
        try [Float](unsafeUninitializedCapacity: shape.reduce(1, *)) { buffer, initialized in
            let count = shape.reduce(1, *)
            try read(UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
            initialized = count
        }
    }
}

extension TensorSource {
    func tensor(_ name: String) throws -> StoredTensor { try #require(tensors.first { $0.name == name }) }

    /// All tensors of floating-point numbers, by name.
    func floats() throws -> [String: (shape: [Int], values: [Float])] {
        var all: [String: (shape: [Int], values: [Float])] = [:]
        for tensor in tensors where tensor.elementType.isFloat {
            all[tensor.name] = (tensor.shape, try tensor.values())
        }
        return all
    }
}

/// Expects the tensors of two sources to have the same names, shapes and bits.
func expectEqual(
    _ found: any TensorSource, _ expected: any TensorSource, sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let (found, expected) = (try found.floats(), try expected.floats())
    #expect(!expected.isEmpty && Set(found.keys) == Set(expected.keys), sourceLocation: sourceLocation)
    for (name, tensor) in expected {
        let other = try #require(found[name], sourceLocation: sourceLocation)
        #expect(other.shape == tensor.shape, "\(name)", sourceLocation: sourceLocation)
        #expect(
            other.values.map(\.bitPattern) == tensor.values.map(\.bitPattern), "\(name)", sourceLocation: sourceLocation
        )
    }
}

/// The error of opening `path` and reading all that is in it, which must be one line that begins with the file.
func refusal(_ path: String, sourceLocation: SourceLocation = #_sourceLocation) -> String {
    do {
        let source = try TensorFile.open(path)
        if let (name, reason) = source.refusals.min(by: { $0.key < $1.key }) { return "\(name): \(reason)" }
        for tensor in source.tensors { _ = try tensor.values() }
        Issue.record("\(path) was read", sourceLocation: sourceLocation)
        return ""
    } catch {
        let text = "\(error)"
        #expect(!text.contains("\n") && text.hasPrefix(path), "\(text)", sourceLocation: sourceLocation)
        return text
    }
}

/// The most memory that this process has had so far, in bytes.
func peakMemory() -> Int {
    let file = fopen("/proc/self/status", "r")
    defer { if let file { fclose(file) } }
    var line = [CChar](repeating: 0, count: 256), kilobytes = 0
    while let file, fgets(&line, Int32(line.count), file) != nil {
        if strncmp(line, "VmHWM:", 6) == 0 { kilobytes = line.withUnsafeBufferPointer { atol($0.baseAddress! + 6) } }
    }
    return kilobytes * 1024
}
