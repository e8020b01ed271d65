import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTLayers
import BEiTOps
import BEiTPrediction
import BEiTReports
import BEiTTensorCore

/// Trains what an ``Objective`` describes: batches, loss, gradients, AdamW, validation and checkpoints.
///
/// Everything random depends on the seed and the step alone, so the state of a run is its weights, moments, averages and
/// step: a run that is resumed goes on bit for bit, with any number of threads.
///
/// Whatever ends a run, `last.h5` is written first where the weights are sound, so that no update is lost.
package final class Trainer<Task: Objective> {
    let objective: Task
    let recipe: Recipe
    let folder: RunFolder
    let optimizer: AdamW
    let average: MovingAverage?
    /// What the training files hold, where that is known.
    let contents: UInt64?
    var progress = RunProgress()
    var meter: Meter
    /// What the last validation drew.
    var pictures: [ReportPicture] = []
    /// Whether `last.h5` is what the run has come to; nil before there is one.
    var isSaved: Bool?
    /// Said at the beginning of a run that goes on otherwise than it began.
    var notes: [String] = []
    private let communicator: any Communicator
    private let sampler: Sampler
    private let schedule: Schedule
    private let gradients: GradientBuffer
    /// The parameters that the run changes: all but frozen ones.
    let learned: [NamedParameter]
    /// TensorBoard's, of this start.
    private var events: EventFile?
    /// Of the last update, to name them where the weights it left are no numbers.
    private var latest: (rate: Double, images: [String]) = (0, [])
    /// Updates in the whole run.
    package let steps: Int

    /// - Parameters:
    ///   - contents: see `contentsFingerprint`.
    ///   - communicator: to the other processes that share the run.
    /// - Precondition: the recipe has no problem.
    package init(
        _ objective: Task, _ recipe: Recipe, folder: RunFolder, contents: UInt64? = nil,
        communicator: any Communicator = SingleProcess()
    ) {
        precondition(recipe.problem == nil, recipe.problem ?? "")
        (self.objective, self.recipe, self.folder) = (objective, recipe, folder)
        (self.contents, self.communicator) = (contents, communicator)
        sampler = Sampler(
            seed: recipe.seed, objective.proportions, batch: recipe.batch, rank: communicator.rank,
            of: communicator.size, buffer: recipe.shuffleBuffer.map { ShuffleBuffer($0, objective.stretches) })
        steps = recipe.totalSteps(count: objective.count, workers: sampler.workers)
        schedule = recipe.rates(
            steps: steps, warmupSteps: recipe.warmupSteps(count: objective.count, workers: sampler.workers))
        meter = Meter(first: 0, steps: steps, imagesPerStep: recipe.imagesPerStep(workers: sampler.workers))
        learned = objective.model.parameters.filter { $0.parameter.learns }
        optimizer = AdamW(
            learned.map { [depth = objective.depth] named in
                let layer = named.layer ?? depth + 1
                let scale = layerDecayScale(layer: layer, depth: depth, decay: recipe.layerDecay)
                return AdamW.Group([named.parameter], rateScale: Float(scale))
            })
        gradients = GradientBuffer(learned.map(\.parameter), communicator)
        average = recipe.averageDecay.map { MovingAverage(objective.model, decay: $0) }
    }

    /// Trains until the last step, from the first or from where the state stood.
    ///
    /// Throws ``TrainingError``, also when a signal ends the run after its checkpoint, ``PlanError`` where the machine has
    /// too little memory, and whatever reading the data or writing the files throws.
    ///
    /// - Parameter notesSignals: whether a signal ends the run in order; else signals stay the caller's affair.
    package func run(notesSignals: Bool = true, _ report: (TrainingEvent) -> Void) throws {
        guard notesSignals else { return try run(until: steps, report) }
        try Interruption.noting { try run(until: steps, report) }
    }

    /// As ``run(notesSignals:_:)``, up to the step `end`.
    func run(until end: Int, _ report: (TrainingEvent) -> Void) throws {
        try folder.claim()
        defer { folder.release() }
        do { try train(until: end, report) } catch { throw rescue(error, report) }
    }

    private func train(until end: Int, _ report: (TrainingEvent) -> Void) throws {
        let first = progress.step
        if first > 0 { report(.resumed(step: first, steps: steps)) }
        notes.forEach { report(.note($0)) }
        if first < end { report(.memory(forecastBytes: try rehearse())) }
        if isSaved != true { try save() }  // so that a run can be taken up from its beginning on
        if first < end || progress.owesValidation == true {
            events = try EventFile(in: folder.path, firstStep: first + 1)
        }
        if progress.owesValidation == true {
            objective.begin(step: first - 1)
            try settle(report)
        }
        let passes = recipe.accumulate
        let batches = Prefetcher(first * passes..<max(first, end) * passes, ahead: Trainer.ahead, threads: 2) {
            [loader = objective.loader, sampler] in try loader(sampler.batch($0))
        }
        meter = Meter(
            first: first, steps: steps, imagesPerStep: recipe.imagesPerStep(workers: sampler.workers), sums: meter.sums)
        while progress.step < end {
            let update = try step(batches)
            (progress.step, isSaved) = (progress.step + 1, false)
            meter.waited = batches.waited
            try log(update, report)
            let settling = ContinuousClock.now
            try settle(report)
            meter.pause(.now - settling)
        }
        if progress.step == steps { report(.ended(ending)) }
    }

    /// What came of the run.
    private var ending: EndReport {
        EndReport(
            step: progress.step, last: folder.last,
            best: progress.best.map { EndReport.Best(file: folder.best, score: $0) })
    }

    /// Batches that are made before they are needed.
    private static var ahead: Int { 3 }

    private func log(_ update: Update, _ report: (TrainingEvent) -> Void) throws {
        for var event in meter.add(update, step: progress.step, epoch: epoch) {
            if case .step(var line) = event {
                let metrics = objective.takeMetrics()
                line.metrics = metrics.isEmpty ? nil : metrics
                try record(line)
                event = .step(line)
            }
            report(event)
        }
    }

    private func record(_ line: some LogEntry) throws {
        try folder.append(line)
        try events?.append(line.scalars, step: line.step)
    }

    /// Epochs so far.
    private var epoch: Double { Double(progress.step) * epochsPerStep }
    private var epochsPerStep: Double {
        Double(recipe.imagesPerStep(workers: sampler.workers)) / Double(objective.count)
    }
}

