import ArgumentParser
import BEiTDatasets
import BEiTFiles
import BEiTMetrics
import BEiTPrediction
import BEiTReports
import BEiTScoring
import Foundation

extension LabelledSetOptions {
    /// Options that have no meaning for class folders.
    fileprivate var isOfMasks: Bool {
        let given: [Any?] = [images, masks, predictions, classes, labelMap]
        return given.contains { $0 != nil } || values.isGiven
    }
}

/// `eval --top1`.
extension Eval {
    func validateTop1() throws {
        if miou { throw ValidationError("--miou and --top1 measure different models; give one of them") }
        if set.isOfMasks {
            throw ValidationError(
                "--top1 scores class folders: --data and --split say which; leave options of masks out")
        }
        if compare != nil || background != nil || !inference.given().isEmpty {
            throw ValidationError(
                "--compare, --background, --size, --slide, --crop, --stride, --scales and --flip belong to --miou")
        }
        if set.data == nil {
            throw ValidationError("--top1 needs --data, a folder with \(set.split.rawValue)/CLASS/photo.jpg")
        }
        if model.model == nil { throw ValidationError("--top1 needs --model, a classifier") }
    }

    func scoreClassifier() throws {
        let (data, file) = (set.data ?? "", model.model ?? "")
        let team = try Launch.joinIfPossible(threads: common.threads)
        let folder = try report.map(ReportFolder.init)
        let gallery = folder.map { _ in ClassificationGallery() }
        let classifier = try PhotoClassifier(
            file, cropShare: view.cropShare, precision: model.precision.precision, reading: reading.choice)
        let dataset = try ClassFolders([data], [set.split], as: classifier.reading)
        try requireReportApart(from: dataset.images(set.split).map(\.path).files)
        if let note = ClassificationScore.positionNote(dataset, classifier) { say(note) }
        let score = try working(on: dataset.images(set.split).count) { progress in
            try ClassificationScore(
                classifier, dataset, set.split, by: team, batch: inference.batch, gallery: gallery,
                report: { progress.fail($0.reason) }, progress: progress.note(done:))
        }
        let result = ClassificationReport(score, seed: seed)
        let metrics = try JSONText.pretty(result)
        Console.print(json.json ? metrics : result.table)
        if let folder, let gallery {
            let given = reading.given().isEmpty ? [] : [("options", reading.given())]
            let facts = [("model", file)] + set.facts + (view.cropShare.map { [("crop share", "\($0)")] } ?? []) + given
            let source = ScoreSource(subject: (file as NSString).lastPathComponent, facts: facts)
            try team.first { try folder.write(result, score, gallery, source, metrics: metrics) }
            log.info("the report is \(folder.page)")
        }
        if !score.failed.isEmpty { throw ExitCode(1) }
    }
}
