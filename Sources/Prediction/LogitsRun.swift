import BEiTCheckpoints
import BEiTFiles
import BEiTHDF5
import BEiTModels
import BEiTOps
import BEiTTensorCore

/// A model's answers to pixels that another program has prepared, for comparison: from HDF5 to HDF5, some images at a time.
package struct LogitsRun {
    private let model: Model
    private let images: PixelFile
    private let output: String

    /// Images in the input.
    package var count: Int { images.count }

    /// - Parameters:
    ///   - input: has `pixel_values` `[N, 3, H, W]` in floating point, as the model takes them; for masked image modeling also
    ///     `bool_masked_pos` `[N, patches]`.
    ///   - output: gets `logits` and `features`, of a tokenizer `tokens` and `logits`.
    /// - Throws: ``LogitsError`` where the input does not fit the model, `HDF5Error`, ``CheckpointError``.
    package init(model path: String, input: String, output: String, precision: Precision? = nil) throws {
        let (model, description) = try Checkpoint.load(path, for: .inference(precision))
        (self.model, self.output) = (model, output)
        images = try PixelFile(input, description.configuration)
    }

    /// - Parameter progress: told the number of images done.
    package func run(progress: (Int) -> Void = { _ in }) throws {
        let results = try LogitsFile(output, rows: images.count)
        for rows in images.batches {
            try results.write(evaluate(rows), rows)
            progress(rows.upperBound)
        }
        try results.commit()
    }

    /// The results for some images, by the names of their datasets.
    private func evaluate(_ rows: Range<Int>) throws -> [(String, Values)] {
        let answer = ModelAnswer(of: model, to: try images.pixels(rows), mask: try images.mask(rows))
        let tokens = answer.tokens.map { [("tokens", Values.integers($0.values, $0.shape))] } ?? []
        return tokens + [("logits", .floats(answer.logits))]
            + (answer.features.map { [("features", .floats($0))] } ?? [])
    }
}

/// What a model of any task says to pixels, in the layout of files.
struct ModelAnswer {
    /// Segmentation `[B, K, h, w]` at the decoder's own resolution, classification `[B, K]`, masked image modeling
    /// `[B, N, V]`, tokenizer `[B, V, h, w]`.
    let logits: Tensor
    /// The backbone's last patch features, `[B, N, D]`.
    private(set) var features: Tensor?
    /// Of a tokenizer, over `[B, h, w]`.
    private(set) var tokens: (values: [Int32], shape: [Int])?

    /// - Parameters:
    ///   - pixels: `[B, 3, H, W]`, as the model takes them.
    ///   - mask: B·N flags, for masked image modeling alone.
    init(of model: Model, to pixels: Tensor, mask: [Bool]) {
        let tape = Tape(.inference)
        var kept: Tensor?
        let keep = { (variable: Variable) in kept = variable.value }
        switch model {
        case .segmentation(let model):
            logits = model(Variable(pixels), tape, features: keep).value.transposed([0, 3, 1, 2])
        case .classification(let model): logits = model(Variable(pixels), tape, features: keep).value
        case .mim(let model): logits = model(Variable(pixels), mask: mask, tape, features: keep).value
        case .tokenizer(let model):
            let maps = model.encoder(Variable(pixels.transposed([0, 2, 3, 1])), tape).value
            tokens = (maps.argmax(), Array(maps.shape.dropLast()))
            logits = maps.transposed([0, 3, 1, 2])
        }
        features = kept
    }
}

/// A result for some images.
private enum Values {
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
package struct LogitsError: ExitStatus {
    package let exitStatus: Int32 = 65
    package let description: String
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
        guard shape.count == 4, shape[1] == 3, shape[0] > 0 else { throw LogitsError(file, found) }
        guard shape[0] <= 1 << 24 else {
            throw LogitsError(file, "pixel_values claims \(shape[0]) images; split what is more than \(1 << 24)")
        }
        (count, size) = (shape[0], Array(shape[2...]))
        if let tokenizer = configuration.tokenizer {
            let step = tokenizer.downsampling
            guard size.allSatisfy({ $0 > 0 && $0 <= 1 << 14 && $0 % step == 0 }) else {
                throw LogitsError(file, "\(found) with H and W multiples of \(step)")
            }
        } else if size != configuration.backbone?.imageSize {
            throw LogitsError(file, found)
        }
        patches = configuration.mim == nil ? nil : configuration.backbone?.patchCount
        guard let patches else { return }
        let mask = try reader.info("/bool_masked_pos").shape
        guard mask == [count, patches] else {
            throw LogitsError(file, "bool_masked_pos has the shape \(mask), needed is \([count, patches])")
        }
    }

    var batches: [Range<Int>] {
        stride(from: 0, to: count, by: Self.batch).map { $0..<min(count, $0 + Self.batch) }
    }

    func pixels(_ rows: Range<Int>) throws -> Tensor {
        let result = Tensor(uninitialized: [rows.count, 3] + size)
        try reader.readFloats("/pixel_values", rows: rows, into: result.buffer)
        guard result.buffer.allSatisfy(\.isFinite) else {
            throw LogitsError(
                reader.file,
                "pixel_values of the images \(rows.lowerBound) to \(rows.upperBound - 1) are not all finite")
        }
        return result
    }

    /// Row-major over image and patch; empty for models that take no mask.
    func mask(_ rows: Range<Int>) throws -> [Bool] {
        guard let patches else { return [] }
        var values = [Int64](repeating: 0, count: rows.count * patches)
        try values.withUnsafeMutableBufferPointer { try reader.readInts("/bool_masked_pos", rows: rows, into: $0) }
        return values.map { $0 != 0 }
    }
}

/// The output of `logits`, written some images at a time.
private final class LogitsFile {
    private let writer: HDF5Writer
    private let count: Int
    private var created: Set<String> = []

    init(_ file: String, rows: Int) throws { (writer, count) = (try HDF5Writer(file), rows) }

    func write(_ results: [(String, Values)], _ rows: Range<Int>) throws {
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
