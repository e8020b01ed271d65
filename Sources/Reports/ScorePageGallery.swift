import BEiTMetrics
import BEiTScoring
import Foundation

extension ScorePage {
    /// The images that the gallery kept, with the legend of the colours.
    var pictures: String {
        let groups = [
            ("Worst images", gallery.worst), ("Best images", gallery.best),
            ("Where A and B differ most", gallery.apart),
        ].filter { !$0.1.isEmpty }
        guard !groups.isEmpty else { return "" }
        let sections = groups.map { name, entries in
            "<h3>\(name)</h3>\n" + entries.map(figure).joined()
        }
        return """
            <h2>Images</h2>
            <p class="note">By the mean IoU of the image by itself, over the classes that it is labelled with or that are \
            predicted in it.</p>
            \(legend)\(sections.joined())
            """
    }

    /// The classes that are labelled or predicted anywhere.
    private var legend: String {
        let totals = score.matrix.totals
        let classes = score.classes.enumerated().filter { totals.iou($0.offset) != nil }.map(\.element)
        return HTML.legend(classes, "<li><i class=\"swatch void\"></i>void: does not count</li>\n")
    }

    private func figure(_ entry: ScoreGallery.Entry) -> String {
        let predictions = entry.confusions.count > 1 ? ["prediction of A", "prediction of B"] : ["prediction"]
        let captions = (entry.hasPhoto ? ["photo"] : []) + ["truth"] + predictions
        let pictures = zip(entry.pictures, captions).map { picture, caption in
            "<div>\(HTML.image(picture, "\(caption) of \(entry.pair.image)"))\(caption)</div>\n"
        }
        let path = entry.pair.image as NSString
        let style = "pictures" + (entry.hasPhoto ? "" : " flat") + (pictures.count > 3 ? " four" : "")
        return """
            <figure>
            <figcaption><b>\(HTML.text(path.lastPathComponent))</b><span>\(HTML.text(path.deletingLastPathComponent))</span><br/><span>\(scores(entry))</span></figcaption>
            <div class="\(style)">
            \(pictures.joined())</div>
            </figure>

            """
    }

    /// The image's scores, and what went wrong most.
    private func scores(_ entry: ScoreGallery.Entry) -> String {
        let confusion = entry.confusions[0]
        if entry.confusions.count > 1 {
            let (first, second) = (confusion.meanIoU, entry.confusions[1].meanIoU)
            return "mean IoU A \(percent(first)), B \(percent(second)), "
                + "B − A \(signedPercent(ScoreComparison.difference(first, second)))"
        }
        let scores = "mean IoU \(percent(confusion.meanIoU)) · pixel accuracy \(percent(confusion.pixelAccuracy))"
        guard let error = confusion.largestError else { return scores }
        let share = Double(error.pixels) / Double(confusion.pixels)
        let (truth, prediction) = (score.classes[Int(error.truth)], score.classes[Int(error.prediction)])
        return scores + " · \(percent(share)) % of the pixels are \(HTML.text(truth.name)) taken for "
            + HTML.text(prediction.name)
    }
}
