import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTTensorCore
import Foundation
import Testing

@testable import BEiTTraining

/// Photos and a tokenizer in a folder that goes away with the test.
final class Studio {
    let path = NSTemporaryDirectory() + "beit-seg-" + UUID().uuidString
    var tokenizer: String { path + "/tokenizer.h5" }

    /// - Parameter plain: whether each photo has one colour, so that what is hidden shows in all the rest.
    init(photos: Int = 12, plain: Bool = false) throws {
        for index in 0..<photos {
            let pixels = (0..<3 * 40 * 30).map { place -> UInt8 in
                if plain { return UInt8((index + 2) * [83, 151, 37][place % 3] % 256) }
                let (x, y) = (place / 3 % 40, place / 120)
                let inside = (x - 8 - 2 * index) * (x - 8 - 2 * index) + (y - 15) * (y - 15) < 60
                return inside ? [220, 60, 40][place % 3] : UInt8(60 + 2 * y + 10 * (place % 3))
            }
            // The last two are held out.
            let name = index < photos - 2 ? "\(100 + index)" : "val/\(100 + index)"
            try writePNG(RGBImage(width: 40, height: 30, pixels: pixels), to: path + "/photos/\(name).png")
        }
        try saveTokenizer(seed: 0)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Pixels around 0, so that random weights tell colours apart.
    private static let form = Preprocessing(
        mean: [0.4, 0.4, 0.4], std: [0.2, 0.2, 0.2], size: [16, 24], resize: "lanczos")

    /// With weights drawn at random: its tokens are arbitrary, but the same for the same pixels.
    func saveTokenizer(seed: UInt64) throws {
        var size = TokenizerConfiguration()
        (size.hidden, size.blocks, size.groups, size.vocabulary, size.codeWidth) = (8, 1, 3, 16, 8)
        let configuration = ModelConfiguration.tokenizer(size)
        let model = Model(configuration, Initializer(seed: seed, style: .pretraining))
        try Checkpoint.save(
            model.module,
            ModelDescription(
                task: .tokenizer, configuration: configuration, classes: [],
                preprocessing: Studio.form, provenance: Provenance(command: "test")),
            to: tokenizer)
    }

    var plan: MaskedImagePlan {
        var backbone = BackboneConfiguration()
        (backbone.width, backbone.depth, backbone.heads, backbone.patchSize) = (8, 2, 2, 8)
        (backbone.imageSize, backbone.dropPath) = ([32, 48], 0.2)
        var plan = MaskedImagePlan(
            data: PhotoOptions([path + "/photos"]), initial: .random(backbone), target: .tokens(tokenizer),
            command: "test")
        (plan.recipe.batch, plan.recipe.accumulate, plan.recipe.steps) = (3, 2, 6)
        (plan.recipe.learningRate, plan.recipe.seed, plan.recipe.averageDecay) = (5e-3, 7, 0.9)
        return plan
    }

    var cache: String { path + "/tokens.h5" }

    /// The tokens of the photos' central parts, as `tokenizer encode` writes them.
    func saveCache(size: [Int] = [16, 24], leavingOut: Set<String> = []) throws {
        let tokenizer = try VisualTokenizer(tokenizer, size: size), grid = size.map { $0 / 4 }
        let paths = try PhotoListing(path + "/photos").requireNames().filter { !leavingOut.contains($0) }.map {
            path + "/photos/" + $0
        }
        let writer = try TokenCache.Writer(
            cache,
            TokenCacheDescription(
                tokenizerSHA256: tokenizer.source.sha256, vocabulary: 16, size: size, resize: "lanczos"),
            grid: grid, count: paths.count)
        for path in paths {
            let view = try decodeImage(path).central(height: size[0], width: size[1], filter: .lanczos)
            try writer.append(tokenizer.tokens([view]), [path])
        }
        try writer.finish()
    }

    func run(_ plan: MaskedImagePlan, in name: String) throws -> RunFolder {
        let folder = RunFolder(path + "/" + name)
        try Trainer(plan, folder: folder) { _ in }.run { _ in }
        return folder
    }
}

/// Weights and training state of a checkpoint by path, as bits.
private func bits(_ path: String) throws -> [String: [UInt32]] {
    let model = try Checkpoint.load(path, for: .learning).model.module
    let state = try trainingTensors(path)
    let all = model.parameters.map { ($0.path, $0.parameter.value.values) } + state
    return Dictionary(uniqueKeysWithValues: all.map { ($0.0, $0.1.map(\.bitPattern)) })
}

private func lines(_ folder: RunFolder) throws -> [[String: Any]] {
    try String(contentsOfFile: folder.log, encoding: .utf8).split(separator: "\n").compactMap {
        try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
    }
}

@Suite struct PretrainingTests {
    @Test(arguments: [BackboneConfiguration.Position.relativeShared, .absolute])
    func theLossFallsBelowTheUnigramEntropy(_ position: BackboneConfiguration.Position) throws {
        let studio = try Studio(plain: true)
        var plan = studio.plan
        (plan.recipe.steps, plan.recipe.averageDecay, plan.recipe.learningRate) = (200, nil, 5e-3)
        (plan.augmentation.area, plan.augmentation.aspect, plan.augmentation.flip) = ([0.98, 1], [1.3, 1.4], 0)
        (plan.augmentation.colorJitter, plan.dropPath, plan.position) = (0, 0, position)
        plan.changes = try ConfigurationPatch(settings: [
            "backbone.width=24", "backbone.heads=3", "backbone.layer_scale=1",
        ])
        let folder = try studio.run(plan, in: "run")
        let steps = try lines(folder).filter { $0["loss"] != nil }
        let losses = steps.compactMap { $0["loss"] as? Double }
        let metrics = try #require(steps.last?["metrics"] as? [String: Double])
        let entropy = try #require(metrics["unigram_entropy"])
        #expect(entropy > 0.7, "the tokens say something: \(metrics)")
        #expect(try #require(losses.last) < entropy - 0.2, "\(losses), \(metrics)")
        #expect(try #require(metrics["accuracy"]) > 0.4, "\(metrics)")
        let best = try Checkpoint.describe(folder.best)
        #expect(best.task == .mim && best.configuration.mim?.vocabulary == 16)
        #expect(best.configuration.backbone?.position == position)
        #expect(best.provenance.tokenizerSHA256 == (try SHA256.hexDigest(ofFile: studio.tokenizer)))
        #expect(best.provenance.metrics?["val_loss"] != nil && best.provenance.metrics?["val_accuracy"] != nil)
        // Two photos are held out: rows; three pictures each: columns.
        let picture = try decodeImage(folder.predictions)
        #expect((picture.width, picture.height) == (3 * 48 + 2 * 4, 2 * 32 + 4))
    }

