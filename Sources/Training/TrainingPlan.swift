import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTProcesses

/// All that makes an objective anew, beside the recipe.
package protocol TrainingSettings: Codable, Sendable {
    /// Data folders.
    var folders: [String] { get set }
    var configuration: ModelConfiguration { get }
    var preprocessing: Preprocessing { get set }
    /// Of the images, counted from 1; nil for the first.
    var page: Int? { get set }
    var provenance: Provenance { get set }
    /// Gradient checkpointing (see ``Backbone/checkpointsBlocks``).
    var checkpointsBlocks: Bool { get }
    /// Whether the backbone stays as it is, and only what stands behind it learns.
    var freezesBackbone: Bool? { get }
    /// What makes them impossible, in one sentence; nil if nothing does. They may come from a file.
    var problem: String? { get }
}

extension TrainingSettings {
    package var freezesBackbone: Bool? { nil }

    /// How images are read. Bands and the range of values are the model's from here on, the page is the run's.
    var reading: ImageReading {
        get {
            var reading = preprocessing.reading
            reading.page = page ?? 1
            return reading
        }
        set {
            preprocessing.reading = newValue
            page = newValue.page == 1 ? nil : newValue.page
        }
    }
}

/// What a run learns from, once it is listed.
package protocol TrainingData {
    /// Images to learn from, and images held out.
    var trainingCount: Int { get }
    var validationCount: Int { get }
    /// How images are read.
    var reading: ImageReading { get }
}

/// An objective that is made from settings and data: by a new run, and by one that goes on.
package protocol PlannedObjective: Objective where Settings: TrainingSettings {
    associatedtype Source: TrainingData

    static var task: ModelTask { get }
    /// How the first weights are drawn.
    static var style: Initializer.Style { get }
    /// Lists the data. Throws ``DatasetError``, `FileError`, and ``TrainingError`` where a file that the settings name is
    /// another one now.
    static func source(_ settings: Settings, in folder: RunFolder) throws -> Source

    /// - Precondition: the model is of this task, and as the settings have it.
    init(_ settings: Settings, _ source: Source, _ model: Model, seed: UInt64, folder: RunFolder) throws

    /// In the order of the logits; empty for models without classes.
    var classes: [LabelClass] { get }
}

extension PlannedObjective {
    package static var style: Initializer.Style { .finetuning }
    package var classes: [LabelClass] { [] }

    package func description(metrics: [String: Double]) -> ModelDescription {
        var provenance = settings.provenance
        provenance.metrics = metrics
        return ModelDescription(
            task: Self.task, configuration: settings.configuration, classes: classes,
            preprocessing: settings.preprocessing, provenance: provenance)
    }
}

/// A plan for a run: what to learn from, with which network, how. A kind of training is a plan, its settings and its
/// objective; what they have in common is ``Trainer``'s.
package protocol TrainingPlan: Sendable {
    associatedtype Task: PlannedObjective

    var recipe: Recipe { get }
    var warmup: Warmup { get }
    var initial: InitialWeights { get }
    /// How images are read otherwise than what the run starts from has learned.
    var reading: ReadingChoice { get }
    /// What makes the plan impossible beside its recipe, in one sentence; nil if nothing does. Known before anything is read.
    var problem: String? { get }

    /// Lists the data, without reading it. Throws ``DatasetError`` and `FileError`.
    func source(_ start: StartingPoint, in folder: RunFolder) throws -> Task.Source
    /// Throws ``PlanError`` for an architecture or options that do not fit the data.
    /// - Parameter recipe: fitted to the data.
    func settings(_ start: StartingPoint, _ source: Task.Source, _ recipe: Recipe) throws -> Task.Settings
    /// Reads what must be in order before hours of training rest on it. Throws ``DatasetError``.
    func check(_ source: Task.Source, _ note: (String) -> Void) throws
    /// Which of a checkpoint's parameters go elsewhere than where they were.
    func transfer(_ parent: StartingPoint.Parent, _ settings: Task.Settings, _ source: Task.Source) -> TransferRules
    /// For people: what is special about the run.
    func lines(_ settings: Task.Settings, _ source: Task.Source) -> [String]
}