// MARK: Updates

extension Trainer {
    /// One update. Where it throws, it has changed nothing.
    private func step(_ batches: Prefetcher<Task.Batch>) throws -> Update {
        let before = ObjectiveState(objective)
        do { return try update(batches) } catch {
            before.restore(objective)
            throw error
        }
    }

    private func update(_ batches: Prefetcher<Task.Batch>) throws -> Update {
        let (rate, passes) = (schedule.value(at: progress.step), recipe.accumulate)
        let share = Tensor([1 / Float(passes * communicator.size)], [1])
        var (losses, statistics) = (0.0, [StatisticsUpdate]())
        latest = (rate, [])
        gradients.begin()
        objective.begin(step: progress.step)
        for pass in 0..<passes {
            if communicator.any(Interruption.signal != nil) { try Interruption.check() }
            guard let batch = try batches.next() else { preconditionFailure("a batch for every step") }
            latest.images += objective.images(of: batch)
            let place = (progress.step * passes + pass) * sampler.workers + sampler.rank
            let tape = tape(RandomStream.network.generator(seed: recipe.seed, place))
            let loss = objective.loss(batch, tape)
            guard !communicator.any(!loss.value.scalar.isFinite) else {
                throw diverged("loss", step: progress.step + 1)
            }
            losses += communicator.sum(Double(loss.value.scalar))
            statistics += tape.statistics
            gradients.pass(pass) { tape.backward(from: loss, gradient: share) }
        }
        gradients.end()
        let norm = optimizer.step(rate: rate, weightDecay: recipe.weightDecay, clipNorm: recipe.clipGradient)
        guard norm.isFinite else { throw diverged("gradient", step: progress.step + 1) }
        statistics.forEach { $0.apply() }  // pass by pass
        average?.update(steps: progress.step)
        return Update(loss: losses / Double(passes * communicator.size), learningRate: rate, gradientNorm: norm)
    }

    private func tape(_ generator: Philox) -> Tape {
        Tape(.training, generator: generator, precision: recipe.precision ?? .fp32)
    }

    private func diverged(_ what: String, step: Int) -> TrainingError {
        .diverged(
            what: what, step: step, learningRate: latest.rate,
            images: latest.images.map { $0.lastName }, folder: folder.path)
    }

