import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTModels
import BEiTOps
import BEiTProcesses
import BEiTTeams
import BEiTTensorCore
import Foundation
import Testing

@testable import BEiTTraining

@Suite struct GradientBufferTests {
    /// Eight passes on one process and on several add up to the same bits, whatever the passes touch.
    @Test(arguments: [1, 2, 3, 4, 8, 11]) func aSumDoesNotDependOnWhoTookWhichPass(_ size: Int) throws {
        let inputs = (0..<8).map { pass in
            var draw = Philox(seed: UInt64(pass))
            return Tensor((0..<5 * 7).map { _ in draw.uniform(-1..<1) }, [5, 7])
        }
        func gradients(_ team: any Communicator, _ reduction: Reduction) throws -> [[Float]] {
            var draw = Philox(seed: 99)
            let weight = Parameter(Tensor((0..<3 * 7).map { _ in draw.uniform(-1..<1) }, [3, 7]))
            let (bias, unused, rare) = (Parameter(.zeros([3])), Parameter(.zeros([2])), Parameter(.zeros([3])))
            let buffer = GradientBuffer([weight, bias, unused, rare], team, reduction)
            for _ in 0..<2 {  // the second update forgets the first
                buffer.begin()
                for turn in 0..<(8 + team.size - 1) / team.size {
                    let pass = turn * team.size + team.rank, givers = min(team.size, 8 - turn * team.size)
                    let isLast = (turn + 1) * team.size >= 8
                    guard pass < 8 else {
                        try buffer.pass(turn, isLast: isLast, givers: givers, nil)
                        continue
                    }
                    let tape = Tape(.training)
                    // The last parameter is part of two passes alone.
                    let shift = pass == 3 || pass == 6 ? rare : bias
                    let y = tape.linear(Variable(inputs[pass]), weight: weight, bias: shift)
                    let weights = Variable(Tensor(inputs[pass].values.prefix(15).map { $0 }, [5, 3]))
                    let sum = tape.sum(tape.multiply(y, weights))
                    try buffer.pass(turn, isLast: isLast, givers: givers) { tape.backward(from: sum, finished: $0) }
                }
                try buffer.end()
            }
            #expect(unused.gradient == nil)
            return [weight, bias, rare].map { $0.gradient?.values ?? [] }
        }
        let alone = try gradients(SingleProcess(), .exact)
        #expect(alone.allSatisfy { $0.contains { $0 != 0 } })
        for result in ThreadTeam(size).run({ try gradients($0, .exact) }) {
            let found = try result.get()
            #expect(found.map { $0.map(\.bitPattern) } == alone.map { $0.map(\.bitPattern) })
        }
        let fast = try ThreadTeam(size).run { try gradients($0, .fast) }.map { try $0.get() }
        #expect(fast.allSatisfy { $0 == fast[0] })
        for (one, other) in zip(alone.joined(), fast[0].joined()) { #expect(abs(one - other) < 1e-5) }
    }
}

/// Runs that several processes share.
@Suite struct TeamTests {
    /// What a run leaves: the bytes of its weights, and its log without times.
    private struct Outcome: Equatable {
        var last: [UInt8], best: [UInt8], log: [String]

        init(_ folder: RunFolder) throws {
            (last, best) = (try FileSystem.read(folder.last), try FileSystem.read(folder.best))
            log = try FileSystem.read(folder.log).split(separator: 10).map { line in
                var fields = try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any] ?? [:]
                for name in ["images_per_s", "data_wait", "seconds_left"] { fields[name] = nil }
                let data = try JSONSerialization.data(withJSONObject: fields, options: .sortedKeys)
                return String(decoding: data, as: UTF8.self)
            }
        }
    }

    /// Updates of eight passes.
    private func divided<Plan: TrainingPlan>(_ plan: Plan, _ change: (inout Recipe) -> Void) -> Recipe {
        var recipe = plan.recipe
        (recipe.batch, recipe.accumulate, recipe.steps, recipe.evaluateEvery) = (2, 8, 3, 1)
        change(&recipe)
        return recipe
    }

