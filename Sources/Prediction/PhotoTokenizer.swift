import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTModels
import BEiTOps
import BEiTProcesses
import BEiTTensorCore
import Foundation

/// A tokenizer of a file, and how it sees photos: the largest central part of the size's shape, resized to it.
package struct PhotoTokenizer {
    package let model: DiscreteVAE
    package let description: TokenCacheDescription
    /// The file.
    package let path: String
    /// Rows and columns of tokens.
    package let grid: [Int]
    private let scaling: PixelScaling
    private let filter: ResizeFilter

    /// - Parameters:
    ///   - file: a checkpoint, or one that was imported.
    ///   - size: height and width in pixels; nil for the checkpoint's.
    ///   - decoding: whether pictures are to be made of tokens.
    ///   - choice: how photos are read otherwise than it has learned.
    /// - Throws: ``CheckpointError``, `HDF5Error`, `FileError`, ``TokenizerError``.
    package init(
        _ file: String, size: [Int]? = nil, decoding: Bool = false, precision: Precision? = nil,
        reading choice: ReadingChoice = .init()
    ) throws {
        let (model, description) = try Checkpoint.load(file, task: .tokenizer, for: .inference(precision))
        guard case .tokenizer(let tokenizer) = model else { preconditionFailure("a model of another task") }
        if decoding, !tokenizer.configuration.hasDecoder { throw CheckpointError.noDecoder(file: file) }
        let form = description.preprocessing
        let size = size ?? form.size, step = tokenizer.configuration.downsampling
        guard size.count == 2, size.allSatisfy({ $0 >= step && $0 <= 1 << 14 && $0 % step == 0 }) else {
            throw TokenizerError.grid(file: file, size: size, step: step)
        }
        (self.model, path, filter, grid) = (tokenizer, file, form.filter, size.map { $0 / step })
        scaling = PixelScaling(mean: form.mean, std: form.std)
        self.description = TokenCacheDescription(
            tokenizerSHA256: try SHA256.hexDigest(ofFile: file), vocabulary: tokenizer.configuration.vocabulary,
            size: size, resize: form.resize, reading: choice.applied(to: form.reading))
    }

    /// A photo as the tokenizer saw it.
    package struct Encoding {
        package let view: RGBImage
        /// Row by row.
        package let tokens: [Int32]
    }

    /// Makes of a photo what the tokenizer sees, on any thread.
    package var view: @Sendable (RGBImage) -> RGBImage {
        { [size = description.size, filter] in $0.central(height: size[0], width: size[1], filter: filter) }
    }

    /// Views of the tokenizer's size as the encoder takes them: `[B, H, W, 3]`.
    package func pixels(_ views: [RGBImage]) -> Tensor {
        let pixels = Tensor(uninitialized: [views.count] + description.size + [3])
        for (index, view) in views.enumerated() {
            scaling.write(view, toPixels: pixels.rows(index..<index + 1).pointer)
        }
        return pixels
    }

    /// The picture that tokens stand for.
    package func picture(_ tokens: [Int32]) -> RGBImage { RGBImage(model.pictures(of: tokens, [1] + grid), 0) }

    /// Encodes photos, some at a time; see ``PhotoSource/show(to:by:batch:threads:view:bytes:progress:failed:answer:take:)``.
    ///
    /// - Parameter summary: what is to be known of a photo, on the process that has it.
    package func encode<Found: Codable & Sendable>(
        _ images: [InputImage], by team: any Communicator, progress: (_ done: Int) -> Void,
        failed: (_ index: Int, any Error) -> Void, summary: (_ index: Int, Encoding) throws -> Found,
        take: (_ index: Int, Outcome<Found>) throws -> Void
    ) throws {
        let photos = images.photos(as: description.reading)
        try photos.show(
            to: path, by: team, batch: 8, threads: 2, view: { [view] in view(try photos.decode($0)) },
            bytes: \.pixels.count, progress: progress, failed: failed,
            answer: { views in
                let logits = model.encoder(Variable(pixels(views.map(\.item))), Tape(.inference)).value
                return try views.enumerated().map { row, one in
                    let own = logits.rows(row..<row + 1)
                    return own.isFinite ? try summary(one.index, Encoding(view: one.item, tokens: own.argmax())) : nil
                }
            }, take: take)
    }
}

/// Why photos do not become tokens.
package enum TokenizerError: ExitStatus, Equatable {
    case grid(file: String, size: [Int], step: Int)

    package var exitStatus: Int32 { 64 }

    package var description: String {
        switch self {
        case .grid(let file, let size, let step):
            "`size` \(size.map(String.init).joined(separator: "×")): a token of \(file) stands for \(step)×\(step) "
                + "pixels; both sides must be multiples"
        }
    }
}
