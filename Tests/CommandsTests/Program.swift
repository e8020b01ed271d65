import Foundation
import HDF5
import Testing

/// The program as its users meet it: a process, its output and its status.
struct Program {
    let status: Int32
    let output: String
    /// Lines on standard error.
    let errors: [String]

    /// Runs the executable that was built beside the tests.
    init(_ arguments: String..., environment: [String: String] = [:]) throws {
        try self.init(arguments: arguments, environment: environment)
    }

    init(arguments: [String], environment: [String: String] = [:]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
            .appendingPathComponent("beit-seg")
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let (output, errors) = (Pipe(), Pipe())
        (process.standardOutput, process.standardError) = (output, errors)
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        let messages = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        status = process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
        self.output = String(decoding: text, as: UTF8.self)
        self.errors = String(decoding: messages, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}

/// A folder that goes away with the test.
final class Scratch {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "beit-seg-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    subscript(name: String) -> String { path + "/" + name }
}

/// The oracle data of the models.
enum Oracle {
    static func path(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("ModelsTests/Fixtures/" + name).path
    }
}

/// Every element within a + r·|wanted|; NaN and another shape fail.
func expectClose(
    _ file: String, _ name: String, _ wantedFile: String, _ wantedName: String, _ a: Float, _ r: Float
) throws {
    let found = try HDF5Reader(file).readFloats("/" + name)
    let wanted = try HDF5Reader(wantedFile).readFloats("/" + wantedName)
    try #require(found.shape == wanted.shape)
    let off = zip(found.values, wanted.values).filter { !(abs($0 - $1) <= a + r * abs($1)) }
    #expect(off.isEmpty, "\(off.count) of \(found.values.count) elements differ, first \(off.first as Any)")
}
