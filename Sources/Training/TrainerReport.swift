import BEiTFiles
import BEiTReports

extension Trainer {
    /// Writes `report.html`. Throws `FileError`.
    func writeReport() throws { try AtomicFile.write(try document().html, to: folder.report) }

    private func document() throws -> RunReport {
        let model = objective.description(metrics: [:])
        let settings = try listing(objective.settings)
        var facts = [("Recipe", try listing(recipe)), ("Model", [(name: "task", value: model.task.rawValue)])]
        facts[1].1.append(("parameters", "\(objective.model.parameterCount)"))
        facts[1].1 += settings.filter { $0.name.hasPrefix("configuration.") || $0.name.hasPrefix("preprocessing.") }
        let rest = settings.filter { row in !facts[1].1.contains { $0.name == row.name } }
        facts.append(("Data and settings", [("training images", "\(objective.count)")] + rest))
        return RunReport(
            title: "\(model.task.rawValue): \(folder.path)", steps: steps, log: LogLine.read(folder.log), facts: facts,
            classes: model.classes, pictures: pictures)
    }
}
