import BEiTTensorCore
import Foundation
import Testing

@testable import BEiTHDF5

/// What is read beside libhdf5, by all threads, against what libhdf5 reads of the same file.
@Suite struct StoredRunsTests {
    private enum Outcome: Equatable {
        case values([UInt32]), error(HDF5Error)

        init(_ read: () throws -> [Float]) {
            do { self = .values(bits(try read())) } catch let error as HDF5Error { self = .error(error) } catch {
                self = .values([])
            }
        }
    }

    private func beside(_ reader: HDF5Reader, _ path: String) -> Outcome {
        Outcome { try reader.readFloats(path).values }
    }

    /// All rows by name, which are libhdf5's to read.
    private func byLibrary(_ reader: HDF5Reader, _ path: String) -> Outcome {
        Outcome {
            let info = try reader.info(path)
            var values = [Float](repeating: -7, count: info.count ?? 0)
            try values.withUnsafeMutableBufferPointer {
                try reader.readFloats(path, rows: 0..<(info.shape.first ?? 1), into: $0)
            }
            return values
        }
    }

    private func hasRuns<Value: NativeElement>(
        _ reader: HDF5Reader, _ path: String, as: Value.Type = Float.self
    ) throws -> Bool {
        let info = try reader.info(path)
        guard let runs = StoredRuns(try reader.open(info, as: Value.self).0, info, in: reader.root) else {
            return false
        }
        return runs.forEachBlock { _, _ in }
    }

    /// Uneven ones, of one chunk and of several, cut along each axis.
    static let shapes = [
        [], [1], [5], [7, 3], [263, 1051], [1_048_583], [3, 2, 300_001], [1, 700, 3, 5, 29], [2, 1 << 20],
    ]

