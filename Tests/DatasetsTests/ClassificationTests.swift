import BEiTImageIO
import BEiTTensorCore
import Foundation
import Testing

@testable import BEiTDatasets

/// What BEiT's fine-tuning does to photos and targets.
@Suite struct ClassificationAugmentationTests {
    private let fill = RGBColor(128, 128, 128)

    private func photo(_ width: Int = 23, _ height: Int = 17) -> RGBImage {
        var generator = Philox(seed: 4)
        return RGBImage(
            width: width, height: height,
            pixels: (0..<3 * width * height).map { UInt8(40 + $0 % 90 + generator.integer(below: 60)) })
    }

    @Test func randAugmentIsReadAsTimmWritesIt() {
        let one = RandAugment("m9-n2"), other = RandAugment("n3-m4.5-mstd1")
        #expect(one == RandAugment() && one?.name == "m9-n2-mstd0.5")
        #expect(other?.operations == 3 && other?.magnitude == 4.5 && other?.deviation == 1)
        for text in ["", "m11", "n0", "n1.5", "m9-", "x9", "m-1", "mnan", "rand-m9"] {
            #expect(RandAugment(text) == nil, "\(text)")
        }
    }

    @Test func randAugmentDependsOnItsGeneratorAlone() {
        let image = photo(), augment = RandAugment()
        var untouched = 0
        for stream in 0..<200 {
            var (a, b) = (Philox(seed: 1, stream: UInt64(stream)), Philox(seed: 1, stream: UInt64(stream)))
            let result = augment(image, fill: fill, &a)
            #expect(result == augment(image, fill: fill, &b) && a == b)
            #expect(result.width == image.width && result.height == image.height)
            if result == image { untouched += 1 }
        }
        // Both operations are left out in a quarter of the cases.
        #expect(30...75 ~= untouched, "\(untouched)")
    }

    /// timm's values at strength 9 of 10.
    @Test func operationsHaveTimmsStrength() {
        func expect(_ operation: RandAugment.Operation, _ negative: Bool = false, _ change: (inout RGBImage) -> Void) {
            var (found, wanted) = (photo(), photo())
            operation.apply(to: &found, strength: 0.9, negative: negative, fill: fill)
            change(&wanted)
            #expect(found == wanted && found != photo(), "\(operation)")
        }
        func moved(_ a: Double, _ b: Double, _ c: Double, _ d: Double, _ e: Double, _ f: Double) -> (inout RGBImage)
            -> Void
        {
            { $0 = $0.transformed(AffineMap(a, b, c, d, e, f), fill: self.fill) }
        }
        expect(.posterize) { $0.posterize(bits: 1) }
        expect(.solarize) { $0.solarize(threshold: 26) }
        expect(.solarizeAdd) { $0.solarize(adding: 99) }
        expect(.color) { $0.adjustSaturation(1 + 0.9 * 0.9) }
        expect(.contrast, true) { $0.adjustContrast(1 - 0.9 * 0.9) }
        expect(.brightness, true) { $0.adjustBrightness(1 - 0.9 * 0.9) }
        expect(.sharpness) { $0.adjustSharpness(1 + 0.9 * 0.9) }
        let (sheer, pan) = (0.3 * Double(Float(0.9)), 0.45 * Double(Float(0.9)))
        expect(.shearX, false, moved(1, sheer, 0, 0, 1, 0))
        expect(.shearY, true, moved(1, 0, 0, -sheer, 1, 0))
        expect(.translateX, true, moved(1, 0, -pan * 23, 0, 1, 0))
        expect(.translateY, false, moved(1, 0, 0, 0, 1, pan * 17))
    }

    @Test func everyOperationTakesEveryStrength() {
        for (operation, strength) in RandAugment.Operation.allCases.flatMap({ op in [0, 0.5, 1].map { (op, $0) } }) {
            for negative in [false, true] {
                var image = photo(5, 4)
                operation.apply(to: &image, strength: Float(strength), negative: negative, fill: fill)
                #expect(image.width == 5 && image.height == 4)
            }
        }
    }

    @Test func erasingStaysWithinItsBounds() {
        let erasing = RandomErasing(probability: 0.25)
        var generator = Philox(seed: 9)
        var hits = 0
        for _ in 0..<4000 {
            guard let box = erasing.rectangle(height: 48, width: 64, &generator) else { continue }
            hits += 1
            #expect(box.rows.lowerBound >= 0 && box.rows.upperBound <= 48 && box.rows.count < 48)
            #expect(box.columns.lowerBound >= 0 && box.columns.upperBound <= 64 && box.columns.count < 64)
            let share = Double(box.rows.count * box.columns.count) / (48 * 64)
            #expect(share > 0.016 && share < 0.35, "\(share)")
            let aspect = Double(box.rows.count) / Double(box.columns.count)
            #expect(aspect > 0.25 && aspect < 4, "\(aspect)")
        }
        #expect(900...1100 ~= hits, "\(hits)")
    }

