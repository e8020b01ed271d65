import BEiTReports
import BEiTMetrics
import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import Foundation
import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTTensorCore

/// Trains what an ``Objective`` describes: batches, loss, gradients, AdamW, validation and checkpoints.
///
/// Everything random depends on the seed and the step alone, so the state of a run is its weights, moments, averages and
/// step: a run that is resumed goes on bit for bit, with any number of threads.
package final class Trainer<Task: Objective> {
    private let objective: Task
    private let recipe: Recipe
    private let folder: RunFolder
    private let sampler: Sampler
    private let optimizer: AdamW
    private let average: MovingAverage?
    private let schedule: Schedule
    private var progress = Progress()
    private var meter: Meter
    /// TensorBoard's, of this start.
    private var events: EventFile?
    private var pictures: [ReportPicture] = []
    /// Updates in the whole run.
    package let steps: Int

    /// What a checkpoint keeps beside the tensors.
    struct Saved: Codable {
        var settings: Task.Settings
        var recipe: Recipe
        var progress: Progress
        var optimizerSteps: Int
        var fingerprint: UInt64
    }

    /// How far a run is. What checkpoints have lacked at some time is optional.
    struct Progress: Codable, Equatable {
        var step = 0
        var bestScore: Double?
        /// Whether a signal came before the validation after this step.
        var owesValidation: Bool?
        /// What the next line of the log is made of: the trainer's part and the objective's.
        var meter: Meter.Sums?
        var counts: [Double]?
    }

    /// - Precondition: the recipe has no problem.
    package init(_ objective: Task, _ recipe: Recipe, folder: RunFolder) {
        precondition(recipe.problem == nil, recipe.problem ?? "")
        (self.objective, self.recipe, self.folder) = (objective, recipe, folder)
        sampler = Sampler(seed: recipe.seed, count: objective.count, batch: recipe.batch)
        steps = recipe.totalSteps(count: objective.count, workers: sampler.workers)
        schedule = recipe.rates(
            steps: steps, warmupSteps: recipe.warmupSteps(count: objective.count, workers: sampler.workers))
        meter = Meter(first: 0, steps: steps, imagesPerStep: recipe.imagesPerStep(workers: sampler.workers))
        let (parameters, depth) = (objective.model.parameters, objective.depth)
        optimizer = AdamW(
            parameters.map { named in
                let layer = named.layer ?? depth + 1
                let scale = layerDecayScale(layer: layer, depth: depth, decay: recipe.layerDecay)
                return AdamW.Group([named.parameter], rateScale: Float(scale))
            })
        average = recipe.averageDecay.map { MovingAverage(parameters, decay: $0) }
    }

    /// Trains until the last step, from the first or from where the state stood.
    ///
    /// Throws ``TrainingError``, also when a signal ends the run after its checkpoint, and whatever reading the
    /// data or writing the checkpoints throws.
    package func run(_ report: (TrainingEvent) -> Void) throws { try run(until: steps, report) }

    /// As ``run(_:)``, up to the step `end`.
    func run(until end: Int, _ report: (TrainingEvent) -> Void) throws {
        try Interruption.noting {
            try folder.claim()
            defer { folder.release() }
            let (first, passes) = (progress.step, recipe.accumulate)
            if first > 0 { report(.resumed(step: first, steps: steps)) }
            if first < end || progress.owesValidation == true {
                events = try EventFile(in: folder.path, firstStep: first + 1)
            }
            if first == 0 { try save() }  // so that a run can be taken up from its beginning on
            if progress.owesValidation == true {
                objective.begin(step: first - 1)
                try afterStep(report)
            }
            if first < end { report(.memory(forecastBytes: try rehearse())) }
            let batches = Prefetcher(first * passes..<end * passes, ahead: Trainer.ahead, threads: 2) {
                [loader = objective.loader, sampler] in try loader(sampler.batch($0))
            }
            meter = Meter(
                first: first, steps: steps, imagesPerStep: recipe.imagesPerStep(workers: sampler.workers),
                sums: meter.sums)
            while progress.step < end {
                let update = try step(batches)
                progress.step += 1
                for var event in meter.add(update, step: progress.step, epoch: epoch) {
                    if case .step(var line) = event {
                        let metrics = objective.takeMetrics()
                        line.metrics = metrics.isEmpty ? nil : metrics
                        try record(line)
                        event = .step(line)
                    }
                    report(event)
                }
                try afterStep(report)
            }
        }
    }

    /// Batches that are made before they are needed.
    private static var ahead: Int { 3 }

    /// The memory that the run will take, in bytes, by passes with one and two images; they change nothing.
    private func rehearse() throws -> Int {
        let members = sampler.batch(progress.step * recipe.accumulate)
        let forecast = try MemoryForecast(
            most: members.count, keepsGradients: recipe.accumulate > 1,
            makeBatch: { try objective.loader(Array(members.prefix($0))) },
            pass: { batch in
                let tape = Tape(.training, generator: RandomStream.network.generator(seed: recipe.seed, 0))
                tape.backward(from: objective.rehearse(batch, tape), gradient: .zeros([1]))
            }, clear: { optimizer.clearGradients() })
        return forecast.bytes(batch: members.count, waiting: Trainer.ahead)
    }

    private func record(_ line: some LogEntry) throws {
        try folder.append(line)
        try events?.append(line.scalars, step: line.step)
    }

    /// Epochs so far.
    private var epoch: Double {
        Double(progress.step * recipe.imagesPerStep(workers: sampler.workers)) / Double(objective.count)
    }

    /// Validates and saves where it is time to.
    private func afterStep(_ report: (TrainingEvent) -> Void) throws {
        let perStep = Double(recipe.imagesPerStep(workers: sampler.workers)) / Double(objective.count)
        let every = Double(recipe.evaluateEvery)
        let crossed = (epoch / every + 1e-9).rounded(.down) > ((epoch - perStep) / every + 1e-9).rounded(.down)
        let (signal, isDue) = (Interruption.signal, crossed || progress.step == steps)
        let validates = signal == nil && isDue
        progress.owesValidation = isDue && !validates
        if validates {
            try validate(report)
            try AtomicFile.write(try document().html, to: folder.report)
        }
        if validates || signal != nil || progress.step % recipe.checkpointEvery == 0 {
            try save()
            report(.saved(folder.last))
        }
        if let signal { throw TrainingError.interrupted(signal: signal, step: progress.step, folder: folder.path) }
    }

    /// One update.
    private func step(_ batches: Prefetcher<Task.Batch>) throws -> Update {
        let rate = schedule.value(at: progress.step)
        let share = Tensor([1 / Float(recipe.accumulate)], [1])
        var losses = 0.0
        var images: [String] = []
        optimizer.clearGradients()
        objective.begin(step: progress.step)
        for pass in 0..<recipe.accumulate {
            guard let batch = try batches.next() else { preconditionFailure("a batch for every step") }
            images += objective.images(of: batch)
            let place = (progress.step * recipe.accumulate + pass) * sampler.workers + sampler.rank
            let tape = Tape(.training, generator: RandomStream.network.generator(seed: recipe.seed, place))
            let loss = objective.loss(batch, tape)
            guard loss.value.scalar.isFinite else { throw diverged("loss", rate, images) }
            losses += Double(loss.value.scalar)
            tape.backward(from: loss, gradient: share)
        }
        let norm = update(rate)
        guard norm.isFinite else { throw diverged("gradient", rate, images) }
        return Update(loss: losses / Double(recipe.accumulate), learningRate: rate, gradientNorm: norm)
    }

    /// The one place where the gradients of all passes have come together: clips them, and moves the weights and their
    /// averages. Workers that share a run have to add up their gradients here.
    /// - Returns: the norm of the gradients; where it is not finite, nothing has changed.
    private func update(_ rate: Double) -> Double {
        let norm = optimizer.step(rate: rate, weightDecay: recipe.weightDecay, clipNorm: recipe.clipGradient)
        if norm.isFinite { average?.update(steps: progress.step) }
        return norm
    }

    private func diverged(_ what: String, _ rate: Double, _ images: [String]) -> TrainingError {
        .diverged(
            what: what, step: progress.step + 1, learningRate: rate,
            images: images.map { ($0 as NSString).lastPathComponent },
            folder: folder.path)
    }

    private func validate(_ report: (TrainingEvent) -> Void) throws {
        average?.exchange()
        defer { average?.exchange() }
        let validation = try objective.validate()
        pictures = try objective.pictures()
        guard let validation else { return }
        let best = validation.score > progress.bestScore ?? -.infinity
        if best {
            progress.bestScore = validation.score
            try Checkpoint.save(objective.model, objective.description(metrics: validation.metrics), to: folder.best)
        }
        let line = ValidationReport(step: progress.step, epoch: epoch, metrics: validation.metrics, best: best)
        try record(line)
        report(.validation(line))
    }

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

// MARK: State

extension Trainer {
    /// Writes `last.h5`: the model and all that is needed to go on bit for bit.
    func save() throws {
        (progress.meter, progress.counts) = (meter.sums, objective.counts)
        let saved = Saved(
            settings: objective.settings, recipe: recipe, progress: progress, optimizerSteps: optimizer.steps,
            fingerprint: objective.fingerprint)
        let state = TrainingState(tensors: stateTensors, json: try JSONText.line(saved))
        let metrics = progress.bestScore.map { ["best": $0] } ?? [:]
        try Checkpoint.save(objective.model, objective.description(metrics: metrics), training: state, to: folder.last)
    }

    /// Moments, averages and the objective's own, in tensors that are updated in place.
    private var stateTensors: [(path: String, tensor: Tensor)] {
        zip(objective.model.parameters, optimizer.moments).flatMap { named, moments in
            [("moments/first/" + named.path, moments.first), ("moments/second/" + named.path, moments.second)]
        } + (average?.state ?? []) + objective.state.map { ("objective/" + $0.path, $0.tensor) }
    }

    /// What `last.h5` keeps beside the model. Throws ``TrainingError``, ``CheckpointError``, `HDF5Error`.
    /// - Parameter task: what the run must be of.
    static func state(in folder: RunFolder, of task: ModelTask) throws -> (StoredTrainingState, Saved) {
        if folder.exists { try folder.claim() }
        guard FileManager.default.fileExists(atPath: folder.last), let state = try StoredTrainingState(folder.last)
        else { throw TrainingError.nothingToResume(folder: folder.path) }
        let found = try Checkpoint.describe(folder.last).task
        guard found == task else { throw TrainingError.otherRun(folder: folder.path, task: found) }
        guard let saved = try? JSONText.decode(Saved.self, from: state.json.utf8, of: folder.last) else {
            throw TrainingError.changed(folder: folder.path, what: "its training state is of another version")
        }
        return (state, saved)
    }

    /// Takes over where `last.h5` stood; the model has its weights already. Throws ``TrainingError`` or
    /// ``CheckpointError``.
    func restore(_ state: StoredTrainingState, _ saved: Saved) throws {
        func changed(_ what: String) -> TrainingError { .changed(folder: folder.path, what: what) }
        guard saved.fingerprint == objective.fingerprint else { throw changed("the training images are not the same") }
        for (path, tensor) in stateTensors { try state.read(path, into: tensor) }
        optimizer.restore(steps: saved.optimizerSteps, moments: optimizer.moments)
        progress = saved.progress
        meter.sums = progress.meter ?? Meter.Sums()
        objective.counts = progress.counts ?? []
        try folder.rewindLog(to: progress.step)
    }
}
