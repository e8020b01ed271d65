import BEiTFiles
import BEiTImageIO
import BEiTMetrics
import BEiTScoring
import Foundation

/// The folder of `eval --report`: `report.html`, `metrics.json`, `per-class.csv`, `per-image.csv` and `confusion.png`, each
/// there whole or not at all.
package struct ReportFolder: Sendable {
    package let path: String
    package var page: String { file("report.html") }

    /// Makes the folder and sees whether files can be written to it, before hours are spent on what goes into them.
    /// Throws ``FileError``, exit status 74.
    package init(_ path: String) throws(FileError) {
        self.path = path
        do throws(FileError) {
            let probe = try AtomicFile(page)
            let descriptor = probe.making { open($0, O_WRONLY | O_CREAT | O_EXCL, 0o644) }
            guard descriptor >= 0 else { throw FileError.system(path, doing: "write to the folder") }
            close(descriptor)
        } catch {
            // A folder that cannot be made is no missing input, whatever the system calls it.
            throw FileError(
                error.kind == .missing ? .inputOutput : error.kind, path: path,
                reason: "\(error.reason); choose another folder for `report`")
        }
        AtomicFile.removeAbandoned(in: path)
    }

    /// Writes the files, the page last.
    ///
    /// - Parameters:
    ///   - metrics: the JSON document that `--json` prints.
    ///   - scores: one, or two of the same images where `report` has a comparison.
    /// - Throws: ``FileError``.
    package func write(
        _ report: ScoreReport, _ scores: [SegmentationScore], _ gallery: ScoreGallery, _ source: ScoreSource,
        metrics: String
    ) throws {
        try AtomicFile.write(metrics + "\n", to: file("metrics.json"))
        try AtomicFile.write(report.perClassTable, to: file("per-class.csv"))
        try AtomicFile.write(
            scores[0].perImageTable(scores.count > 1 ? scores[1] : nil), to: file("per-image.csv"))
        try write(scores[0].matrix, scores[0].classes)
        try AtomicFile.write(ScorePage(report, scores[0], gallery, source).html, to: page)
    }

    private func write(_ matrix: ConfusionMatrix, _ classes: [LabelClass]) throws {
        let picture = ConfusionPicture(matrix, names: classes.map(\.name), colors: classes.map(\.color))
        try writePNG(picture.image(), to: file("confusion.png"), compression: 6)
    }

    /// All that is written into the folder at `path`.
    package static func files(in path: String) -> [String] {
        ["report.html", "metrics.json", "per-class.csv", "per-image.csv", "confusion.png"].map { path.joined($0) }
    }

    func file(_ name: String) -> String { path.joined(name) }
}

extension ReportFolder {
    /// Writes the files, the page last.
    ///
    /// - Parameter metrics: the JSON document that `--json` prints.
    /// - Throws: ``FileError``.
    package func write(
        _ report: ClassificationReport, _ score: ClassificationScore, _ gallery: ClassificationGallery,
        _ source: ScoreSource, metrics: String
    ) throws {
        try AtomicFile.write(metrics + "\n", to: file("metrics.json"))
        try AtomicFile.write(report.perClassTable, to: file("per-class.csv"))
        try AtomicFile.write(score.perImageTable, to: file("per-image.csv"))
        try write(score.matrix, score.classes)
        try AtomicFile.write(ClassificationPage(report, score, gallery, source).html, to: page)
    }
}
