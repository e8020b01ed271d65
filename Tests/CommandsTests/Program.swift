import BEiTCheckpoints
import BEiTFiles
import BEiTHDF5
import BEiTImageIO
import BEiTLayers
import BEiTModels
import BEiTTensorCore
import Foundation
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

    static var path: String {
        URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().appendingPathComponent("beit-seg")
            .path
    }

    private static func process(_ arguments: [String]) -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        return process
    }

    /// Kills a command at random moments, each time going on from what the last one left.
    ///
    /// A run that reaches its end before it is killed starts over, and from then on the moments come twice as early; after
    /// each kill they come a little later. So the kills hit on every machine, and at every part of a run.
    /// - Parameters:
    ///   - times: how often it must be killed.
    ///   - seed: of the moments.
    ///   - output: the folder of the command, which goes when it starts over.
    ///   - arguments: of the command, or of its resumption.
    static func killAtRandom(_ times: Int, seed: UInt64, _ output: String, _ arguments: () -> [String]) throws {
        var (generator, longest, kills) = (Philox(seed: seed), Float(0.5), 0)
        while kills < times {
            let seconds = Double(generator.uniform(0..<longest))
            let status = try killed(SIGKILL, arguments()) { _ in Thread.sleep(forTimeInterval: seconds) }
            if status == -SIGKILL {
                kills += 1
                longest *= 1.1
            } else {
                try #require(status == 0)
                try FileManager.default.removeItem(atPath: output)
                longest /= 2
            }
        }
    }

    /// Starts the program and sends it a signal as soon as it has come so far, however slow the machine is.
    /// - Returns: its status, or minus the signal that ended it.
    static func killed(_ signal: Int32, once hasCome: () -> Bool, _ arguments: [String]) throws -> Int32 {
        try killed(signal, arguments) { process in
            while process.isRunning && !hasCome() { Thread.sleep(forTimeInterval: 0.005) }
        }
    }

    private static func killed(_ signal: Int32, _ arguments: [String], _ wait: (Process) -> Void) throws -> Int32 {
        let process = process(arguments)
        process.standardError = FileHandle.nullDevice
        try process.run()
        wait(process)
        kill(process.processIdentifier, signal)
        process.waitUntilExit()
        return process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
    }

    init(arguments: [String], environment: [String: String] = [:]) throws {
        let process = Program.process(arguments)
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

/// A small segmentation model of random weights, and photos for it.
enum SmallModel {
    /// - Parameters:
    ///   - isHuge: whether the last weights are as large as numbers can be, so that logits are not finite.
    ///   - sharesBackground: whether it says that it has learned from sets that do so.
    ///   - range: of the values of photos that it says it has learned from.
    static func save(
        to path: String, seed: UInt64 = 3, names: [String] = (0..<5).map { "c\($0)" }, isHuge: Bool = false,
        sharesBackground: Bool = false, range: ImageReading.Range? = nil
    ) throws {
        var backbone = BackboneConfiguration()
        (backbone.width, backbone.depth, backbone.heads, backbone.imageSize) = (12, 2, 3, [32, 48])
        let decoder = DecoderConfiguration(
            .deconvolution(.init(channels: [8, 4], normGroups: 2)), classes: names.count)
        let configuration = ModelConfiguration.segmentation(backbone, decoder)
        let model = Model(configuration, Initializer(seed: seed, style: .pretraining))
        if isHuge {
            for named in model.module.parameters where named.path.hasSuffix("decoder/head/weight") {
                let value = named.parameter.value
                value.pointer.update(repeating: 3e38, count: value.count)
            }
        }
        var preprocessing = Preprocessing(size: [32, 48])
        preprocessing.sharesBackground = sharesBackground ? true : nil
        preprocessing.range = range
        let description = ModelDescription(
            task: .segmentation, configuration: configuration,
            classes: names.enumerated().map { LabelClass(name: $1, color: RGBColor(UInt8(50 * $0), 7, 200)) },
            preprocessing: preprocessing, provenance: Provenance(command: "test"))
        try Checkpoint.save(model.module, description, as: .float32, to: path)
    }

    /// Blocks of colour, so that the masks have more than one class.
    static func photo(_ width: Int, _ height: Int, seed: UInt64, to path: String) throws {
        try writePNG(picture(width, height, seed: seed), to: path)
    }

    static func picture(_ width: Int, _ height: Int, seed: UInt64) -> RGBImage {
        var generator = Philox(seed: seed)
        let colors = (0..<64).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        let pixels = (0..<3 * width * height).map {
            colors[($0 / 3 % width / 16 * 5 + $0 / 3 / width / 16 * 3 + $0 % 3) % 64]
        }
        return RGBImage(width: width, height: height, pixels: pixels)
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
    var names: [String] { (try? FileSystem.names(in: path)) ?? [] }
}

/// A training of some command, killed at random moments, ends as one that never was.
enum KilledTraining {
    /// - Parameters:
    ///   - times: how often it is killed.
    ///   - folder: where both runs are written: `whole` and `killed`.
    ///   - command: the words that go before `--resume`.
    ///   - train: the arguments of a new run of that name.
    static func expectSame(
        _ times: Int, _ folder: Scratch, _ command: [String], _ train: (String) -> [String]
    ) throws {
        let whole = try Program(arguments: train("whole"))
        #expect(whole.status == 0, "\(whole.errors)")
        let last = folder["killed/last.h5"]
        func goOn() -> [String] {
            let resumes = FileManager.default.fileExists(atPath: last)
            return resumes ? command + ["--resume", folder["killed"], "-q"] : train("killed")
        }
        try Program.killAtRandom(times, seed: 6, folder["killed"], goOn)
        let run = try Program(arguments: goOn())
        #expect(run.status == 0, "\(run.errors)")
        let (expected, found) = try (bits(folder["whole/last.h5"]), bits(last))
        #expect(expected.count > 20)
        let equal = expected == found
        #expect(equal)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder["killed"])
        #expect(!names.contains { $0.hasPrefix(".") }, "\(names)")
    }

    /// All numbers of a checkpoint by path.
    private static func bits(_ path: String) throws -> [String: [UInt32]] {
        let model = try Checkpoint.load(path, for: .learning).model.module
        let state = try trainingTensors(path)
        let all = model.parameters.map { ($0.path, $0.parameter.value.values) } + state
        return Dictionary(uniqueKeysWithValues: all.map { ($0.0, $0.1.map(\.bitPattern)) })
    }
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

/// The tensors of the training state in a checkpoint, with their paths.
func trainingTensors(_ path: String) throws -> [(String, [Float])] {
    let reader = try HDF5Reader(path)
    return try reader.datasets.filter { $0.path.hasPrefix("/training/") && $0.elementType == .float32 }
        .map { (String($0.path.dropFirst("/training/".count)), try reader.readFloats($0.path).values) }
}
