import BEiTHDF5
import BEiTMutants
import BEiTTensorCore
import BEiTWeightFiles
import Foundation
import Testing

/// Damaged files of every format, made by chance from sound ones: each gives an error of one line or tensors, without a
/// crash, without a hang, and without more memory than the file accounts for.
///
/// `BEIT_SEG_MUTATIONS=100000 swift test -c release --filter MutationTests` tries so many of each format (300 otherwise),
/// `BEIT_SEG_FIRST_MUTATION=N` begins with number N, `BEIT_SEG_MUTATED_FORMATS=keras,flat` leaves the others out. The mutants are tried in processes of their own, and the number of the
/// one being tried stands in a file: what ends a process is named, and the rest is still tried.
@Suite(.serialized) struct MutationTests {
    enum Format: String, CaseIterable {
        case safetensors, zip, legacy, training, module, pickle, keras, latest, compressed, flat, bytes, short
    }

    private static let count = setting("BEIT_SEG_MUTATIONS") ?? 300
    private static let first = setting("BEIT_SEG_FIRST_MUTATION") ?? 0
    private static let atOnce = 5000

    private static func setting(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }

    private static var formats: [Format] {
        let names = ProcessInfo.processInfo.environment["BEIT_SEG_MUTATED_FORMATS"]?.split(separator: ",")
        return names?.compactMap { Format(rawValue: String($0)) } ?? Format.allCases
    }

    @Test(arguments: formats) func mutantsDoNoHarm(_ format: Format) async throws {
        let folder = try Scratch()
        try format.sound(folder).copy(to: folder.path("sound"))
        var next = Self.first
        while next < Self.first + Self.count {
            let end = min(next + Self.atOnce, Self.first + Self.count)
            await #expect(processExitsWith: .success, "\(format)") {
                [
                    folder = folder.folder.path as String, next = next as Int, end = end as Int,
                    format = format.rawValue as String
                ] in
                try Trial(folder: folder, checksValues: format == "zip").run(next..<end, seed: format)
            }
            let reached = try Trial.numberReached(in: folder.folder.path)
            if reached < end { Issue.record("mutant \(reached) of \(format)") }
            next = max(reached, next) + 1
            if reached >= end { next = end }
        }
    }

    /// The mutants themselves: the same number gives the same file, other numbers others.
    @Test func mutantsFollowFromTheirNumbers() {
        let sound = [UInt8](0..<200)
        let mutants = (0..<100).map { Mutant(of: sound, number: $0, seed: "zip").bytes }
        #expect(mutants == (0..<100).map { Mutant(of: sound, number: $0, seed: "zip").bytes })
        #expect(Set(mutants).count > 95 && mutants.filter { $0 == sound }.count < 3)
        #expect(mutants.contains { $0.count < 150 } && mutants.contains { $0.count > 200 })
    }
}

extension MutationTests.Format {
    /// A sound file of the format.
    fileprivate func sound(_ folder: Scratch) throws -> [UInt8] {
        switch self {
        case .safetensors: try contents(fixture("safetensors/good/model.safetensors"))
        case .zip: try contents(fixture("pth/good.pth"))
        case .legacy: try contents(fixture("pth/good_legacy.pth"))
        case .training: try contents(fixture("torch/made/training-protocol4.pth"))
        case .module: try contents(fixture("torch/made/module.pth"))
        case .pickle: try contents(fixture("torch/made/module-protocol5.pkl"))
        case .keras: try keras("good.h5")
        case .latest: try keras("good_latest_format.h5")
        case .compressed: try keras("good_gzip.h5")
        case .flat: try contents(flatFile(folder, as: .float32))
        case .short: try contents(flatFile(folder, as: .bfloat16))
        case .bytes: try contents(bytesFile(folder))
        }
    }

    private func keras(_ name: String) throws -> [UInt8] {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        return try contents(tests.appendingPathComponent("HDF5Tests/Fixtures/hostile/" + name).path)
    }

    private func flatFile(_ folder: Scratch, as type: StoredType) throws -> String {
        let path = folder.path("flat.h5")
        let writer = try HDF5Writer(path)
        try writer.setAttribute("format", "beit-seg")
        for (name, shape) in [("/model/a/weight", [5, 7]), ("/model/a/bias", [5]), ("/b", [2, 3, 4]), ("/c", [])] {
            let values = (0..<shape.reduce(1, *)).map { Float($0) / 8 }
            try writer.write(name, shape: shape, floats: values, as: type)
        }
        try writer.commit()
        return path
    }

    private func bytesFile(_ folder: Scratch) throws -> String {
        let path = folder.path("bytes.h5"), writer = try HDF5Writer(path)
        for (name, shape, scale) in [("/a/weight", [5, 7], [5, 1]), ("/b/weight", [2, 3, 4], [1, 3, 1])] {
            let values = (0..<shape.reduce(1, *)).map { Int8($0 * 3 - 20) }
            try values.withUnsafeBufferPointer { try writer.write(name, shape: shape, signedBytes: $0) }
            try writer.write(name + "_scale", shape: scale, floats: (0..<scale.reduce(1, *)).map { Float($0 + 1) / 8 })
        }
        try writer.commit()
        return path
    }
}

extension [UInt8] {
    fileprivate func copy(to path: String) throws { try Data(self).write(to: URL(fileURLWithPath: path)) }
}

