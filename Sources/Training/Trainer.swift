import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTLayers
import BEiTOps
import BEiTPrediction
import BEiTProcesses
import BEiTReports
import BEiTTensorCore

/// Trains what an ``Objective`` describes: batches, loss, gradients, AdamW, validation and checkpoints.
///
/// Everything random depends on the seed and the step alone, so the state of a run is its weights, moments, averages and
/// step: a run that is resumed goes on bit for bit, with any number of threads.
///
/// Several processes (``Communicator``) share the passes of each update: in turn number t, rank r takes pass t·size + r.
/// Each holds the whole state and moves it alike; the first one writes the files.
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
    let team: any Communicator
    private let sampler: Sampler
    private let schedule: Schedule
    private let gradients: GradientBuffer
    private let statistics: StatisticsTable
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
    ///   - team: the processes that share the run.
    ///   - reduction: how their gradients are added up.
    /// - Precondition: the recipe has no problem.
    package init(
        _ objective: Task, _ recipe: Recipe, folder: RunFolder, contents: UInt64? = nil,
        team: any Communicator = SingleProcess(), reduction: Reduction = .exact
    ) {
        precondition(recipe.problem == nil, recipe.problem ?? "")
        (self.objective, self.recipe, self.folder) = (objective, recipe, folder)
        (self.contents, self.team) = (contents, team)
        sampler = Sampler(
            seed: recipe.seed, objective.proportions, batch: recipe.batch,
            buffer: recipe.shuffleBuffer.map { ShuffleBuffer($0, objective.stretches) })
        steps = recipe.totalSteps(count: objective.count)
        schedule = recipe.rates(steps: steps, warmupSteps: recipe.warmupSteps(count: objective.count))
        meter = Meter(first: 0, steps: steps, imagesPerStep: recipe.imagesPerStep)
        statistics = StatisticsTable(objective.model)
        learned = objective.model.parameters.filter { $0.parameter.learns }
        optimizer = AdamW(
            learned.map { [depth = objective.depth] named in
                let layer = named.layer ?? depth + 1
                let scale = layerDecayScale(layer: layer, depth: depth, decay: recipe.layerDecay)
                return AdamW.Group([named.parameter], rateScale: Float(scale))
            })
        gradients = GradientBuffer(learned.map(\.parameter), team, reduction)
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
        try requireOneRun()
        try team.first(folder.claim)
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
            try team.first { events = try EventFile(in: folder.path, firstStep: first + 1) }
        }
        if progress.owesValidation == true {
            objective.begin(step: first - 1)
            try settle(report)
        }
        let batches = batches(first..<max(first, end))
        meter = Meter(first: first, steps: steps, imagesPerStep: recipe.imagesPerStep, sums: meter.sums)
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

    /// This process's batch of each turn of the updates, nil where it has none.
    private func batches(_ updates: Range<Int>) -> Prefetcher<Task.Batch?> {
        let (passes, turns, size, rank) = (recipe.accumulate, turns, team.size, team.rank)
        return Prefetcher(updates.lowerBound * turns..<updates.upperBound * turns, ahead: Trainer.ahead, threads: 2) {
            [loader = objective.loader, sampler] in
            let pass = $0 % turns * size + rank
            return pass < passes ? try loader(sampler.batch($0 / turns * passes + pass)) : nil
        }
    }

    /// Passes of an update on the process that has the most.
    private var turns: Int { (recipe.accumulate + team.size - 1) / team.size }

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
        try team.first {
            try folder.append(line)
            try events?.append(line.scalars, step: line.step)
        }
    }

    /// Epochs so far.
    private var epoch: Double { Double(progress.step) * epochsPerStep }
    private var epochsPerStep: Double { Double(recipe.imagesPerStep) / Double(objective.count) }
}

// MARK: Updates

extension Trainer {
    /// One update. Where it throws, it has changed nothing.
    private func step(_ batches: Prefetcher<Task.Batch?>) throws -> Update {
        let (rate, passes) = (schedule.value(at: progress.step), recipe.accumulate)
        latest = (rate, [])
        gradients.begin()
        objective.begin(step: progress.step)
        var records: [PassRecord] = []
        for turn in 0..<turns { records += try take(turn, batches) }
        try gradients.end()
        let norm = optimizer.step(rate: rate, weightDecay: recipe.weightDecay, clipNorm: recipe.clipGradient)
        guard norm.isFinite else { throw try diverged(inUpdate: "gradient") }
        for record in records {
            record.statistics.forEach { $0.apply() }
            objective.take(record.counts)
        }
        average?.update(steps: progress.step)
        let loss = records.reduce(0.0) { $0 + Double($1.loss) } / Double(passes)
        return Update(loss: loss, learningRate: rate, gradientNorm: norm)
    }