    /// The memory that the run will take, in bytes, by passes with one and two images; they change nothing. Throws
    /// ``PlanError`` where the machine has less.
    private func rehearse() throws -> Int {
        let before = ObjectiveState(objective)
        defer { before.restore(objective) }
        let members = sampler.batch(progress.step * recipe.accumulate)
        let forecast = try MemoryForecast(
            most: members.count, gradients: gradients.byteCount(passes: recipe.accumulate),
            makeBatch: { try objective.loader(Array(members.prefix($0))) },
            pass: { batch in
                let tape = tape(RandomStream.network.generator(seed: recipe.seed, 0))
                let loss = objective.rehearse(batch, tape)
                gradients.pass(0) { tape.backward(from: loss, gradient: .zeros([1])) }
            }, clear: { gradients.release() })
        let bytes = forecast.bytes(batch: members.count, waiting: Trainer.ahead)
        try MachineMemory.require(bytes)
        // Faster, where there is room.
        StoragePool.shared.expectSteps(bytes + bytes / 8 <= MachineMemory.limit)
        return bytes
    }
}

// MARK: Validation and checkpoints

extension Trainer {
    /// Validates and saves where it is time to. The state is saved before a validation, which may take long, and after it.
    private func settle(_ report: (TrainingEvent) -> Void) throws {
        let every = Double(recipe.evaluateEvery), before = epoch - epochsPerStep
        let crossed = (epoch / every + 1e-9).rounded(.down) > (before / every + 1e-9).rounded(.down)
        let isDue = crossed || progress.step == steps
        if isDue { (progress.owesValidation, isSaved) = (true, false) }
        if communicator.any(Interruption.signal != nil) { try Interruption.check() }
        if isDue {
            if objective.validationCount > 0 {
                try save()
                report(.validating(images: objective.validationCount))
            }
            try validate(report)
            (progress.owesValidation, isSaved) = (false, false)
        }
        if isDue || progress.step % recipe.checkpointEvery == 0 {
            try save()
            report(.saved(folder.last))
        }
        if isDue { try writeReport() }
    }

    private func validate(_ report: (TrainingEvent) -> Void) throws {
        average?.exchange()
        defer { average?.exchange() }
        try requireFinite(objective.model.tensors.map(\.tensor), "weights")
        let validation: Validation?
        do { (validation, pictures) = (try objective.validate(), try objective.pictures()) } catch is NotFinite {
            throw diverged("model's output in the validation", step: progress.step)
        }
        guard let validation else { return }
        for (name, value) in validation.metrics.sorted(by: { $0.key < $1.key }) where !value.isFinite {
            throw diverged("\(name) of the validation", step: progress.step)
        }
        let isBest = validation.score > progress.bestScore ?? -.infinity
        if isBest {
            progress.bestScore = validation.score
            progress.best = BestScore(
                metric: validation.decisive, value: validation.metrics[validation.decisive] ?? validation.score,
                step: progress.step)
            let kept = validation.metrics.filter { !$0.key.contains("/") }  // without those of each class
            try folder.requireThere()
            try Checkpoint.save(objective.model, objective.description(metrics: kept), to: folder.best)
        }
        let line = ValidationReport(step: progress.step, epoch: epoch, metrics: validation.metrics, best: isBest)
        try record(line)
        report(.validation(line))
    }

    /// Writes `last.h5`: the model and all that is needed to go on bit for bit. Throws ``TrainingError`` where that are no
    /// numbers any more, so that the file stays what it was, and `FileError`.
    func save() throws {
        try folder.requireThere()
        try requireFinite(objective.model.tensors.map(\.tensor), "weights")
        try requireFinite(stateTensors.map(\.tensor), "optimizer's moments or averages")
        (progress.meter, progress.counts) = (meter.sums, objective.counts)
        let saved = SavedRun(
            settings: objective.settings, recipe: recipe, progress: progress, optimizerSteps: optimizer.steps,
            fingerprint: objective.fingerprint, contents: contents)
        let state = TrainingState(tensors: stateTensors, json: try JSONText.line(saved))
        let metrics = progress.bestScore.map { ["best": $0] } ?? [:]
        try Checkpoint.save(objective.model, objective.description(metrics: metrics), training: state, to: folder.last)
        isSaved = true
    }

    private func requireFinite(_ tensors: [Tensor], _ what: String) throws {
        guard tensors.allSatisfy(\.isFinite) else { throw diverged(what, step: progress.step) }
    }

    /// What ends a run, once the updates since the last checkpoint are written. What has diverged leaves the last good one.
    private func rescue(_ error: any Error, _ report: (TrainingEvent) -> Void) -> any Error {
        let stop = error as? Interruption.Stop
        if case .diverged = error as? TrainingError { return error }
        if isSaved == false {
            do {
                try save()
                report(.saved(folder.last))
            } catch { if stop != nil { return error } }
        }
        return stop.map { .interrupted(signal: $0.signal, step: progress.step, folder: folder.path) as TrainingError }
            ?? error
    }
}
