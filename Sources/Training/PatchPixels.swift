import BEiTCheckpoints
import BEiTImageIO
import BEiTModels
import BEiTOps
import BEiTTensorCore

/// The pixels of patches as rows `[R, 3·P²]`, each in the order (channel, row, column) of the patch projection's kernel:
/// what the pixel objective regresses, and what pictures are made of.
struct PatchPixels {
    let backbone: BackboneConfiguration
    let preprocessing: Preprocessing

    /// The patches of normalised pixels `[B, 3, H, W]`: `[B·N, 3·P²]`.
    func rows(_ pixels: Tensor) -> Tensor {
        let patches = Tape(.inference).patches(Variable(pixels), size: backbone.patchSize).value
        return patches.reshaped([patches.shape[0] * patches.shape[1], patches.shape[2]])
    }

    /// Rows as the head is to predict them: as they are, or each with mean 0 and variance 1 (`norm_pix_loss` of the
    /// masked autoencoder's `models_mae.py`).
    func targets(_ rows: Tensor, _ target: MIMConfiguration.PixelTarget) -> Tensor {
        guard target == .normalised else { return rows }
        return map(rows, by: rows) { value, mean, deviation in (value - mean) / deviation }
    }

    /// The inverse of ``targets(_:_:)`` for predictions of the patches `rows`.
    func restored(_ predicted: Tensor, _ target: MIMConfiguration.PixelTarget, as rows: Tensor) -> Tensor {
        guard target == .normalised else { return predicted }
        return map(predicted, by: rows) { value, mean, deviation in value * deviation + mean }
    }

    /// Changes each row of `values` by mean and deviation of that row of `rows`.
    private func map(_ values: Tensor, by rows: Tensor, _ change: (Float, Float, Float) -> Float) -> Tensor {
        let (count, width) = (rows.shape[0], rows.shape[1])
        let result = Tensor(uninitialized: [count, width])
        for row in 0..<count {
            let pixels = rows.buffer[row * width..<(row + 1) * width]
            let mean = pixels.reduce(0.0) { $0 + Double($1) } / Double(width)
            let squares = pixels.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) }
            let deviation = Float((squares / Double(max(1, width - 1)) + 1e-6).squareRoot())
            for column in row * width..<(row + 1) * width {
                result.pointer[column] = change(values.pointer[column], Float(mean), deviation)
            }
        }
        return result
    }

    /// The picture number `index` of those whose patches `rows` are, at the network's size.
    func picture(_ rows: Tensor, _ index: Int) -> RGBImage {
        let (height, width, side) = (backbone.imageSize[0], backbone.imageSize[1], backbone.patchSize)
        var pixels = [UInt8](repeating: 0, count: 3 * height * width)
        for y in 0..<height {
            for x in 0..<width {
                let patch = index * backbone.patchCount + y / side * backbone.gridWidth + x / side
                for channel in 0..<3 {
                    let place = ((patch * 3 + channel) * side + y % side) * side + x % side
                    let value = rows.pointer[place] * preprocessing.std[channel] + preprocessing.mean[channel]
                    pixels[3 * (y * width + x) + channel] =
                        value.isNaN ? 0 : UInt8((255 * min(1, max(0, value))).rounded())
                }
            }
        }
        return RGBImage(width: width, height: height, pixels: pixels)
    }
}