    @Test(arguments: [2, 3]) func threadsDoNotMatter(_ threads: Int) throws {
        let studio = try Studio()
        let one = try WorkerPool.$scoped.withValue(WorkerPool(threads: 1)) { try studio.run(studio.plan, in: "one") }
        let many = try WorkerPool.$scoped.withValue(WorkerPool(threads: threads)) {
            try studio.run(studio.plan, in: "many")
        }
        #expect(try bits(one.last) == bits(many.last))
        #expect(FileManager.default.contentsEqual(atPath: one.predictions, andPath: many.predictions))
    }

    @Test(arguments: [false, true]) func resumingEqualsNeverHavingStopped(cached: Bool) throws {
        let studio = try Studio()
        var plan = studio.plan
        if cached {
            try studio.saveCache()
            plan.target = .cached(studio.cache, tokenizer: studio.tokenizer)
        }
        let whole = try studio.run(plan, in: "whole"), parts = RunFolder(studio.path + "/parts")
        var trainer: Trainer<MaskedImageObjective>? = try Trainer(plan, folder: parts) { _ in }
        for step in 1...6 {
            try trainer?.run(until: step) { _ in }
            try trainer?.save()
            trainer = step < 6 ? try Trainer(resuming: parts) : nil
        }
        let (expected, found) = try (bits(whole.last), bits(parts.last))
        #expect(expected.keys.contains("objective/token_histogram"))
        #expect(Set(expected.keys) == Set(found.keys))
        for (path, value) in expected { #expect(found[path] == value, "\(path)") }
        #expect(FileManager.default.contentsEqual(atPath: whole.predictions, andPath: parts.predictions))
        #expect(try logLines(parts) == logLines(whole))
    }

    /// Without random crops, a cache and the tokenizer that wrote it are the same to learn from.
    @Test func aCacheIsAsGoodAsItsTokenizer() throws {
        let studio = try Studio()
        try studio.saveCache()
        var plan = studio.plan
        plan.target = .cached(studio.cache, tokenizer: nil)
        let cached = try studio.run(plan, in: "cached")
        #expect(!FileManager.default.fileExists(atPath: cached.predictions))
        #expect(
            try Checkpoint.describe(cached.last).provenance.tokenizerSHA256
                == (try SHA256.hexDigest(ofFile: studio.tokenizer)))
        // The photos in the network's shape: the central part is all of them.
        for name in try PhotoListing(studio.path + "/photos").requireNames() {
            let path = studio.path + "/photos/" + name, photo = try decodeImage(path)
            try writePNG(photo.central(height: 26, width: 39, filter: .bilinear), to: path)
        }
        try studio.saveCache()
        let known = try studio.run(plan, in: "known")
        plan.target = .tokens(studio.tokenizer)
        (plan.augmentation.area, plan.augmentation.aspect) = ([1, 1], [1.5, 1.5])
        (plan.augmentation.flip, plan.augmentation.colorJitter) = (0, 0)
        let seen = try studio.run(plan, in: "seen")
        // Other random numbers are drawn before the masks, so losses differ but little; validation not at all.
        let losses = try [known, seen].compactMap { try Checkpoint.describe($0.best).provenance.metrics?["val_loss"] }
        try #require(losses.count == 2)
        #expect(abs(losses[0] - losses[1]) < 0.1, "\(losses)")
        let caches = try CachedTokens(studio.cache), tokenizer = try VisualTokenizer(studio.tokenizer)
        let path = studio.path + "/photos/103.png"
        let view = try decodeImage(path).central(height: 16, width: 24, filter: .lanczos)
        #expect(try caches.tokens(of: [studio.path + "/photos/./103.png"]) == tokenizer.tokens([view]))
    }