    /// One turn of an update: a pass on each process, as far as there are passes left.
    /// - Returns: what the passes came to, in their order.
    private func take(_ turn: Int, _ batches: Prefetcher<Task.Batch?>) throws -> [PassRecord] {
        let passes = recipe.accumulate, pass = turn * team.size + team.rank
        var forward: (tape: Tape, loss: Variable)?
        let records = try team.exchange {
            try Interruption.check()
            guard let batch = try batches.next() else { preconditionFailure("a batch for every turn") }
            guard let batch else { return [] }
            latest.images += objective.images(of: batch)
            let tape = tape(RandomStream.network.generator(seed: recipe.seed, progress.step * passes + pass))
            let (loss, counts) = objective.loss(batch, tape)
            forward = (tape, loss)
            return statistics.encode(PassRecord(loss.value.scalar, tape.statistics, counts))
        }.compactMap(statistics.decode)
        guard records.allSatisfy(\.isFinite) else { throw try diverged(inUpdate: "loss") }
        try gradients.pass(
            turn, isLast: turn == turns - 1, givers: records.count,
            forward.map { tape, loss in
                { tape.backward(from: loss, gradient: Tensor([1 / Float(passes)], [1]), finished: $0) }
            })
        return records
    }

    private func tape(_ generator: Philox) -> Tape {
        Tape(.training, generator: generator, precision: recipe.precision ?? .fp32)
    }

    private func diverged(_ what: String, step: Int) -> TrainingError {
        .diverged(
            what: what, step: step, learningRate: latest.rate, images: latest.images.map(\.lastName),
            folder: folder.path)
    }

    /// With the images of all processes.
    private func diverged(inUpdate what: String) throws -> TrainingError {
        let images = try team.gather(Array(latest.images.joined(separator: "\n").utf8))
        latest.images = images.flatMap { String(decoding: $0, as: UTF8.self).split(separator: "\n").map(String.init) }
        return diverged(what, step: progress.step + 1)
    }

    /// The memory that the run will take, in bytes, by passes with one and two images; they change nothing. Throws
    /// ``PlanError`` where the machine has less.
    private func rehearse() throws -> Int {
        let members = sampler.batch(progress.step * recipe.accumulate)
        return try team.agree {
            let forecast = try MemoryForecast(
                most: members.count, gradients: gradients.byteCount(turns: turns),
                makeBatch: { try objective.loader(Array(members.prefix($0))) },
                pass: { batch in
                    let tape = tape(RandomStream.network.generator(seed: recipe.seed, 0))
                    let loss = objective.loss(batch, tape).value
                    gradients.rehearse { tape.backward(from: loss, gradient: .zeros([1])) }
                }, clear: { gradients.release() })
            let bytes = forecast.bytes(batch: members.count, waiting: Trainer.ahead)
            let limit = MachineMemory.limit / team.neighbours
            try MachineMemory.require(bytes, limit: limit)
            // Faster, where there is room.
            StoragePool.shared.expectSteps(bytes + bytes / 8 <= limit)
            return bytes
        }
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
        try team.agree { try Interruption.check() }
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
        if isDue { try team.first(writeReport) }
    }

    private func validate(_ report: (TrainingEvent) -> Void) throws {
        average?.exchange()
        defer { average?.exchange() }
        try requireFinite(objective.model.tensors.map(\.tensor), "weights")
        let validation: Validation?
        do {
            validation = try objective.validate(team)
            try team.first { pictures = try objective.pictures() }
        } catch is NotFinite {
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
            try team.first {
                try folder.requireThere()
                try Checkpoint.save(objective.model, objective.description(metrics: kept), to: folder.best)
            }
        }
        let line = ValidationReport(step: progress.step, epoch: epoch, metrics: validation.metrics, best: isBest)
        try record(line)
        report(.validation(line))
    }

    /// Writes `last.h5`: the model and all that is needed to go on bit for bit. Throws ``TrainingError`` where that are no
    /// numbers any more, so that the file stays what it was, and `FileError`.
    func save() throws {
        try requireOneState()
        try team.first(write)
        isSaved = true
    }

    private func write() throws {
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
    }

    private func requireFinite(_ tensors: [Tensor], _ what: String) throws {
        guard tensors.allSatisfy(\.isFinite) else { throw diverged(what, step: progress.step) }
    }

    /// What ends a run, once the updates since the last checkpoint are written. What has diverged leaves the last good one.
    private func rescue(_ error: any Error, _ report: (TrainingEvent) -> Void) -> any Error {
        let stop = error as? Interruption.Stop
        if case .diverged = error as? TrainingError { return error }
        if isSaved == false, team.isFirst {
            do {
                try write()
                isSaved = true
                report(.saved(folder.last))
            } catch { if stop != nil { return error } }
        }
        return stop.map { .interrupted(signal: $0.signal, step: progress.step, folder: folder.path) as TrainingError }
            ?? error
    }
}
