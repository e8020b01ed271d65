import BEiTFiles
import BEiTMetrics
import Foundation

extension ScoreReport {
    /// `per-class.csv`: shares in 0…1 with all their digits, an empty cell for 0/0; with another model its IoU as well.
    package var perClassTable: String {
        var table = CSV(
            ["index", "name", "iou", "accuracy", "precision", "dice", "pixels"]
                + (comparison == nil ? [] : ["other_iou", "difference"]))
        let others = Dictionary(
            (comparison?.classes ?? []).map { ($0.index, $0) }, uniquingKeysWith: { first, _ in first })
        for c in classes {
            let scores = [c.iou, c.accuracy, c.precision, c.dice].map { cell($0.value) }
            let other = others[c.index]
            table.add(
                [String(c.index), c.name] + scores + [String(c.pixels)]
                    + (comparison == nil ? [] : [cell(other?.otherIoU.value), cell(other?.difference.value)]))
        }
        return table.text
    }
}

extension SegmentationScore {
    /// `per-image.csv`: each image by itself. `miou` is the mean over the classes that it is labelled with or that are
    /// predicted in it.
    /// - Parameter other: of another model, on the same images.
    package func perImageTable(_ other: SegmentationScore?) -> String {
        var table = CSV(
            ["path", "pixels", "ignored_pixels", "pixel_accuracy", "miou"]
                + (other == nil ? [] : ["other_pixel_accuracy", "other_miou"]))
        for (place, image) in images.enumerated() {
            let confusion = image.confusion
            table.add(
                [image.pair.image, String(confusion.pixels), String(confusion.ignored)]
                    + [cell(confusion.pixelAccuracy), cell(confusion.meanIoU)]
                    + (other.map { [$0.images[place].confusion] } ?? []).flatMap {
                        [cell($0.pixelAccuracy), cell($0.meanIoU)]
                    })
        }
        return table.text
    }
}

/// A number with all its digits; nothing for nil.
func cell(_ value: Double?) -> String { value.map { "\($0)" } ?? "" }