    @Test func aCacheThatDoesNotFitIsRefused() throws {
        let studio = try Studio(photos: 60)
        var plan = studio.plan
        plan.target = .cached(studio.cache, tokenizer: studio.tokenizer)
        func refused() throws -> (String, Int32)? {
            do { _ = try studio.run(plan, in: "run") } catch let error as any BEiTFiles.ExitStatus {
                return ("\(error)", error.exitStatus)
            }
            return nil
        }
        try studio.saveCache(size: [32, 48])
        let grid = try #require(try refused())
        #expect(grid.1 == 64)
        #expect(
            grid.0
                == "`tokens` \(studio.cache) has 8×12 tokens of 32×48 pixels, but the network 4×6 patches: give a cache "
                + "of tokens of the size 16x24, or `size` 64x96")
        try studio.saveCache(leavingOut: ["103.png", "104.png", "105.png", "106.png"])
        let lacking = try #require(try refused())
        #expect(lacking.1 == 65 && lacking.0.contains("4 of 60 photos have no tokens in \(studio.cache)"))
        #expect(lacking.0.contains("photos/103.png"))
        try studio.saveCache()
        try studio.saveTokenizer(seed: 1)
        let other = try #require(try refused())
        #expect(other.1 == 64 && other.0.contains("is of another tokenizer than \(studio.tokenizer)"), "\(other)")
        // Up to one in twenty may be missing.
        try studio.saveCache(leavingOut: ["103.png"])
        var notes: [String] = []
        _ = try Trainer(plan, folder: RunFolder(studio.path + "/few")) { notes.append($0) }
        #expect(notes.contains { $0.contains("57 photos to learn from, 2 held out") }, "\(notes)")
        #expect(notes.contains { $0.contains("left out: \(studio.path)/photos/103.png: it has no tokens") }, "\(notes)")
        // A resumed run wants the same cache.
        let folder = try studio.run(plan, in: "whole")
        try studio.saveCache()
        let error = #expect(throws: TrainingError.self) { try Trainer<MaskedImageObjective>(resuming: folder) }
        #expect(error == .changed(folder: folder.path, what: "\(studio.cache) is another token cache now"))
    }