    @Test func erasedIsNoiseAndTheRestIsNot() {
        let planes = Tensor(repeating: 7, [3, 48, 64])
        var generator = Philox(seed: 2), twin = generator
        let erasing = RandomErasing(probability: 1)
        erasing(planes, &generator)
        let box = erasing.rectangle(height: 48, width: 64, &twin)
        let changed = planes.values.indices.filter { planes.values[$0] != 7 }
        #expect(changed.count == 3 * (box?.rows.count ?? 0) * (box?.columns.count ?? 0))
        #expect(
            changed.allSatisfy { box?.rows.contains($0 / 64 % 48) == true && box?.columns.contains($0 % 64) == true })
        let noise = changed.map { Double(planes.values[$0]) }
        let mean = noise.reduce(0, +) / Double(noise.count)
        let variance = noise.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(noise.count)
        #expect(abs(mean) < 0.2 && abs(variance - 1) < 0.25)
    }

    /// Images of one value each: what a target says of the mixture can then be read off the pixels.
    @Test(arguments: [BatchMixing(mixup: 0.8, cutmix: 0), BatchMixing(mixup: 0, cutmix: 1), BatchMixing()])
    func targetsAreMixedAsThePixelsAre(_ mixing: BatchMixing) {
        let batch = 5, (height, width) = (9, 14)
        var changed = 0
        for stream in 0..<60 {
            let pixels = Tensor(uninitialized: [batch, 3, height, width]), targets = Tensor.zeros([batch, batch])
            for image in 0..<batch {
                pixels.rows(image..<image + 1).buffer.update(repeating: Float(image * image + 1))
                targets.pointer[image * batch + image] = 1
            }
            var generator = Philox(seed: 3, stream: UInt64(stream))
            mixing(pixels, targets, &generator)
            for image in 0..<batch {
                let row = targets.rows(image..<image + 1).values
                #expect(abs(row.reduce(0, +) - 1) < 1e-5 && row.allSatisfy { $0 >= 0 })
                let values = pixels.rows(image..<image + 1).values
                let mean = values.reduce(0, +) / Float(values.count)
                let wanted = row.enumerated().reduce(Float(0)) { $0 + $1.element * Float($1.offset * $1.offset + 1) }
                #expect(abs(mean - wanted) < 2e-3, "\(mean) \(wanted)")
                // CutMix takes whole pixels; mixup is the same everywhere.
                let kinds = Set(values.map { ($0 * 1000).rounded() })
                #expect(kinds.count <= (mixing.mixup == 0 ? 2 : mixing.cutmix == 0 ? 1 : 2))
                if row[image] < 0.999, image != batch / 2 { changed += 1 }
                if image == batch / 2 { #expect(abs(row[image] - 1) < 1e-5) }
            }
        }
        #expect(changed > 100)
    }

    @Test func betaHasItsMoments() {
        for alpha in [0.2, 0.8, 1, 3] {
            var generator = Philox(seed: 8)
            let draws = (0..<20_000).map { _ in generator.beta(alpha) }
            #expect(draws.allSatisfy { 0...1 ~= $0 })
            let mean = draws.reduce(0, +) / 20_000
            let variance = draws.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 20_000
            #expect(abs(mean - 0.5) < 0.01)
            #expect(abs(variance - 1 / (4 * (2 * alpha + 1))) < 0.004, "\(alpha): \(variance)")
        }
    }
}

/// Class folders: layout, order, mistakes, batches.
@Suite struct ClassFolderTests {
    private func folders() throws -> GeneratedSet {
        let set = try GeneratedSet()
        for name in ["train/ant/1.png", "train/ant/deep/2.png", "train/Zebra/1.JPG.png", "train/bee/x.png"] {
            try set.photo(name, width: 12, height: 9)
        }
        try set.photo("val/bee/y.png", width: 9, height: 12)
        return set
    }

    @Test func classesAreInByteOrder() throws {
        let set = try folders()
        let found = try ClassFolders([set.path], DatasetSplit.allCases)
        #expect(found.classes == ["Zebra", "ant", "bee"])
        #expect(found.counts(.train) == [1, 2, 1] && found.counts(.val) == [0, 0, 1])
        #expect(found.images(.val) == [ClassifiedImage(path: set.path + "/val/bee/y.png", label: 2)])
        #expect(found.lines.contains { $0.hasPrefix("warning: val has no photo of Zebra, ant") }, "\(found.lines)")
        try found.checkForTraining()
    }

