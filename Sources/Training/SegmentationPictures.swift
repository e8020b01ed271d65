import BEiTReports
import BEiTMetrics
import BEiTDatasets
import Foundation
import BEiTImageIO
import BEiTModels
import BEiTOps

extension SegmentationObjective {
    /// Pictures in the report, and the length of the longer side of each of their parts in pixels.
    private static let pictureCount = 4, pictureSide = 208

    /// A few images, the same each time, spread over the validation images, or the training images where there are none:
    /// photo, truth and prediction beside each other.
    package func pictures() throws -> [ReportPicture] {
        let batches = validation.images.isEmpty ? training : validation
        let count = min(SegmentationObjective.pictureCount, batches.images.count)
        return try (0..<count).map { try picture($0 * batches.images.count / count, of: batches) }
    }

    private func picture(_ index: Int, of batches: SegmentationBatches) throws -> ReportPicture {
        let pair = batches.images[index]
        let (image, mask) = try batches.dataset.load(pair)
        let pixels = try batches.validation(index..<index + 1).pixels
        let found = predictions(segmenter(Variable(pixels), Tape(.inference)).value)
        let prediction = IndexMask(width: size[1], height: size[0], values: found)
        let factor = Double(SegmentationObjective.pictureSide) / Double(max(image.width, image.height))
        let side = { (length: Int) in max(1, Int((Double(length) * factor).rounded())) }
        let (width, height) = (side(image.width), side(image.height))
        let photo = image.resized(width: width, height: height, filter: .bilinear)
        let parts = [photo] + [mask, prediction].map { shown($0.resized(width: width, height: height), on: photo) }
        return try ReportPicture(
            "\((pair.image as NSString).lastPathComponent): photo, truth, prediction", .sheet(parts, columns: 3, gap: 3)
        )
    }

    /// The photo with the colours of the classes over it; where no class counts, as it is.
    private func shown(_ mask: IndexMask, on photo: RGBImage) -> RGBImage {
        var colors = photo
        for (i, value) in mask.values.enumerated() where value != LabelMap.void {
            let color = classes[Int(value)].color
            colors.pixels.replaceSubrange(3 * i..<3 * i + 3, with: [color.red, color.green, color.blue])
        }
        return photo.overlaid(with: colors, opacity: 0.6)
    }
}