    /// Every weight has a gradient after one step, the mask token and the shared table among them.
    @Test(arguments: [BackboneConfiguration.Position.relativeShared, .absolute], [false, true])
    func gradientsReachEveryWeight(_ position: BackboneConfiguration.Position, everywhere: Bool) throws {
        let studio = try Studio()
        var plan = studio.plan
        (plan.recipe.steps, plan.dropPath, plan.position, plan.predictsAll) = (1, 0, position, everywhere)
        let state = try bits(studio.run(plan, in: "run").last)
        let moments = state.filter { $0.key.hasPrefix("moments/first/") }
        #expect(moments.keys.contains("moments/first/backbone/mask_token"))
        let table = "moments/first/backbone/rel_pos_bias/relative_position_bias_table"
        #expect(moments.keys.contains(table) == (position == .relativeShared))
        #expect(moments.keys.contains("moments/first/backbone/pos_embed") == (position == .absolute))
        for (path, values) in moments { #expect(values.contains { Float(bitPattern: $0) != 0 }, "\(path)") }
    }

    /// What lies below the mask has no influence on anything that is predicted.
    @Test func theNetworkCannotSeeWhatIsHidden() throws {
        let studio = try Studio()
        let folder = try studio.run(studio.plan, in: "run")
        guard case .mim(let network) = try Checkpoint.load(folder.last, for: .learning).model else {
            Issue.record("another task")
            return
        }
        var draw = Philox(seed: 2)
        let pixels = Tensor((0..<3 * 32 * 48).map { _ in draw.uniform(-1..<1) }, [1, 3, 32, 48])
        let mask = MaskGenerator(rows: 4, columns: 6)(&draw), other = pixels.copy(), visible = pixels.copy()
        for place in 0..<3 * 32 * 48 {
            let isHidden = mask[place / 48 % 32 / 8 * 6 + place % 48 / 8]
            (isHidden ? other : visible).pointer[place] += 0.5
        }
        let logits = [pixels, other, visible].map {
            network(Variable($0), mask: mask, positions: Array(mask.indices), Tape(.inference)).value.values
        }
        #expect(logits[0] == logits[1] && logits[0] != logits[2])
    }

    @Test func resumingWantsTheSamePhotosAndTokenizer() throws {
        let studio = try Studio()
        let folder = try studio.run(studio.plan, in: "run")
        try studio.saveTokenizer(seed: 1)
        let other = #expect(throws: TrainingError.self) { try Trainer<MaskedImageObjective>(resuming: folder) }
        #expect(other == .changed(folder: folder.path, what: "\(studio.tokenizer) is another tokenizer now"))
        try studio.saveTokenizer(seed: 0)
        try FileManager.default.removeItem(atPath: studio.path + "/photos/105.png")
        let fewer = #expect(throws: TrainingError.self) { try Trainer<MaskedImageObjective>(resuming: folder) }
        #expect(fewer == .changed(folder: folder.path, what: "the training images are not the same"))
        let foreign = #expect(throws: TrainingError.self) { try Trainer<SegmentationObjective>(resuming: folder) }
        #expect(foreign?.exitStatus == 65)
    }

    @Test func whatDoesNotFitIsRefusedAtOnce() throws {
        let studio = try Studio()
        let folder = try studio.run(studio.plan, in: "run")
        var plan = studio.plan
        plan.target = .tokens(folder.best)
        let task = #expect(throws: CheckpointError.self) { try studio.run(plan, in: "next") }
        #expect(task == .wrongTask(file: folder.best, found: .mim, wanted: .tokenizer))
        plan.target = .tokens(studio.tokenizer)
        plan.tokenSize = [32, 24]
        let grid = #expect(throws: PlanError.self) { try studio.run(plan, in: "next") }
        #expect(
            grid?.description
                == "`tokenizer` \(studio.tokenizer) has 8×6 tokens of 32×24 pixels, but the network 4×6 patches: give "
                + "`token-size` 16x24, or `size` 64x48")
        plan.tokenSize = nil
        plan.changes = try ConfigurationPatch(settings: ["mim.vocabulary=17"])
        let words = #expect(throws: PlanError.self) { try studio.run(plan, in: "next") }
        #expect(words?.description == "mim.vocabulary is 17, but the tokenizer has 16 words")
        plan.changes = try ConfigurationPatch(settings: ["backbone.patch_size=7"])
        #expect(throws: PlanError.self) { try studio.run(plan, in: "next") }
        (plan.changes, plan.maskedPatches) = (ConfigurationPatch(), 25)
        #expect(throws: PlanError.self) { try studio.run(plan, in: "next") }
        plan.maskedPatches = nil
        plan.initial = .checkpoint(studio.tokenizer)
        #expect(throws: CheckpointError.noBackbone(file: studio.tokenizer, .tokenizer)) {
            try studio.run(plan, in: "next")
        }
        #expect(throws: TrainingError.occupied(folder: folder.path)) { try studio.run(studio.plan, in: "run") }
    }

    /// The head is that of the tokenizer's words: with those of another one it starts at random, the rest stays.
    @Test func theHeadGoesByTheTokenizer() throws {
        let studio = try Studio()
        let parent = try studio.run(studio.plan, in: "run").last
        func start(_ name: String) throws -> (notes: [String], kept: Bool, backbone: Bool) {
            var (plan, notes) = (studio.plan, [String]())
            plan.initial = .checkpoint(parent)
            let folder = RunFolder(studio.path + "/" + name)
            try Trainer(plan, folder: folder) { notes.append($0) }.save()
            let (old, new) = (try bits(parent), try bits(folder.last))
            return (
                notes, old["lm_head/weight"] == new["lm_head/weight"],
                old["backbone/mask_token"] == new["backbone/mask_token"]
            )
        }
        let same = try start("same")
        #expect(same.kept && same.backbone && !same.notes.contains { $0.contains("another tokenizer") })
        try studio.saveTokenizer(seed: 1)
        let other = try start("other")
        #expect(!other.kept && other.backbone && other.notes.contains { $0.contains("words of another tokenizer") })
    }

    /// Photos that have moved have the tokens that they had.
    @Test func movedPhotosFindTheirTokens() throws {
        let studio = try Studio()
        try studio.saveCache()
        var plan = studio.plan
        plan.target = .cached(studio.cache, tokenizer: nil)
        let whole = try studio.run(plan, in: "whole"), parts = RunFolder(studio.path + "/parts")
        let trainer = try Trainer(plan, folder: parts) { _ in }
        try trainer.run(until: 2) { _ in }
        try trainer.save()
        let new = studio.path + "/elsewhere"
        try FileManager.default.moveItem(atPath: studio.path + "/photos", toPath: new)
        #expect(throws: FileError.self) { try Trainer<MaskedImageObjective>(resuming: parts) }
        var changes = RunChanges()
        changes.data = [new]
        let moved = try Trainer<MaskedImageObjective>(resuming: parts, changes)
        try moved.run(until: 4) { _ in }
        try moved.save()
        try Trainer<MaskedImageObjective>(resuming: parts).run { _ in }
        #expect(try bits(whole.last) == bits(parts.last))
    }

    @Test(arguments: MIMConfiguration.PixelTarget.allCases) func pixelsCanBePredicted(
        _ target: MIMConfiguration.PixelTarget
    ) throws {
        let studio = try Studio()
        var plan = studio.plan
        (plan.target, plan.recipe.steps, plan.recipe.averageDecay) = (.pixels(target), 60, nil)
        (plan.masking, plan.maskedPatches) = (.random, 6)
        let folder = try studio.run(plan, in: "run")
        let losses = try lines(folder).compactMap { $0["loss"] as? Double }
        #expect(try #require(losses.last) < 0.9 * losses[0], "\(losses)")
        let best = try Checkpoint.describe(folder.best)
        #expect(best.configuration.mim?.vocabulary == 192 && best.configuration.mim?.pixels == target)
        #expect(best.provenance.tokenizerSHA256 == nil && best.provenance.metrics?["val_accuracy"] == nil)
        #expect(try decodeImage(folder.predictions).width == 3 * 48 + 2 * 4)
        _ = try Trainer<MaskedImageObjective>(resuming: folder)
    }

    /// The definition of the masked autoencoder's `norm_pix_loss`, element by element.
    @Test func pixelTargetsAreThoseOfTheirDefinition() {
        var backbone = BackboneConfiguration()
        (backbone.patchSize, backbone.imageSize) = (2, [4, 6])
        let patches = PatchPixels(backbone: backbone, preprocessing: Preprocessing(size: [4, 6]))
        var draw = Philox(seed: 4)
        let pixels = Tensor((0..<2 * 3 * 24).map { _ in draw.uniform(-1..<1) }, [2, 3, 4, 6])
        let rows = patches.rows(pixels), targets = patches.targets(rows, .normalised)
        #expect(rows.shape == [12, 12] && patches.targets(rows, .raw).values == rows.values)
        for row in 0..<12 {
            let (image, y, x) = (row / 6, row % 6 / 3 * 2, row % 3 * 2)
            let values = (0..<12).map { place in
                let (channel, dy, dx) = (place / 4, place / 2 % 2, place % 2)
                return Double(pixels.values[((image * 3 + channel) * 4 + y + dy) * 6 + x + dx])
            }
            let mean = values.reduce(0, +) / 12
            let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 11
            for place in 0..<12 {
                #expect(rows.values[row * 12 + place] == Float(values[place]))
                let want = (values[place] - mean) / (variance + 1e-6).squareRoot()
                #expect(abs(Double(targets.values[row * 12 + place]) - want) < 1e-5)
            }
        }
        let back = patches.restored(targets, .normalised, as: rows)
        for (value, want) in zip(back.values, rows.values) { #expect(abs(value - want) < 1e-5) }
    }

    /// Counting all patches is another loss than counting the hidden ones.
    @Test func allPatchesCanBePredicted() throws {
        let studio = try Studio()
        var plan = studio.plan
        plan.recipe.steps = 1
        func weights(_ name: String) throws -> [String: [UInt32]] { try bits(studio.run(plan, in: name).last) }
        let hidden = try weights("hidden")
        plan.predictsAll = true
        let all = try weights("all")
        func tokens(_ state: [String: [UInt32]]) throws -> Float {
            try #require(state["objective/token_histogram"]).reduce(0) { $0 + Float(bitPattern: $1) }
        }
        #expect(abs(try tokens(all) - 2 * 3 * 24) < 0.2)
        #expect(try tokens(hidden) < 2 * 3 * 10)
    }

    /// The recipe of the paper; the warm-up of a short run is a tenth of it.
    @Test func theRecipeIsThePapers() throws {
        let full = Recipe.pretraining(batch: 256, accumulate: 8)
        #expect(full.learningRate == 1.5e-3 && full.epochs == 800 && full.clipGradient == 3)
        #expect(Recipe.pretraining(batch: 512).learningRate == 7.5e-4)
        let studio = try Studio()
        var notes: [String] = []
        _ = try Trainer(studio.plan, folder: RunFolder(studio.path + "/run")) { notes.append($0) }
        // Six steps of six of the ten photos.
        #expect(notes.contains { $0.hasPrefix("recipe: ") && $0.contains("warm-up 0.36 epochs") }, "\(notes)")
        #expect(notes.contains { $0.contains("16 words, second view 16×24 pixels") }, "\(notes)")
    }
}

