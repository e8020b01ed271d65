import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTModels
import BEiTTensorCore

/// A file that a run depends on, and what was in it when the run began.
struct PinnedFile: Codable, Equatable, Sendable {
    var path: String
    var sha256: String

    /// Throws `FileError`.
    init(_ path: String) throws { (self.path, sha256) = (path, try SHA256.hexDigest(ofFile: path)) }

    /// Throws ``TrainingError`` if the file is another one now.
    /// - Parameter kind: what it should be, for the error.
    func requireSame(as now: PinnedFile, _ kind: String, of folder: RunFolder) throws {
        guard self == now else {
            throw TrainingError.changed(folder: folder.path, what: "\(path) is another \(kind) now")
        }
    }
}

/// A trained tokenizer that stays as it is: pictures to visual tokens, and tokens to pictures.
final class VisualTokenizer {
    let source: PinnedFile
    /// What it was made to look at.
    let view: MaskedViews.TokenView
    /// Height and width in pixels of that.
    let size: [Int]
    /// How the photos that it has learned from were read.
    let reading: ImageReading
    private let model: DiscreteVAE
    private let scaling: PixelScaling
    /// Pictures that go through the network at once: its first maps are large.
    private static let portion = 8

    /// - Parameters:
    ///   - size: height and width in pixels that it sees; nil for those that it has learned from.
    /// - Throws: ``CheckpointError``, also for a model of another task, `HDF5Error` and `FileError`.
    init(_ path: String, size: [Int]? = nil) throws {
        let loaded = try Checkpoint.load(path, task: .tokenizer)
        guard case .tokenizer(let model) = loaded.model else { preconditionFailure("a model of another task") }
        let form = loaded.description.preprocessing
        (self.model, reading) = (model, form.reading)
        self.size = size ?? form.size
        view = MaskedViews.TokenView(size: self.size, filter: form.filter)
        scaling = PixelScaling(mean: form.mean, std: form.std)
        source = try PinnedFile(path)
    }

    /// V.
    var vocabulary: Int { model.configuration.vocabulary }
    /// Whether it can make pictures of tokens.
    var canDraw: Bool { model.configuration.hasDecoder }
    /// Pixels a side that one token stands for.
    var downsampling: Int { model.configuration.downsampling }

    /// The most likely token of each cell, B·h·w in all, row-major.
    /// - Parameter pictures: all of one size, a multiple of ``downsampling`` on each side.
    func tokens(_ pictures: [RGBImage]) -> [Int32] {
        portions(pictures.count).flatMap { range -> [Int32] in
            let (width, height) = (pictures[range.lowerBound].width, pictures[range.lowerBound].height)
            let pixels = Tensor(uninitialized: [range.count, height, width, 3])
            for (place, picture) in pictures[range].enumerated() {
                scaling.write(picture, toPixels: pixels.rows(place..<place + 1).pointer)
            }
            return model.tokens(of: pixels)
        }
    }

    /// The mean picture that the decoder sees in each grid of tokens.
    /// - Parameter tokens: B·rows·columns, row-major.
    func pictures(_ tokens: [Int32], rows: Int, columns: Int) -> [RGBImage] {
        let count = tokens.count / (rows * columns)
        let pictures = model.pictures(of: tokens, [count, rows, columns])
        return (0..<count).map { RGBImage(pictures, $0) }
    }

    private func portions(_ count: Int) -> [Range<Int>] {
        stride(from: 0, to: count, by: Self.portion).map { $0..<min(count, $0 + Self.portion) }
    }
}
