import BEiTTensorCore
import Foundation

/// Random erasing (Zhong et al., arXiv:1708.04896): a rectangle of an image becomes noise.
///
/// As timm's `RandomErasing` in mode `pixel`: a normal number for each normalised value, 2 % to a third of the area,
/// aspect 0.3 to 1/0.3, ten tries to find a rectangle that is smaller than the image.
package struct RandomErasing: Codable, Equatable, Sendable {
    /// Of an image being changed at all.
    package var probability: Float

    package init(probability: Float) { self.probability = probability }

    static let area: Range<Float> = 0.02..<1 / 3
    static let leastAspect: Float = 0.3

    /// The rectangle to erase in an image of this size; nil for none.
    func rectangle(height: Int, width: Int, _ generator: inout Philox) -> (rows: Range<Int>, columns: Range<Int>)? {
        guard generator.bernoulli(probability) else { return nil }
        let limit = -log(RandomErasing.leastAspect)
        for _ in 0..<10 {
            let target = Float(height * width) * generator.uniform(RandomErasing.area)
            let aspect = exp(generator.uniform(-limit..<limit))
            let h = Int((target * aspect).squareRoot().rounded()), w = Int((target / aspect).squareRoot().rounded())
            guard h > 0, w > 0, h < height, w < width else { continue }
            let top = generator.integer(below: height - h + 1), left = generator.integer(below: width - w + 1)
            return (top..<top + h, left..<left + w)
        }
        return nil
    }

    /// - Parameter planes: `[3, H, W]`, normalised.
    func callAsFunction(_ planes: Tensor, _ generator: inout Philox) {
        let (height, width) = (planes.shape[1], planes.shape[2])
        guard let box = rectangle(height: height, width: width, &generator) else { return }
        for channel in 0..<3 {
            for row in box.rows {
                for column in box.columns {
                    planes.pointer[(channel * height + row) * width + column] = generator.normal()
                }
            }
        }
    }
}