/// Fine-tuning from masked image modeling.
@Suite struct PretrainedStartTests {
    private func segmentation(_ studio: Studio, from checkpoint: String, _ changes: [String]) throws -> SegmentationPlan
    {
        try AtomicFile.write("ground 0 0 0\ndisc 255 0 0\n", to: studio.path + "/set/classes.txt")
        for split in ["train", "val"] {
            let photo = try decodeImage(studio.path + "/photos/101.png")
            let mask = IndexMask(
                width: 40, height: 30, values: (0..<1200).map { photo.pixels[3 * $0] == 220 ? 1 : 0 })
            try writePNG(photo, to: studio.path + "/set/images/\(split)/a.png")
            try writePNG(mask, to: studio.path + "/set/masks/\(split)/a.png")
        }
        var plan = SegmentationPlan(
            data: DatasetOptions([studio.path + "/set"]), initial: .checkpoint(checkpoint), command: "test")
        plan.decoder = DecoderConfiguration(.deconvolution(.init(channels: [8, 4], normGroups: 2)))
        plan.changes = try ConfigurationPatch(settings: changes)
        // Written at once, before any weight has moved.
        (plan.recipe.steps, plan.recipe.batch, plan.recipe.learningRate, plan.recipe.weightDecay) = (1, 1, 0, 0)
        plan.recipe.minimumLearningRate = 0
        return plan
    }

