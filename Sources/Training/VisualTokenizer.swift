import Checkpoints
import Files
import Foundation
import ImageIO
import Models
import Ops
import TensorCore

/// A trained tokenizer that stays as it is: pictures to visual tokens, and tokens to pictures.
final class VisualTokenizer {
    /// The file it came from.
    struct Source: Codable, Equatable, Sendable {
        var path: String
        var sha256: String
    }

    let source: Source
    private let model: DiscreteVAE
    /// φ of each of the 256 values.
    private let mapped = (0...255).map { DiscreteVAE.mapPixels(Float($0) / 255) }
    /// Pictures that go through the network at once: its first maps are large.
    private static let portion = 8

    /// Throws ``CheckpointError``, also for a model of another task, and `HDF5Error`.
    init(_ path: String) throws {
        let loaded = try Checkpoint.load(path, task: .tokenizer)
        guard case .tokenizer(let model) = loaded.model else { preconditionFailure("a model of another task") }
        (self.model, source) = (model, Source(path: path, sha256: try SHA256.hexDigest(ofFile: path)))
    }

    /// V.
    var vocabulary: Int { model.configuration.vocabulary }
    /// Pixels a side that one token stands for.
    var downsampling: Int { model.configuration.downsampling }

    /// The most likely token of each cell, B·h·w in all, row-major.
    /// - Parameter pictures: all of one size, a multiple of ``downsampling`` on each side.
    func tokens(_ pictures: [RGBImage]) -> [Int32] {
        portions(pictures.count).flatMap { range -> [Int32] in
            let (width, height) = (pictures[range.lowerBound].width, pictures[range.lowerBound].height)
            let pixels = Tensor(uninitialized: [range.count, height, width, 3])
            for (place, picture) in pictures[range].enumerated() {
                let to = pixels.pointer + place * picture.pixels.count
                for (index, value) in picture.pixels.enumerated() { to[index] = mapped[Int(value)] }
            }
            return model.encoder(Variable(pixels), Tape(.inference)).value.argmax()
        }
    }

    /// The mean picture that the decoder sees in each grid of tokens.
    /// - Parameter tokens: B·rows·columns, row-major.
    func pictures(_ tokens: [Int32], rows: Int, columns: Int) -> [RGBImage] {
        let cells = rows * columns
        return (0..<tokens.count / cells).map { index in
            let codes = Tensor.zeros([1, rows, columns, vocabulary])
            for (cell, token) in tokens[index * cells..<(index + 1) * cells].enumerated() {
                codes.pointer[cell * vocabulary + Int(token)] = 1
            }
            return picture(model.decoder(Variable(codes), Tape(.inference)).value)
        }
    }

    /// - Parameter output: of the decoder, `[1, H, W, 6]`.
    private func picture(_ output: Tensor) -> RGBImage {
        let values = stride(from: 0, to: output.count, by: 6).flatMap { pixel in
            (0..<3).map { channel -> UInt8 in
                let mean = DiscreteVAE.unmapPixels(1 / (1 + exp(-output.pointer[pixel + channel])))
                return mean.isNaN ? 0 : UInt8((255 * mean).rounded())
            }
        }
        return RGBImage(width: output.shape[2], height: output.shape[1], pixels: values)
    }

    private func portions(_ count: Int) -> [Range<Int>] {
        stride(from: 0, to: count, by: Self.portion).map { $0..<min(count, $0 + Self.portion) }
    }
}