/// Mutants read one after another, in a process that ends where one does harm.
private struct Trial {
    let folder: String
    /// Whether checksums cover the values, so that what is read at all is what was in the sound file.
    let checksValues: Bool

    /// Seconds a mutant may take, and the memory it may take in addition to twice its size.
    private static let seconds: UInt32 = 10, room = 64 << 20
    private static let numberFile = "number"

    static func numberReached(in folder: String) throws -> Int {
        try contents(folder + "/" + numberFile).withUnsafeBytes { $0.loadUnaligned(as: Int.self) }
    }

    func run(_ numbers: Range<Int>, seed: String) throws {
        let sound = try contents(folder + "/sound"), path = folder + "/mutant"
        let expected = checksValues ? try TensorFile.open(folder + "/sound").floats() : [:]
        let descriptor = open(folder + "/" + Self.numberFile, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        limitMemory()
        let before = peakMemory()
        for number in numbers {
            try note(number, descriptor)
            let mutant = Mutant(of: sound, number: number, seed: seed).bytes
            try put(mutant, path)
            alarm(Self.seconds)
            let flaw = read(path, expected)
            alarm(0)
            if let flaw { complain(flaw) }
            let peak = peakMemory()
            if peak > before + Self.room + 2 * mutant.count { complain("takes \(peak - before) bytes") }
        }
        try note(numbers.upperBound, descriptor)
        close(descriptor)
    }

    private func note(_ number: Int, _ descriptor: Int32) throws {
        guard withUnsafeBytes(of: number, { pwrite(descriptor, $0.baseAddress, $0.count, 0) }) == 8 else {
            throw CocoaError(.fileWriteUnknown)
        }
    }

    /// Writes over the last one: some file systems flush what was cut to nothing before.
    private func put(_ mutant: [UInt8], _ path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT, 0o644)
        defer { close(descriptor) }
        let written = mutant.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard written == mutant.count, ftruncate(descriptor, off_t(written)) == 0 else {
            throw CocoaError(.fileWriteUnknown)
        }
    }

    private func complain(_ flaw: String) -> Never {
        FileHandle.standardError.write(Data("MutationTests: the mutant \(flaw)\n".utf8))
        exit(1)
    }

    /// What asks for gigabytes, though it may never touch them, gets none.
    private func limitMemory() {
        let pages = (try? contents("/proc/self/statm")).flatMap {
            String(decoding: $0, as: UTF8.self).split(separator: " ").first
        }
        guard let pages = pages.flatMap({ rlim_t($0) }) else { return }
        var limit = rlimit()
        limit.rlim_cur = pages * rlim_t(sysconf(Int32(_SC_PAGESIZE))) + rlim_t(Self.room) * 8
        limit.rlim_max = limit.rlim_cur
        setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit)
    }

    /// What is wrong with how a mutant was read.
    private func read(_ path: String, _ expected: [String: (shape: [Int], values: [Float])]) -> String? {
        let source: any TensorSource
        do { source = try TensorFile.open(path) } catch { return flaw(of: error, path) }
        for tensor in source.tensors where tensor.elementType.isFloat || tensor.quantized != nil {
            do {
                guard tensor.elementType.isFloat else {
                    try tensor.readQuantized()
                    continue
                }
                let values = try tensor.values()
                if try tensor.areFinite() != values.allSatisfy(\.isFinite) {
                    return "is finite in \(tensor.name), or not"
                }
                let reader = (source as? HDF5Source)?.reader
                if let reader, (try? reader.readsAlike("/" + tensor.name, values)) != true {
                    return "is read otherwise by libhdf5 in \(tensor.name)"
                }
                if let sound = expected[tensor.name],
                    sound.shape != tensor.shape
                        || !zip(sound.values, values).allSatisfy({ $0.bitPattern == $1.bitPattern })
                {
                    return "has other values in \(tensor.name)"
                }
            } catch { if let flaw = flaw(of: error, path) { return flaw } }
        }
        return nil
    }

    private func flaw(of error: any Error, _ path: String) -> String? {
        let text = "\(error)"
        return text.contains("\n") || !text.hasPrefix(path) ? "gives the error \(text)" : nil
    }
}

extension StoredTensor {
    fileprivate func readQuantized() throws {
        guard let quantized else { return }
        var bytes = [Int8](repeating: 0, count: shape.reduce(1, *))
        try bytes.withUnsafeMutableBufferPointer { try quantized.read($0) }
        guard quantized.scales.elementType.isFloat else { return }
        var scales = [Float](repeating: 0, count: quantized.scales.shape.reduce(1, *))
        try scales.withUnsafeMutableBufferPointer { try quantized.scales.read($0) }
    }
}

extension HDF5Reader {
    /// Whether libhdf5, which reads rows by name, gives the same numbers as the threads that read beside it. Where a
    /// damaged index hides a chunk from its search, though not from a walk over all of them, it gives zeros.
    fileprivate func readsAlike(_ path: String, _ values: [Float]) throws -> Bool {
        var rows = [Float](repeating: 0, count: values.count)
        let all = 0..<(try info(path).shape.first ?? 1)
        try rows.withUnsafeMutableBufferPointer { try readFloats(path, rows: all, into: $0) }
        return zip(rows, values).allSatisfy { $0.bitPattern == $1.bitPattern || $0.bitPattern == 0 }
    }
}