extension TrainingPlan {
    package func transfer(
        _ parent: StartingPoint.Parent, _ settings: Task.Settings, _ source: Task.Source
    ) -> TransferRules { TransferRules() }
    package func lines(_ settings: Task.Settings, _ source: Task.Source) -> [String] { [] }
}

/// The contents of `config.json`.
private struct RunConfiguration<Settings: Encodable>: Encodable {
    var settings: Settings
    var recipe: Recipe
}

/// What a run that goes on does otherwise than it was begun.
package struct RunChanges: Equatable, Sendable {
    /// Where the data folders are now, in their order.
    package var data: [String]?
    /// A longer run; one of them.
    package var epochs: Double?
    package var steps: Int?

    package init() {}

    var areNone: Bool { self == RunChanges() }
}

extension Trainer where Task: PlannedObjective {
    /// Checks the data, makes the model and the run's folder.
    ///
    /// - Parameters:
    ///   - team: the processes that share the run; each makes a trainer, and the first one the folder.
    ///   - note: receives lines on the data, the model, the initial weights and the recipe.
    /// - Throws: ``PlanError``, ``DatasetError``, ``TrainingError``, ``CheckpointError``, `HDF5Error`, `FileError`.
    package convenience init<Plan: TrainingPlan>(
        _ plan: Plan, folder: RunFolder, team: any Communicator = SingleProcess(), reduction: Reduction = .exact,
        note: (String) -> Void
    ) throws where Plan.Task == Task {
        if let problem = plan.recipe.problem ?? plan.recipe.contradiction ?? plan.reading.problem ?? plan.problem {
            throw PlanError(problem)
        }
        try plan.recipe.requirePrecision()
        // All that can be refused at once comes before the data is read, which may take long.
        if team.isFirst { try folder.requireFree() }
        let start = try StartingPoint(plan.initial, for: Task.task)
        let source = try plan.source(start, in: folder)
        guard source.trainingCount > 0 else {
            throw DatasetError(.invalid, path: "data", reason: "there is no image to learn from")
        }
        var changes: [String] = []
        let recipe = plan.recipe.fitted(to: source.trainingCount, plan.warmup) { changes.append($0) }
            .divided(among: team.size) { changes.append($0) }
        var settings = try plan.settings(start, source, recipe)
        settings.reading = source.reading
        if let problem = settings.problem { throw PlanError(problem) }
        try settings.requireMemory(recipe, neighbours: team.neighbours)
        try plan.check(source, note)
        changes.forEach(note)
        if source.validationCount == 0 {
            note("warning: nothing is held out to validate on, so there will be no best.h5")
        }
        let model = Model(settings.configuration, Initializer(seed: recipe.seed, style: Task.style))
        if let parent = start.parent {
            let rules = plan.transfer(parent, settings, source)
            WeightTransfer(
                from: parent.model, to: model.module,
                positions: PositionResizing(from: parent.description.configuration, to: settings.configuration), rules
            ).lines.forEach(note)
        }
        plan.lines(settings, source).forEach(note)
        if let summary = source.reading.summary { note("images are read with \(summary)") }
        let size = settings.preprocessing.size
        note("model: \(model.module.parameterCount) parameters, \(size[0])×\(size[1]) pixels")
        note(recipe.summary)
        let objective = try Task(settings, source, model, seed: recipe.seed, folder: folder)
        let contents = objective.files.contentsFingerprint
        if team.isFirst { try folder.begin(RunConfiguration(settings: settings, recipe: recipe)) }
        self.init(objective, recipe, folder: folder, contents: contents, team: team, reduction: reduction)
    }