    @Test(arguments: shapes, [StoredType.float32, .float16, .bfloat16]) func floats(_ shape: [Int], _ type: StoredType)
        throws
    {
        let folder = try Scratch(), count = shape.reduce(1, *)
        let writer = try HDF5Writer(folder.path("a.h5"))
        let zeros = [Float](repeating: 0, count: count)
        let ones = [Float](repeating: Float(bitPattern: 0xFFFF_FFFF), count: count)
        for (name, values) in [("/a", sampleFloats(count)), ("/zeros", zeros), ("/ones", ones)] {
            try writer.write(name, shape: shape, floats: values, as: type)
        }
        try writer.write("/zipped", shape: shape, floats: sampleFloats(count), as: type, compress: true)
        try writer.commit()
        let reader = try HDF5Reader(folder.path("a.h5"))
        for info in reader.datasets {
            let wanted = byLibrary(reader, info.path)
            guard case .values(let values) = wanted else {
                Issue.record("\(wanted)")
                continue
            }
            for threads in [1, 2, 5] {
                WorkerPool.$scoped.withValue(WorkerPool(threads: threads)) {
                    #expect(beside(reader, info.path) == wanted, "\(info.path)")
                }
            }
            #expect(try hasRuns(reader, info.path) == (info.path != "/zipped" || shape.isEmpty))
            #expect(
                try reader.areFinite(info.path) == values.allSatisfy { Float(bitPattern: $0).isFinite }, "\(info.path)")
        }
    }

    @Test(arguments: [[3], [1501, 1401], [2, 1_048_577]]) func bytes(_ shape: [Int]) throws {
        let folder = try Scratch(), count = shape.reduce(1, *)
        let values = (0..<count).map { Int8(truncatingIfNeeded: $0 &* 37 &+ $0 / 251) }
        let writer = try HDF5Writer(folder.path("a.h5"))
        try values.withUnsafeBufferPointer { try writer.write("/a", shape: shape, signedBytes: $0) }
        try writer.commit()
        let reader = try HDF5Reader(folder.path("a.h5"))
        #expect(try hasRuns(reader, "/a", as: Int8.self))
        for threads in [1, 2, 5] {
            var found = [Int8](repeating: 1, count: count)
            try WorkerPool.$scoped.withValue(WorkerPool(threads: threads)) {
                try found.withUnsafeMutableBufferPointer { try reader.readSignedBytes("/a", into: $0) }
            }
            #expect(found == values)
        }
    }

    /// One number that is none, wherever it is, of each type.
    @Test(arguments: [StoredType.float32, .float16, .bfloat16], [Float.nan, .infinity, -.infinity])
    func whatIsNotFiniteIsSeen(_ type: StoredType, _ value: Float) throws {
        let folder = try Scratch(), count = 700_001
        for place in [0, 16_383, 524_287, count - 1] {
            var values = [Float](repeating: -65504, count: count)
            values[place] = value
            let writer = try HDF5Writer(folder.path("a.h5"))
            try writer.write("/a", shape: [count], floats: values, as: type)
            try writer.commit()
            #expect(try !HDF5Reader(folder.path("a.h5")).areFinite("/a"), "\(place)")
        }
    }

    @Test func chunksOfOtherShapes() throws {
        let folder = try Scratch()
        let writer = try HDF5Writer(folder.path("a.h5"))
        for (name, chunk) in [("/pieces", [2, 3]), ("/rows", [4, 7]), ("/half", [1, 4])] {
            try writer.create(name, shape: [10, 7], as: .float32, chunk: chunk)
            try writer.writeBox(name, [0..<10, 0..<7], floats: sampleFloats(70))
        }
        try writer.commit()
        let reader = try HDF5Reader(folder.path("a.h5"))
        for (name, expected) in [("/pieces", false), ("/rows", true), ("/half", true)] {
            #expect(try hasRuns(reader, name) == expected, "\(name)")
            #expect(beside(reader, name) == byLibrary(reader, name))
        }
        #expect(beside(reader, "/rows") == .values(bits(sampleFloats(70))))
    }

    /// Files of h5py and of Keras, sound and broken ones.
    @Test func foreignFiles() throws {
        let folder = URL(fileURLWithPath: fixture("hostile"))
        let hostile = try FileManager.default.contentsOfDirectory(atPath: folder.path).map { "hostile/" + $0 }
        var runs = 0
        for name in (["h5py.h5", "deconv-seg.h5"] + hostile).sorted() {
            guard let reader = try? HDF5Reader(fixture(name)) else { continue }
            for info in reader.datasets where info.elementType.isFloat && reader.obstacle(info) == nil {
                let found = beside(reader, info.path)
                #expect(found == byLibrary(reader, info.path), "\(name) \(info.path)")
                if case .values = found, try hasRuns(reader, info.path) { runs += 1 }
            }
        }
        #expect(runs > 300)
    }

    // MARK: Damage

    private func sample(_ folder: Scratch) throws -> (path: String, bytes: [UInt8]) {
        let path = folder.path("a.h5"), writer = try HDF5Writer(path)
        try writer.write("/a", shape: [1031, 517], floats: sampleFloats(1031 * 517))
        try writer.commit()
        return (path, [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))))
    }

    /// In every part of the file, so that also checksums and addresses are hit.
    @Test func aChangedByteIsLibhdf5sToComplainOf() throws {
        let folder = try Scratch(), (path, sound) = try sample(folder)
        let wanted = beside(try HDF5Reader(path), "/a")
        var errors = 0
        for place in Array(stride(from: 0, to: sound.count, by: sound.count / 61))
            + Array(sound.count - 40..<sound.count)
        {
            var bytes = sound
            bytes[place] ^= 0x10
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            guard let reader = try? HDF5Reader(path), reader.contains("/a") else { continue }
            let found = beside(reader, "/a")
            #expect(found == byLibrary(reader, "/a"), "byte \(place)")
            if found != wanted { errors += 1 }
            guard case .error(.cannotRead(_, "/a", let reason)) = found else { continue }
            #expect(!reason.isEmpty)
        }
        #expect(errors > 50)
    }

    @Test func aFileThatShrinksIsAnError() throws {
        let folder = try Scratch(), (path, sound) = try sample(folder)
        let reader = try HDF5Reader(path)
        #expect(truncate(path, off_t(sound.count / 2)) == 0)
        let found = beside(reader, "/a")
        #expect(found == byLibrary(reader, "/a"))
        #expect(
            found == .error(.cannotRead(file: path, path: "/a", reason: "it has become shorter")), "\(found)")
    }
}