    private func run<Plan: TrainingPlan>(
        _ plan: Plan, _ size: Int, in path: String, until step: Int? = nil, resuming: Bool = false,
        _ reduction: Reduction = .exact
    ) throws -> RunFolder {
        let results = ThreadTeam(size).run { team in
            let folder = RunFolder(path)
            let trainer: Trainer<Plan.Task> = try team.agree {
                resuming
                    ? try Trainer(resuming: folder, team: team, reduction: reduction)
                    : try Trainer(plan, folder: folder, team: team, reduction: reduction) { _ in }
            }
            if let step {
                try trainer.run(until: step) { _ in }
                try trainer.save()
            } else {
                try trainer.run(notesSignals: false) { _ in }
            }
        }
        for result in results { try result.get() }
        return RunFolder(path)
    }

    private func requireEqual<Plan: TrainingPlan>(_ plan: Plan, in path: String) throws {
        let alone = try Outcome(try run(plan, 1, in: path + "/alone"))
        #expect(alone.log.count >= 2)
        for size in [2, 3, 4, 8] {
            #expect(try Outcome(try run(plan, size, in: path + "/team\(size)")) == alone, "\(size) processes")
        }
        // It goes on with any other number.
        _ = try run(plan, 4, in: path + "/parts", until: 1)
        _ = try run(plan, 1, in: path + "/parts", until: 2, resuming: true)
        #expect(try Outcome(try run(plan, 3, in: path + "/parts", resuming: true)) == alone)
    }

    @Test func segmentationHasTheBytesOfOneProcess() throws {
        let set = try StripeSet(train: 16, val: 3)
        var plan = UperNetTrainingTests.plan(set)  // with batch norms
        plan.cutmix = 1
        plan.recipe = divided(plan) { $0.averageDecay = 0.9 }
        try requireEqual(plan, in: set.path)
    }

    @Test func classificationHasTheBytesOfOneProcess() throws {
        let set = try ColorSet()
        var plan = set.plan
        plan.recipe = divided(plan) { _ in }
        try requireEqual(plan, in: set.path)
    }

    @Test func pretrainingHasTheBytesOfOneProcess() throws {
        let studio = try Studio(photos: 30)
        var plan = studio.plan
        plan.data.validationShare = 0.3
        plan.recipe = divided(plan) { _ in }
        try requireEqual(plan, in: studio.path + "/runs")
    }

    @Test func aTokenizerHasTheBytesOfOneProcess() throws {
        let set = try SquareSet(photos: 40)
        var plan = set.plan
        plan.recipe = divided(plan) { _ in }
        try requireEqual(plan, in: set.path + "/runs")
    }

    /// What a tape says is complete stays as it is, whatever else the way back makes; but for segments that run again it says
    /// so of every parameter that has a gradient.
    @Test(arguments: [false, true]) func whatIsCompleteStays(_ checkpoints: Bool) throws {
        let studio = try Studio()
        var plan = studio.plan
        plan.checkpointsBlocks = checkpoints
        let trainer = try Trainer(plan, folder: RunFolder(studio.path + "/run")) { _ in }
        let objective = trainer.objective, tape = Tape(.training)
        let loss = objective.loss(try objective.loader([(0, 0), (1, 1)]), tape).value
        var complete: [ObjectIdentifier: [Float]] = [:]
        tape.backward(from: loss, finished: { complete[ObjectIdentifier($0)] = $0.tensor?.values ?? [] })
        for named in objective.model.parameters {
            guard let slot = named.parameter.slot, let gradient = slot.tensor else { continue }
            let said = complete[ObjectIdentifier(slot)]
            #expect(said == (checkpoints ? nil : gradient.values), "\(named.path)")
        }
    }

