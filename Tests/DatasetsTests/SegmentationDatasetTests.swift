import BEiTDatasets
import BEiTImageIO
import Foundation
import Testing

@Suite struct SegmentationDatasetTests {
    private let void = LabelMap.void

    @Test func classListHasNamesWithSpacesAndColors() throws {
        let set = try GeneratedSet.folders()
        let classes = try SegmentationDataset(DatasetOptions([set.path])).classes
        #expect(classes.map(\.name) == ["sky", "tall grass"])
        #expect(classes.map(\.color) == [RGBColor(0, 0, 255), RGBColor(0, 255, 0)])
    }

    @Test(arguments: [
        "sky 0 0 256\n", "sky 0 0\n", "sky 70 130 180 # blue\n", "x 1 2.5 3\n",
        "sky 1 2 3\nsky 3 2 1\n", "# nothing\n",
    ])
    func badClassListNamesItsFile(_ text: String) throws {
        let set = try GeneratedSet.folders(classes: text)
        let error = #expect(throws: DatasetError.self) { try SegmentationDataset(DatasetOptions([set.path])) }
        #expect(error?.path.hasSuffix("classes.txt") == true)
        #expect(error?.exitStatus == 65)
    }

    @Test func aNumberMayBelongToAName() throws {
        let set = try GeneratedSet.folders(
            classes: "lane 2\nlane 3 9 8 7\nleft turn lane 2\nleft turn lane 3\narea 51 north gate\n")
        let classes = try SegmentationDataset(DatasetOptions([set.path])).classes
        #expect(
            classes.map(\.name) == ["lane 2", "lane 3", "left turn lane 2", "left turn lane 3", "area 51 north gate"])
        #expect(classes[1].color == RGBColor(9, 8, 7))
    }

    @Test func pairsAreSortedAndIncompleteOnesNamed() throws {
        let set = try GeneratedSet.folders()
        for name in ["c", "b", "sub/d"] { try set.photo("images/train/\(name).png") }
        for name in ["c", "sub/d", "lonely"] { try set.mask("masks/train/\(name).png", [0]) }
        let found = try SegmentationDataset(DatasetOptions([set.path])).images(.train)
        #expect(found.pairs.map(\.image) == ["a", "c", "sub/d"].map { "\(set.path)/images/train/\($0).png" })
        #expect(found.pairs.map(\.mask) == ["a", "c", "sub/d"].map { "\(set.path)/masks/train/\($0).png" })
        #expect(found.incomplete == ["\(set.path)/images/train/b.png"])
        #expect(found.spareMasks == ["\(set.path)/masks/train/lonely.png"])
    }

    @Test func severalSetsShareTheirClassesByName() throws {
        let one = try GeneratedSet.folders(classes: "background\ncat\n", [0, 1, 255])
        let two = try GeneratedSet.folders(classes: "background\nskin\ncat\n", [0, 1, 2])
        let dataset = try SegmentationDataset(DatasetOptions([one.path, two.path]))
        #expect(dataset.classes.map(\.name) == ["background", "cat", "skin"])
        let pairs = try dataset.images(.train).pairs
        #expect(try dataset.loadMask(pairs[0]).values.prefix(4) == [0, 1, void, 0])
        #expect(try dataset.loadMask(pairs[1]).values.prefix(4) == [0, 2, 1, 0])
    }

    @Test func aBackgroundMayBeWhatItsSetDoesNotLabel() throws {
        let pets = try GeneratedSet.folders(classes: "background\ncat\ndog\n", [0, 1, 2])
        let people = try GeneratedSet.folders(classes: "skin\n_background_\n", [0, 1, 255])
        let streets = try GeneratedSet.folders(classes: "road\ndog\n", [0, 1])
        let dataset = try SegmentationDataset(DatasetOptions([pets.path, people.path, streets.path]))
        #expect(dataset.classes.map(\.name) == ["background", "cat", "dog", "skin", "_background_", "road"])
        #expect(dataset.labelled == [[0, 1, 2], [3, 4], [5, 2]])
        #expect(dataset.backgrounds.map { $0?.index } == [0, 4, nil])
        #expect(dataset.backgrounds.map { $0?.others ?? [] } == [[3, 4, 5], [0, 1, 2, 5], []])
        // Behind the classes each such background has a label of its own; that of a set without one is its class.
        let photos = LabelledFiles(dataset, try dataset.images(.train).pairs)
        let batches = SegmentationBatches(
            photos, size: [5, 7], scaling: PixelScaling(mean: [0, 0, 0], std: [1, 1, 1]),
            BackgroundLabels(classes: 6, dataset.backgrounds)
        ) { _ in }
        var augmentation = Augmentation()
        (augmentation.area, augmentation.aspect, augmentation.flip) = ([1, 1], [1.4, 1.4], 0)
        let labels = try batches.training([(2, 0), (1, 1), (0, 2)], seed: 0, augmentation).labels
        #expect(labels.count == 3 * 35)
        #expect(labels[0..<2] == [5, 2] && labels[35..<38] == [3, 7, Int32(void)] && labels[70..<73] == [6, 1, 2])
        #expect(photos.counts(sets: 3) == [1, 1, 1])
    }

    /// Lists that are the same leave nothing to share; a label map says what a set labels.
    @Test func backgroundsThatAreAlikeAreClasses() throws {
        let one = try GeneratedSet.folders(classes: "background\ncat\n", [0, 1])
        let two = try GeneratedSet.folders(classes: "cat\nbackground\n", [0, 1])
        let same = try SegmentationDataset(DatasetOptions([one.path, two.path]))
        #expect(same.backgrounds == [nil, nil] && same.backgroundLines(isShared: true).isEmpty)
        try two.write("0 cat\n1 void\n", to: "two.map")
        var options = DatasetOptions([one.path, two.path])
        options.labelMaps = [nil, two.path + "/two.map"]
        #expect(try SegmentationDataset(options).labelled == [[0, 1], [1]])
        #expect(try SegmentationDataset(options).backgrounds == [nil, nil])
    }

    @Test func setsAreNamedByTheEndsOfTheirPaths() {
        #expect(DatasetOptions(["/data/pets/", "ccp"]).names == ["pets", "ccp"])
        #expect(DatasetOptions(["a/x/pets", "b/x/pets", "/c"]).names == ["a/x/pets", "b/x/pets", "c"])
        #expect(DatasetOptions(["pets", "./pets"]).names == ["pets 1", "pets 2"])
    }

    @Test func ade20kShiftsItsLabels() throws {
        let set = try GeneratedSet()
        try set.photo("images/training/a.png")
        try set.mask("annotations/training/a.png", [0, 1, 150, 255])
        let dataset = try SegmentationDataset(DatasetOptions([set.path]))
        #expect(dataset.classes.count == 150)
        #expect(try dataset.loadMask(dataset.images(.train).pairs[0]).values.prefix(4) == [void, 0, 149, void])
        #expect(try dataset.images(.val).pairs.isEmpty)
    }

    @Test func vocFollowsItsLists() throws {
        let set = try GeneratedSet()
        for name in ["x", "y", "z"] {
            try set.photo("JPEGImages/\(name).png")
            try set.mask("SegmentationClass/\(name).png", [0, 20, 255])
        }
        try set.write("z\nx\n", to: "ImageSets/Segmentation/train.txt")
        try set.write("y\n", to: "ImageSets/Segmentation/val.txt")
        let dataset = try SegmentationDataset(DatasetOptions([set.path]))
        let names = { (split: DatasetSplit) in
            try dataset.images(split).pairs.map { ($0.image as NSString).lastPathComponent }
        }
        #expect(try names(.train) == ["z.png", "x.png"])
        #expect(try names(.val) == ["y.png"])
        #expect(dataset.classes[20].name == "tvmonitor")
    }

    @Test func cityscapesTurnsIdsIntoTrainIds() throws {
        let set = try GeneratedSet()
        try set.photo("leftImg8bit/train/ulm/ulm_1_leftImg8bit.png")
        try set.mask("gtFine/train/ulm/ulm_1_gtFine_labelIds.png", [7, 8, 33, 0, 9, 255])
        try set.mask("gtFine/train/ulm/ulm_1_gtFine_color.png", [99])
        let dataset = try SegmentationDataset(DatasetOptions([set.path]))
        #expect(try dataset.loadMask(dataset.images(.train).pairs[0]).values.prefix(6) == [0, 1, 18, void, void, void])
    }

    @Test func camvidsEleventhLabelIsVoid() throws {
        let set = try GeneratedSet()
        try set.photo("train/a.png")
        try set.mask("trainannot/a.png", [0, 10, 11])
        let dataset = try SegmentationDataset(DatasetOptions([set.path]))
        #expect(try dataset.loadMask(dataset.images(.train).pairs[0]).values.prefix(3) == [0, 10, void])
    }

    @Test func aLabelMapGivesValuesTheirClass() throws {
        let set = try GeneratedSet.folders([10, 20, 30])
        try set.write("10 tall grass\n20 sky\n30 void\n", to: "map.txt")
        var options = DatasetOptions([set.path])
        options.labelMaps = [set.path + "/map.txt"]
        let dataset = try SegmentationDataset(options)
        #expect(try dataset.loadMask(dataset.images(.train).pairs[0]).values.prefix(3) == [1, 0, void])
    }

    @Test func eachSetHasItsOwnLabelMap() throws {
        let pets = try GeneratedSet.folders(classes: "background\ncat\ndog\n", [0, 1, 2])
        let people = try GeneratedSet.folders(classes: "background 1 1 1\nskin\nhair\nbag\n", [0, 1, 2, 3, 9])
        let streets = try GeneratedSet.folders(classes: "road 9 9 9\ndog\n", [0, 1])
        try people.write("0 background\n1 tall person 1 2 3\n2 tall person\n3 void\n9 dog\n", to: "people.map")
        var options = DatasetOptions([pets.path, people.path, streets.path])
        options.labelMaps = [nil, people.path + "/people.map", nil]
        let dataset = try SegmentationDataset(options)
        // Of the set with a map, the classes that its map names: neither hair nor bag is learned.
        #expect(dataset.classes.map(\.name) == ["background", "cat", "dog", "tall person", "road"])
        #expect(dataset.classes[3].color == RGBColor(1, 2, 3))
        let pairs = try dataset.images(.train).pairs
        #expect(try dataset.loadMask(pairs[0]).values.prefix(3) == [0, 1, 2])
        #expect(try dataset.loadMask(pairs[1]).values.prefix(5) == [0, 3, 3, void, 2])
        #expect(try dataset.loadMask(pairs[2]).values.prefix(2) == [4, 2])
        #expect(dataset.mapping[1].contains("0 → background, 1 2 → tall person, 3 → void, 9 → dog"))
        #expect(!dataset.mapping[0].contains("labels by"))
    }

    @Test(arguments: [
        ("1 caat\n", "caat"), ("cat 1\n", "cat 1"), ("1\n", "`1`"), ("1 cat\n1 void\n", "twice"),
        ("0 void\n", "no class"),
    ])
    func aWrongLabelMapIsSaid(_ text: String, _ reason: String) throws {
        let set = try GeneratedSet.folders(classes: "background\ncat\n")
        try set.write(text, to: "map.txt")
        var options = DatasetOptions([set.path])
        options.labelMaps = [set.path + "/map.txt"]
        let error = #expect(throws: DatasetError.self) { try SegmentationDataset(options) }
        #expect(error?.path.hasSuffix("map.txt") == true && error?.reason.contains(reason) == true, "\(error as Any)")
        options.labelMaps = [nil, "x"]
        #expect(options.problem?.contains("2 label maps for 1 data sets") == true)
    }

    @Test func whatIsMissingOrUnknownIsSaid() throws {
        let set = try GeneratedSet()
        #expect(throws: DatasetError.self) { try DatasetLayout.detect(set.path) }
        let error = #expect(throws: DatasetError.self) { try DatasetLayout.detect(set.path + "/nowhere") }
        #expect(error?.exitStatus == 66)
    }
}

