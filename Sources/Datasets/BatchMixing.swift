import BEiTTensorCore
import Foundation

/// Mixup (Zhang et al., arXiv:1710.09412) and CutMix (Yun et al., arXiv:1905.04899): each image of a batch with the one
/// that stands opposite, and their targets in the same proportion. As timm's `Mixup` in mode `batch`.
package struct BatchMixing: Codable, Equatable, Sendable {
    /// Parameters of the beta distributions that the proportions are drawn from; 0 for never.
    package var mixup: Float = 0.8
    package var cutmix: Float = 1
    /// How often it is CutMix, where both are on.
    package static let switchProbability: Float = 0.5

    package init(mixup: Float = 0.8, cutmix: Float = 1) { (self.mixup, self.cutmix) = (mixup, cutmix) }

    package var isOff: Bool { mixup == 0 && cutmix == 0 }

    /// What makes it impossible, in one sentence; nil if nothing does.
    package var problem: String? { Self.problem("mixup", mixup) ?? Self.problem(cutmix: cutmix) }

    /// As ``problem``, of CutMix alone.
    package static func problem(cutmix: Float?) -> String? { cutmix.flatMap { problem("cutmix", $0) } }

    private static func problem(_ name: String, _ value: Float) -> String? {
        0...100 ~= value ? nil : "`\(name)` is \(value), and must be from 0 (off) to 100"
    }

    /// Mixes pixels `[B, 3, H, W]` and targets `[B, K]` in place.
    func callAsFunction(_ pixels: Tensor, _ targets: Tensor, _ generator: inout Philox) {
        guard !isOff, pixels.shape[0] > 1 else { return }
        let cuts = cutmix > 0 && (mixup == 0 || generator.bernoulli(BatchMixing.switchProbability))
        let share = generator.beta(Double(cuts ? cutmix : mixup))
        guard cuts else {
            pixels.blendWithOpposite(Float(share))
            return targets.blendWithOpposite(Float(share))
        }
        let (height, width) = (pixels.shape[2], pixels.shape[3])
        let box = BatchMixing.box(share: share, height: height, width: width, &generator)
        for image in 0..<pixels.shape[0] / 2 { pixels.exchangeWithOpposite(image, box) }
        // What was really exchanged, where the rectangle reached over the border.
        targets.blendWithOpposite(1 - Float(box.rows.count * box.columns.count) / Float(height * width))
    }

    /// CutMix of labelled pixels: each image exchanges a rectangle of its own with the one that stands opposite, labels
    /// and all.
    /// - Parameters:
    ///   - pixels: `[B, 3, H, W]`.
    ///   - labels: B·H·W, row-major.
    ///   - alpha: of the beta distribution that the rectangles' shares of the area are drawn from.
    static func exchangeRectangles(
        _ pixels: Tensor, _ labels: inout [Int32], alpha: Float, _ generator: inout Philox
    ) {
        let (batch, height, width) = (pixels.shape[0], pixels.shape[2], pixels.shape[3])
        for image in 0..<batch / 2 {
            let box = box(share: generator.beta(Double(alpha)), height: height, width: width, &generator)
            pixels.exchangeWithOpposite(image, box)
            for row in box.rows {
                for column in box.columns {
                    let pixel = row * width + column
                    labels.swapAt(image * height * width + pixel, (batch - 1 - image) * height * width + pixel)
                }
            }
        }
    }

    /// A rectangle of 1 − `share` of the area about a random point, as far as it lies in the image.
    static func box(
        share: Double, height: Int, width: Int, _ generator: inout Philox
    ) -> (rows: Range<Int>, columns: Range<Int>) {
        let ratio = (1 - share).squareRoot()
        func span(_ side: Int) -> Range<Int> {
            let half = Int(Double(side) * ratio) / 2
            let center = generator.integer(below: side)
            return max(0, center - half)..<min(side, center + half)
        }
        let rows = span(height)
        return (rows, span(width))
    }
}

extension Tensor {
    /// Row i becomes share·row i + (1 − share)·row B − 1 − i.
    fileprivate func blendWithOpposite(_ share: Float) {
        let (rows, length) = (shape[0], count / shape[0])
        for row in 0..<rows / 2 {
            let (a, b) = (pointer + row * length, pointer + (rows - 1 - row) * length)
            for i in 0..<length {
                (a[i], b[i]) = (share * a[i] + (1 - share) * b[i], share * b[i] + (1 - share) * a[i])
            }
        }
    }

    /// Exchanges a rectangle of an image of `[B, 3, H, W]` with that of its opposite.
    fileprivate func exchangeWithOpposite(_ image: Int, _ box: (rows: Range<Int>, columns: Range<Int>)) {
        let (batch, height, width) = (shape[0], shape[2], shape[3])
        for plane in 0..<3 {
            let a = pointer + (image * 3 + plane) * height * width
            let b = pointer + ((batch - 1 - image) * 3 + plane) * height * width
            for row in box.rows {
                for i in row * width + box.columns.lowerBound..<row * width + box.columns.upperBound {
                    (a[i], b[i]) = (b[i], a[i])
                }
            }
        }
    }
}

extension Philox {
    /// Beta(alpha, alpha).
    mutating func beta(_ alpha: Double) -> Double {
        let (x, y) = (gamma(alpha), gamma(alpha))
        return x + y > 0 ? x / (x + y) : 0.5
    }

    /// Gamma(shape, 1), by Marsaglia and Tsang's method ("A simple method for generating gamma variables", 2000).
    mutating func gamma(_ shape: Double) -> Double {
        precondition(shape > 0, "gamma distribution of shape \(shape)")
        func open() -> Double { (Double(next()) + 0.5) * 0x1p-32 }
        guard shape >= 1 else { return gamma(shape + 1) * pow(open(), 1 / shape) }
        let d = shape - 1.0 / 3
        let c = 1 / (9 * d).squareRoot()
        while true {
            let x = Double(normal())
            let v = (1 + c * x) * (1 + c * x) * (1 + c * x)
            guard v > 0 else { continue }
            if log(open()) < 0.5 * x * x + d - d * v + d * log(v) { return d * v }
        }
    }
}
