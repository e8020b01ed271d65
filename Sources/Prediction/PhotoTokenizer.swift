import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTModels
import BEiTTensorCore
import Foundation

/// A tokenizer of a file, and how it sees photos: the largest central part of the size's shape, resized to it.
package struct PhotoTokenizer {
    package let model: DiscreteVAE
    package let description: TokenCacheDescription
    /// Rows and columns of tokens.
    package let grid: [Int]
    private let scaling: PixelScaling
    private let filter: ResizeFilter

    /// - Parameters:
    ///   - file: a checkpoint, or one that was imported.
    ///   - size: height and width in pixels; nil for the checkpoint's.
    ///   - decoding: whether pictures are to be made of tokens.
    /// - Throws: ``CheckpointError``, `HDF5Error`, `FileError`, ``TokenizerError``.
    package init(_ file: String, size: [Int]? = nil, decoding: Bool = false) throws {
        let (model, description) = try Checkpoint.load(file, task: .tokenizer)
        guard case .tokenizer(let tokenizer) = model else { preconditionFailure("a model of another task") }
        if decoding, !tokenizer.configuration.hasDecoder { throw CheckpointError.noDecoder(file: file) }
        let form = description.preprocessing
        let size = size ?? form.size, step = tokenizer.configuration.downsampling
        guard size.count == 2, size.allSatisfy({ $0 >= step && $0 <= 1 << 14 && $0 % step == 0 }) else {
            throw TokenizerError.grid(file: file, size: size, step: step)
        }
        (self.model, filter, grid) = (tokenizer, form.filter, size.map { $0 / step })
        scaling = PixelScaling(mean: form.mean, std: form.std)
        self.description = TokenCacheDescription(
            tokenizerSHA256: try SHA256.hexDigest(ofFile: file), vocabulary: tokenizer.configuration.vocabulary,
            size: size, resize: form.resize)
    }

    /// Photos as the tokenizer saw them, and their tokens.
    package struct Batch {
        package var images: [InputImage]
        package var views: [RGBImage]
        /// Photo by photo, row by row.
        package var tokens: [Int32]
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

    /// Tokens of pictures of the tokenizer's size, picture by picture and row by row.
    package func tokens(_ views: [RGBImage]) -> [Int32] { model.tokens(of: pixels(views)) }

    /// The pictures that tokens stand for.
    package func pictures(_ tokens: [Int32]) -> [RGBImage] {
        let count = tokens.count / (grid[0] * grid[1])
        let pictures = model.pictures(of: tokens, [count] + grid)
        return (0..<count).map { RGBImage(pictures, $0) }
    }

    /// Encodes photos in order, some at a time. Photos that cannot be read are left out.
    ///
    /// - Parameter failed: hears of each of those.
    /// - Throws: ``TokenizerError/interrupted(signal:done:of:)``, and what `body` throws.
    package func encode(
        _ images: [InputImage], failed: (InputImage, any Error) -> Void, _ body: (Batch) throws -> Void
    ) throws {
        let atOnce = 8
        try Interruption.noting(patience: Interruption.short) {
            // What waits is small; what counts is a photo while it is decoded.
            let photos = images.photos
            let views = Prefetcher(
                0..<images.count, ahead: 2 * atOnce, cost: { photos.decodedBytes($0) }, size: { _ in 0 }, threads: 2
            ) {
                [view] in view(try photos.decode($0))
            }
            for start in stride(from: 0, to: images.count, by: atOnce) {
                if let signal = Interruption.signal {
                    throw TokenizerError.interrupted(signal: signal, done: start, of: images.count)
                }
                var batch = Batch(images: [], views: [], tokens: [])
                for image in images[start..<min(images.count, start + atOnce)] {
                    do {
                        guard let view = try views.next() else { break }
                        batch.images.append(image)
                        batch.views.append(view)
                    } catch { failed(image, error) }
                }
                guard !batch.images.isEmpty else { continue }
                batch.tokens = tokens(batch.views)
                try body(batch)
            }
        }
    }
}

/// Why photos do not become tokens.
package enum TokenizerError: ExitStatus, Equatable {
    case grid(file: String, size: [Int], step: Int)
    /// A signal.
    case interrupted(signal: Int32, done: Int, of: Int)

    package var exitStatus: Int32 {
        switch self {
        case .grid: 64
        case .interrupted(let signal, _, _): 128 + signal
        }
    }

    package var description: String {
        switch self {
        case .grid(let file, let size, let step):
            "`size` \(size.map(String.init).joined(separator: "×")): a token of \(file) stands for \(step)×\(step) "
                + "pixels; both sides must be multiples"
        case .interrupted(_, let done, let all): "interrupted after \(done) of \(all) photos"
        }
    }
}