    @Test func aFastSumIsCloseToTheExactOne() throws {
        let set = try StripeSet(train: 16, val: 3)
        var plan = set.plan
        plan.recipe = divided(plan) { $0.steps = 6 }
        let exact = try losses(try run(plan, 1, in: set.path + "/exact"))
        let fast = try losses(try run(plan, 4, in: set.path + "/fast", .fast))
        #expect(exact.count == fast.count && !exact.isEmpty)
        for (one, other) in zip(exact, fast) { #expect(abs(one - other) < 1e-5) }
    }

    private func losses(_ folder: RunFolder) throws -> [Double] {
        try FileSystem.read(folder.log).split(separator: 10).compactMap {
            try (JSONSerialization.jsonObject(with: Data($0)) as? [String: Any])?["loss"] as? Double
        }
    }

    /// An update whose passes the processes cannot share evenly is cut into more.
    @Test func batchesAreCutForTheProcesses() {
        func divided(_ batch: Int, _ accumulate: Int, _ ranks: Int) -> ([Int], Int) {
            var (recipe, notes) = (Recipe(), 0)
            (recipe.batch, recipe.accumulate) = (batch, accumulate)
            let result = recipe.divided(among: ranks) { _ in notes += 1 }
            return ([result.batch, result.accumulate], notes)
        }
        #expect(divided(16, 1, 1) == ([16, 1], 0))
        #expect(divided(16, 4, 2) == ([16, 4], 0))
        #expect(divided(16, 1, 4) == ([4, 4], 1))
        #expect(divided(16, 2, 8) == ([4, 8], 1))
        #expect(divided(9, 1, 3) == ([3, 3], 1))
        #expect(divided(16, 1, 3) == ([16, 1], 1))
    }

    @Test(arguments: [1, 2, 3, 8]) func whatIsDealtOutComesInOrder(_ size: Int) throws {
        for count in [0, 1, 5, 8] {
            for result in ThreadTeam(size).run({ team in try team.deal(count) { $0.map { 10 * $0 } } }) {
                #expect(try result.get() == (0..<count).map { 10 * $0 })
            }
        }
    }

    /// What fails on one process ends all, with its reason, and the updates so far are written.
    @Test func whatFailsOnOneEndsAll() throws {
        struct Broken: Error, CustomStringConvertible { var description: String { "the cable is cut" } }
        let results = ThreadTeam(3).run { team in try team.agree { if team.rank == 1 { throw Broken() } } }
        #expect(throws: RankError(rank: 1, reason: "the cable is cut", exitStatus: 74)) { try results[0].get() }
        #expect(throws: Broken.self) { try results[1].get() }
        let stopped = ThreadTeam(3).run { team in
            try team.agree { if team.rank == 2 { throw Interruption.Stop(signal: 15) } }
        }
        for result in stopped { #expect(throws: Interruption.Stop(signal: 15)) { try result.get() } }
    }

    /// A launcher that starts several runs at once.
    @Test func processesOfOtherRunsAreFound() throws {
        let set = try StripeSet(train: 16, val: 0), fewer = try StripeSet(train: 15, val: 0)
        for what in ["folder", "recipe", "settings", "images"] {
            let results = ThreadTeam(2).run { team in
                var plan = set.plan, name = "run"
                plan.recipe = divided(plan) { if team.rank == 1, what == "recipe" { $0.seed = 8 } }
                if team.rank == 1, what == "folder" { name = "other" }
                if team.rank == 1, what == "settings" { plan.cutmix = 1 }
                if team.rank == 1, what == "images" { plan.data = DatasetOptions([fewer.path]) }
                let folder = RunFolder(set.path + "/\(what)/\(name)")
                let trainer = try team.agree { try Trainer(plan, folder: folder, team: team) { _ in } }
                try trainer.run(until: 1) { _ in }
            }
            for result in results {
                let error = #expect(throws: TrainingError.self) { try result.get() }
                #expect(error?.description.hasPrefix("process 1 has ") == true)
                #expect(error?.description.contains(what) == true, "\(error?.description ?? "")")
            }
        }
    }

    /// Processes that come to other weights are found out at the next checkpoint.
    @Test func processesThatDriftApartAreFound() throws {
        let set = try StripeSet(train: 16, val: 0)
        var plan = set.plan
        plan.recipe = divided(plan) { _ in }
        let results = ThreadTeam(2).run { [plan] team in
            let folder = RunFolder(set.path + "/run")
            let trainer = try team.agree { try Trainer(plan, folder: folder, team: team) { _ in } }
            try trainer.run(until: 1) { _ in }
            if team.rank == 1 { trainer.objective.model.parameters[0].parameter.value.pointer[0] += 1 }
            try trainer.save()
        }
        for result in results {
            let error = #expect(throws: TrainingError.self) { try result.get() }
            #expect(error?.description.contains("weights of process 1") == true)
        }
    }
}