@Suite struct DataCheckTests {
    @Test func countsThePixelsOfEachClass() throws {
        let set = try GeneratedSet.folders()
        let check = try DataCheck(SegmentationDataset(DatasetOptions([set.path])))
        #expect(check.trainingPixels == [12, 12])
        #expect(check.splits.map(\.findings.void) == [11, 11])
        #expect(check.lines.contains("train: 1 image; pixels: sky 34.3 %, tall grass 34.3 %, void 31.4 %"))
        try check.verdict()
    }

    @Test func aLabelOutsideTheClassesIsAnErrorThatNamesFileAndValue() throws {
        let set = try GeneratedSet.folders([0, 1, 2])
        let check = try DataCheck(SegmentationDataset(DatasetOptions([set.path])))
        let error = #expect(throws: DatasetError.self) { try check.verdict() }
        #expect(
            error?.description.contains("masks/train/a.png: holds the label 2, which is none of the 2 classes") == true)
        #expect(error?.description.hasSuffix("(and 1 more)") == true)
        #expect(error?.exitStatus == 65)
    }

    @Test func sizesThatDifferAreAnError() throws {
        let set = try GeneratedSet.folders()
        try set.mask("masks/val/a.png", [0], width: 5, height: 7)
        let check = try DataCheck(SegmentationDataset(DatasetOptions([set.path])))
        let error = #expect(throws: DatasetError.self) { try check.verdict() }
        #expect(error?.description.contains("is 5×7 pixels, but \(set.path)") == true)
    }

    @Test func whatHasNoCounterpartIsLeftOutWithAWarning() throws {
        let set = try GeneratedSet.folders()
        try set.photo("images/train/lonely.png")
        try set.mask("masks/val/spare.png", [0])
        let check = try DataCheck(SegmentationDataset(DatasetOptions([set.path])))
        try check.verdict()
        #expect(check.lines.contains { $0.hasPrefix("warning: 1 photo without a mask") && $0.contains("lonely.png") })
        #expect(check.lines.contains { $0.hasPrefix("warning: 1 mask without a photo") && $0.contains("spare.png") })
    }
}
