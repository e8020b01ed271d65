import ArgumentParser
import BEiTCheckpoints
import BEiTFiles
import BEiTHDF5
import BEiTModels
import BEiTOps
import BEiTTensorCore

struct Logits: Command {
    static let configuration = CommandConfiguration(
        commandName: "logits",
        abstract: "Evaluate a model on pixels from an HDF5 file, to compare it with another program.",
        discussion: HelpText.discussion(
            """
            Reads pixel_values, [N, 3, H, W] in floating point and already normalised (for a tokenizer: mapped to 0.1 to
            0.9), and for masked image modeling bool_masked_pos, [N, patches]. Writes logits and the backbone's patch
            features [N, patches, width]; for a tokenizer logits and tokens.
            """,
            examples: "beit-seg logits -m model.h5 -i in.h5 -o out.h5"))

    @OptionGroup var model: ModelOptions

    @Option(name: .shortAndLong, help: ArgumentHelp("The file with the pixels.", valueName: "file"))
    var input: String

    @Option(name: .shortAndLong, help: ArgumentHelp("The file to write.", valueName: "file"))
    var output: String

    @OptionGroup var common: CommonOptions

    func execute() throws {
        let path = try model.path()
        try OutputCheck.check(write: output, reads: [path, input])
        let (model, description) = try Checkpoint.load(path)
        let images = try PixelFile(input, description.configuration)
        let results = try ResultFile(output, rows: images.count)
        for rows in images.batches {
            try results.write(evaluate(model, images, rows), rows)
            log.debug("\(rows.upperBound) of \(images.count) images")
        }
        try results.commit()
    }

    /// The results for some images, by the names of their datasets.
    private func evaluate(_ model: Model, _ images: PixelFile, _ rows: Range<Int>) throws -> [(String, Result)] {
        let pixels = try images.pixels(rows), tape = Tape(.inference)
        var features: Tensor?
        let keep = { (variable: Variable) in features = variable.value }
        let logits: Tensor
        switch model {
        case .segmentation(let model):
            logits = channelsFirst(model(Variable(pixels), tape, features: keep).value)
        case .classification(let model):
            logits = model(Variable(pixels), tape, features: keep).value
        case .mim(let model):
            logits = model(Variable(pixels), mask: try images.mask(rows), tape, features: keep).value
        case .tokenizer(let model):
            let maps = model.encoder(Variable(channelsLast(pixels)), tape).value
            return [
                ("tokens", .integers(largest(maps), Array(maps.shape.dropLast()))),
                ("logits", .floats(channelsFirst(maps))),
            ]
        }
        return [("logits", .floats(logits))] + (features.map { [("features", .floats($0))] } ?? [])
    }
}

/// A result for some images.
private enum Result {
    case floats(Tensor)
    case integers([Int32], [Int])

    /// Of one image.
    var shape: [Int] {
        switch self {
        case .floats(let tensor): Array(tensor.shape.dropFirst())
        case .integers(_, let shape): Array(shape.dropFirst())
        }
    }
}

/// An input that does not fit the model.
private struct BadInput: ExitStatus {
    let exitStatus: Int32 = 65
    let description: String
    init(_ file: String, _ reason: String) { description = "\(file): \(reason)" }
}

/// The input of `logits`, read some images at a time.
private struct PixelFile {
    /// Images that are evaluated at once.
    private static let batch = 8

    let count: Int
    private let reader: HDF5Reader
    private let size: [Int]
    /// Patches of an image; nil for models that take no mask.
    private let patches: Int?

    init(_ file: String, _ configuration: ModelConfiguration) throws {
        reader = try HDF5Reader(file)
        let shape = try reader.info("/pixel_values").shape
        let wanted = configuration.backbone.map { "3, \($0.imageSize[0]), \($0.imageSize[1])" } ?? "3, H, W"
        let found = "pixel_values has the shape \(shape), the model takes [N, \(wanted)]"
        guard shape.count == 4, shape[1] == 3, shape[0] > 0 else { throw BadInput(file, found) }
        guard shape[0] <= 1 << 24 else {
            throw BadInput(file, "pixel_values claims \(shape[0]) images; split what is more than \(1 << 24)")
        }
        (count, size) = (shape[0], Array(shape[2...]))
        if let tokenizer = configuration.tokenizer {
            let step = tokenizer.downsampling
            guard size.allSatisfy({ $0 > 0 && $0 <= 1 << 14 && $0 % step == 0 }) else {
                throw BadInput(file, "\(found) with H and W multiples of \(step)")
            }
        } else if size != configuration.backbone?.imageSize {
            throw BadInput(file, found)
        }
        patches = configuration.mim == nil ? nil : configuration.backbone?.patchCount
        guard let patches else { return }
        let mask = try reader.info("/bool_masked_pos").shape
        guard mask == [count, patches] else {
            throw BadInput(file, "bool_masked_pos has the shape \(mask), needed is \([count, patches])")
        }
    }