    private func weights(_ path: String) throws -> [String: [Float]] {
        let model = try Checkpoint.load(path, for: .learning).model.module
        return Dictionary(uniqueKeysWithValues: model.parameters.map { ($0.path, $0.parameter.value.values) })
    }

    private static let table = "backbone/rel_pos_bias/relative_position_bias_table"

    @Test(
        arguments: [BackboneConfiguration.Position.relativeShared, .relative, .absolute, .none], [false, true])
    func everyBackboneWeightGoesOver(_ position: BackboneConfiguration.Position, keepsTable: Bool) throws {
        let studio = try Studio(photos: 5)
        var plan = studio.plan
        plan.position = position
        let folder = try studio.run(plan, in: "mim")
        let shared = position == .relativeShared
        let next = try segmentation(
            studio, from: folder.last, shared && keepsTable ? ["backbone.position=relative-shared"] : [])
        var notes: [String] = []
        let result = RunFolder(studio.path + "/segmentation")
        try Trainer(next, folder: result) { notes.append($0) }.run { _ in }
        #expect(
            notes.contains("left out of the checkpoint: backbone/mask_token, lm_head/bias, lm_head/weight"), "\(notes)")
        #expect(notes.contains("starting at random: decoder/blocks, decoder/head"), "\(notes)")
        let wanted: BackboneConfiguration.Position = shared && !keepsTable ? .relative : position
        #expect(try Checkpoint.describe(result.last).configuration.backbone?.position == wanted)
        let (old, new) = try (weights(folder.last), weights(result.last))
        for (path, values) in new where path.hasPrefix("backbone/") {
            let isCopy = shared && path.hasSuffix("/attn/relative_position_bias_table")
            #expect(values == old[isCopy ? Self.table : path], "\(path)")
        }
        #expect(new.keys.contains { $0.hasSuffix("relative_position_bias_table") } == (shared || position == .relative))
    }

    /// Pre-training that goes on from a checkpoint keeps its shared table and its head.
    @Test func pretrainingGoesOnFromACheckpoint() throws {
        let studio = try Studio(photos: 5)
        let folder = try studio.run(studio.plan, in: "mim")
        var plan = studio.plan
        plan.initial = .checkpoint(folder.last)
        (plan.recipe.steps, plan.recipe.learningRate, plan.recipe.minimumLearningRate) = (1, 0, 0)
        let next = try studio.run(plan, in: "next")
        #expect(try weights(next.last) == weights(folder.last))
        #expect(try Checkpoint.describe(next.last).provenance.parentSHA256 == SHA256.hexDigest(ofFile: folder.last))
    }
}