    /// The run in `folder`, where its `last.h5` stands. Without changes it goes on bit for bit.
    ///
    /// A longer run has the schedule of one that was as long from its beginning on, from the present step on.
    /// - Throws: ``TrainingError``, ``PlanError``, ``CheckpointError``, ``DatasetError``, `HDF5Error`, `FileError`.
    package convenience init(
        resuming folder: RunFolder, _ changes: RunChanges = RunChanges(), team: any Communicator = SingleProcess(),
        reduction: Reduction = .exact
    ) throws {
        if team.isFirst, folder.exists { try folder.claim() }
        let (state, found) = try Self.state(in: folder, of: Task.task)
        let (model, description) = try Checkpoint.load(folder.last, task: Task.task, for: .learning)
        if let problem = found.settings.problem(beside: description) {
            throw TrainingError.badState(file: folder.last, reason: problem)
        }
        var saved = found
        try saved.recipe.requirePrecision()
        if let data = changes.data {
            (saved.settings.folders, saved.settings.provenance.data) = (data, data)
            if let problem = saved.settings.problem { throw PlanError(problem) }
        }
        let source = try Task.source(saved.settings, in: folder)
        guard source.trainingCount > 0 else {
            throw TrainingError.changed(folder: folder.path, what: "there is no training image any more")
        }
        let notes = try saved.recipe.extend(changes, done: saved.progress.step, count: source.trainingCount)
        guard saved.progress.step <= saved.recipe.totalSteps(count: source.trainingCount) else {
            throw TrainingError.badState(
                file: folder.last, reason: "step is \(saved.progress.step), beyond the end of the run")
        }
        try saved.settings.requireMemory(saved.recipe, neighbours: team.neighbours)
        let objective = try Task(saved.settings, source, model, seed: saved.recipe.seed, folder: folder)
        guard objective.classes.map(\.name) == description.classes.map(\.name) else {
            throw TrainingError.changed(folder: folder.path, what: "the classes of the data are not the same")
        }
        self.init(
            objective, saved.recipe, folder: folder, contents: objective.files.contentsFingerprint, team: team,
            reduction: reduction)
        try restore(state, saved)
        guard !changes.areNone else { return }
        self.notes = notes
        isSaved = false  // the next state is that of the changed run
        if team.isFirst { try folder.describe(RunConfiguration(settings: saved.settings, recipe: saved.recipe)) }
    }
}

extension TrainingSettings {
    /// What is wrong with settings that stand in one file with a model, in one sentence.
    fileprivate func problem(beside description: ModelDescription) -> String? {
        if let problem = problem ?? reading.problem { return problem }
        guard configuration == description.configuration, preprocessing == description.preprocessing else {
            return "its settings are those of another model than the file's"
        }
        return folders.isEmpty ? "it names no data folder" : nil
    }

    /// Throws ``PlanError`` where a pass with a batch cannot fit into the machine's memory, before anything tries it.
    fileprivate func requireMemory(_ recipe: Recipe, neighbours: Int) throws(PlanError) {
        let bytes = configuration.leastTrainingBytes(
            batch: recipe.batch, checkpointsBlocks: checkpointsBlocks, freezesBackbone: freezesBackbone == true,
            size: preprocessing.size, precision: recipe.precision ?? .fp32)
        try MachineMemory.require(bytes, isLeast: true, limit: MachineMemory.limit / neighbours)
    }
}

extension Recipe {
    /// Throws ``PlanError`` where this machine does not multiply in the run's precision: another would give another
    /// run.
    fileprivate func requirePrecision() throws(PlanError) {
        guard let precision, let problem = precision.trainingProblem else { return }
        throw PlanError("the run's precision is \(precision.rawValue): \(problem)")
    }

    /// Makes the run longer.
    /// - Parameters:
    ///   - done: updates so far.
    ///   - count: images to learn from.
    /// - Returns: what changed, for people.
    /// - Throws: ``PlanError`` where less would remain than is done, or the length is impossible.
    fileprivate mutating func extend(_ changes: RunChanges, done: Int, count: Int) throws(PlanError) -> [String] {
        guard changes.epochs != nil || changes.steps != nil else { return [] }
        let before = totalSteps(count: count)
        (steps, epochs) = (changes.steps, changes.epochs ?? epochs)
        if let problem { throw PlanError(problem) }
        let after = totalSteps(count: count)
        guard after >= done else {
            throw PlanError(
                "the run has done \(done) steps, and cannot end after \(after); give more `steps` or `epochs`")
        }
        guard after != before else { return [] }
        let rates = rates(steps: after, warmupSteps: warmupSteps(count: count))
        return [
            "the run now has \(after) steps in place of \(before); from here on its learning rate is that of a run of this "
                + "length, at first \(Float(rates.value(at: done)))"
        ]
    }
}

/// A plan that cannot be carried out (exit status 64).
package struct PlanError: Error, Equatable, ExitStatus {
    package let description: String
    package var exitStatus: Int32 { 64 }
    init(_ description: String) { self.description = description }
}