    var batches: [Range<Int>] {
        stride(from: 0, to: count, by: Self.batch).map { $0..<min(count, $0 + Self.batch) }
    }

    func pixels(_ rows: Range<Int>) throws -> Tensor {
        let result = Tensor(uninitialized: [rows.count, 3] + size)
        try reader.readFloats("/pixel_values", rows: rows, into: result.buffer)
        guard result.buffer.allSatisfy(\.isFinite) else {
            throw BadInput(
                reader.file,
                "pixel_values of the images \(rows.lowerBound) to \(rows.upperBound - 1) are not all finite")
        }
        return result
    }

    /// Row-major over image and patch.
    func mask(_ rows: Range<Int>) throws -> [Bool] {
        var values = [Int64](repeating: 0, count: rows.count * (patches ?? 0))
        try values.withUnsafeMutableBufferPointer { try reader.readInts("/bool_masked_pos", rows: rows, into: $0) }
        return values.map { $0 != 0 }
    }
}

/// The output of `logits`, written some images at a time.
private final class ResultFile {
    private let writer: HDF5Writer
    private let count: Int
    private var created: Set<String> = []

    init(_ file: String, rows: Int) throws { (writer, count) = (try HDF5Writer(file), rows) }

    func write(_ results: [(String, Result)], _ rows: Range<Int>) throws {
        for (name, result) in results {
            let path = "/" + name
            let isNew = created.insert(name).inserted
            switch result {
            case .floats(let tensor):
                if isNew { try writer.create(path, shape: [count] + result.shape, as: .float32) }
                try writer.writeRows(path, rows, floats: UnsafeBufferPointer(tensor.buffer))
            case .integers(let values, _):
                if isNew { try writer.create(path, shape: [count] + result.shape, as: .int32) }
                try values.withUnsafeBufferPointer { try writer.writeRows(path, rows, ints: $0) }
            }
        }
    }

    func commit() throws { try writer.commit() }
}

/// `[B, h, w, C]` → `[B, C, h, w]`.
private func channelsFirst(_ maps: Tensor) -> Tensor {
    let (b, h, w, c) = (maps.shape[0], maps.shape[1], maps.shape[2], maps.shape[3])
    return transposed(maps, rows: h * w, columns: c, to: [b, c, h, w])
}

/// `[B, C, h, w]` → `[B, h, w, C]`.
private func channelsLast(_ maps: Tensor) -> Tensor {
    let (b, c, h, w) = (maps.shape[0], maps.shape[1], maps.shape[2], maps.shape[3])
    return transposed(maps, rows: c, columns: h * w, to: [b, h, w, c])
}

/// Transposes the matrix that each image is.
private func transposed(_ maps: Tensor, rows: Int, columns: Int, to shape: [Int]) -> Tensor {
    let result = Tensor(uninitialized: shape)
    let (source, target) = (maps.pointer, result.pointer)
    WorkerPool.current.run(maps.shape[0]) { image in
        let (from, to) = (source + image * rows * columns, target + image * rows * columns)
        for row in 0..<rows {
            for column in 0..<columns { to[column * rows + row] = from[row * columns + column] }
        }
    }
    return result
}

/// The index of the largest value along the last axis; of equal ones the first.
private func largest(_ maps: Tensor) -> [Int32] {
    let words = maps.shape[maps.shape.count - 1]
    return (0..<maps.count / words).map { cell in
        let row = UnsafeBufferPointer(rebasing: maps.buffer[cell * words..<(cell + 1) * words])
        return row.indices.reduce(Int32(0)) { row[$1] > row[Int($0)] ? Int32($1) : $0 }
    }
}