    @Test func severalSetsGiveTheUnion() throws {
        let (one, two) = (try folders(), try GeneratedSet())
        try two.photo("train/bee/1.png")
        try two.photo("train/cat/1.png")
        let both = try ClassFolders([one.path, two.path], DatasetSplit.allCases)
        #expect(both.classes == ["Zebra", "ant", "bee", "cat"] && both.counts(.train) == [1, 2, 2, 1])
        #expect(both.fingerprint != (try ClassFolders([one.path], DatasetSplit.allCases)).fingerprint)
    }

    private func expect(_ text: String, status: Int32 = 65, _ change: (GeneratedSet) throws -> Void) throws {
        let set = try folders()
        try change(set)
        let error = #expect(throws: DatasetError.self) {
            try ClassFolders([set.path], DatasetSplit.allCases).checkForTraining()
        }
        #expect(error?.description.contains(text) == true && error?.exitStatus == status, "\(error as Any)")
    }

    @Test func mistakesAreNamed() throws {
        try expect("there is no such data folder", status: 66) { try FileManager.default.removeItem(atPath: $0.path) }
        try expect("has no folder train") { try FileManager.default.removeItem(atPath: $0.path + "/train") }
        try expect("train/empty: the class has no photo") { try $0.write("", to: "train/empty/notes.txt") }
        try expect("val has the class wasp, of which train has no readable photo") { try $0.photo("val/wasp/1.png") }
        try expect("one class only, bee") {
            for name in ["ant", "Zebra"] { try FileManager.default.removeItem(atPath: $0.path + "/train/" + name) }
        }
        try expect("1 photo in no class folder") {
            try FileManager.default.removeItem(atPath: $0.path + "/train")
            try $0.photo("train/1.png")
        }
        try expect("2 of 6 photos cannot be read") {
            for name in ["p", "q"] { try $0.write("no photo", to: "train/bee/\(name).jpg") }
        }
    }

    @Test func anUnreadablePhotoIsLeftOut() throws {
        let set = try folders()
        try set.write("no photo", to: "train/bee/bad.jpg")
        let found = try ClassFolders([set.path], DatasetSplit.allCases)
        #expect(found.counts(.train) == [1, 2, 1] && found.unreadable.count == 1)
        #expect(found.lines.contains { $0.contains("left out") && $0.contains("bee/bad.jpg") })
    }

    private func batches(_ set: GeneratedSet) throws -> ClassificationBatches {
        let found = try ClassFolders([set.path], DatasetSplit.allCases)
        let images = found.images(.train)
        return ClassificationBatches(
            PhotoPaths(images.map(\.path)), labels: images.map(\.label), classes: 3, size: [8, 12],
            mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]
        ) { _ in }
    }

    private var plain: ClassificationAugmentation {
        var result = ClassificationAugmentation()
        result.mixing = BatchMixing(mixup: 0, cutmix: 0)
        return result
    }

    @Test func aPhotoDependsOnItsPlaceAlone() throws {
        let set = try folders()
        let batches = try batches(set)
        let two = try batches.training([(1, 10), (0, 11)], seed: 3, plain)
        let one = try batches.training([(0, 11)], seed: 3, plain)
        #expect(two.pixels.shape == [2, 3, 8, 12] && two.labels.count == 2)
        #expect(two.pixels.rows(1..<2).values == one.pixels.values)
        #expect(try batches.training([(0, 12)], seed: 3, plain).pixels.values != one.pixels.values)
        #expect(try batches.training([(0, 11)], seed: 4, plain).pixels.values != one.pixels.values)
    }

    @Test func aMixedBatchIsAFunctionOfItsPlaces() throws {
        let set = try folders()
        let batches = try batches(set)
        let members = [(1, 10), (0, 11), (3, 12), (2, 13)]
        let mixed = try batches.training(members, seed: 3, ClassificationAugmentation())
        let again = try batches.training(members, seed: 3, ClassificationAugmentation())
        #expect(mixed.pixels.values == again.pixels.values && mixed.targets.values == again.targets.values)
        #expect(mixed.targets.values != (try batches.training(members, seed: 3, plain)).targets.values)
    }

    @Test func targetsAreSmoothed() throws {
        let set = try folders()
        let batch = try batches(set).training([(0, 0), (3, 1)], seed: 0, plain)
        for (row, label) in batch.labels.enumerated() {
            for k in 0..<3 {
                let wanted: Float = 0.1 / 3 + (k == label ? 0.9 : 0)
                #expect(abs(batch.targets.values[row * 3 + k] - wanted) < 1e-6)
            }
        }
    }
}
