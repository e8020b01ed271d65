import Foundation
import Testing

@testable import BEiTDatasets

@Suite struct PairingTests {
    private func names(_ found: PairedFiles) -> [String] {
        found.pairs.map {
            ($0.image as NSString).lastPathComponent + " " + ($0.mask as NSString).lastPathComponent
        }
    }

    private func set(photos: [String], masks: [String], in folders: (String, String) = ("i", "m")) throws
        -> GeneratedSet
    {
        let set = try GeneratedSet()
        for name in photos { try set.photo(folders.0 + "/" + name) }
        for name in masks { try set.mask(folders.1 + "/" + name, [0, 1]) }
        return set
    }

    private func files(_ set: GeneratedSet, _ ending: String? = nil, in folders: (String, String) = ("i", "m")) throws
        -> PairedFiles
    {
        try Pairing(images: set.path + "/" + folders.0, masks: set.path + "/" + folders.1, maskEnding: ending).files()
    }

    @Test(
        arguments: [
            (["a_mask.png", "b_mask.png"], nil), (["a_labelIds.png", "b_labelIds.png"], "_labelIds"),
            (["a.png.png", "b.png.png"], nil), (["a-seg.png", "b-seg.png"], "-seg"), (["a.png", "b.png"], ""),
        ] as [([String], String?)])
    func masksMayEndInMoreThanTheirPhotos(_ masks: [String], _ ending: String?) throws {
        let set = try set(photos: ["a.png", "b.png"], masks: masks)
        #expect(names(try files(set, ending)) == zip(["a.png", "b.png"], masks).map { "\($0) \($1)" })
    }

    @Test func anEndingThatIsFoundIsNoted() throws {
        let found = try files(set(photos: ["a.png", "a1.png"], masks: ["a_mask.png", "a1_mask.png"]))
        #expect(names(found) == ["a.png a_mask.png", "a1.png a1_mask.png"])
        #expect(found.notes.count == 1 && found.notes[0].text.contains("`_mask`") && found.spareMasks.isEmpty)
    }

    /// Of two masks of one photo the PNG counts; what loses values is none.
    @Test func masksMayBeOfOtherExactFormats() throws {
        let set = try set(photos: ["a.jpg", "b.jpg", "c.jpg"], masks: ["a.pgm", "b.bmp", "b.png", "c.jpg"])
        let found = try Pairing(images: set.path + "/i", masks: set.path + "/m", maskEnding: nil).files()
        #expect(names(found) == ["a.jpg a.pgm", "b.jpg b.png"])
    }

    @Test func severalEndingsAreNotGuessed() throws {
        let set = try set(photos: ["a.png"], masks: ["a_color.png", "a_labelIds.png"])
        let error = #expect(throws: DatasetError.self) { try files(set) }
        #expect(error?.topic == .suffix && error?.reason.contains("`_color` (1), `_labelIds` (1)") == true)
        #expect(names(try files(set, "_labelIds")) == ["a.png a_labelIds.png"])
    }

    @Test func photosWhoseMaskEndsInMoreAreSaid() throws {
        let found = try files(set(photos: ["a.png", "b.png"], masks: ["a.png", "b_mask.png"]))
        #expect(names(found) == ["a.png a.png"] && found.incomplete.count == 1)
        #expect(found.notes.count == 1 && found.notes[0].isWarning && found.notes[0].text.contains("b_mask.png"))
    }

    @Test(
        arguments: [
            (["a.jpg", "b.jpg"], ["a.png", "b.png"]), (["a.png", "b.png"], ["a_mask.png", "b_mask.png"]),
            (["a.jpg", "b.jpg"], ["a.jpg.png", "b.jpg.png"]),
        ])
    func photosAndMasksMayLieInOneFolder(_ photos: [String], _ masks: [String]) throws {
        let folders = ("one", "one")
        let set = try set(photos: photos, masks: masks, in: folders)
        let found = try files(set, in: folders)
        #expect(names(found) == zip(photos, masks).map { "\($0) \($1)" })
        #expect(found.incomplete.isEmpty && found.spareMasks.isEmpty)
    }

    @Test func linksToFoldersAreFollowed() throws {
        let set = try set(photos: ["x/a.png"], masks: ["x/a.png"], in: ("real", "labels"))
        try FileManager.default.createDirectory(atPath: set.path + "/i", withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(atPath: set.path + "/i/x", withDestinationPath: "../real/x")
        try FileManager.default.createSymbolicLink(atPath: set.path + "/m", withDestinationPath: "labels")
        #expect(names(try files(set)) == ["a.png a.png"])
    }

    @Test(arguments: [
        "my photo\nb\n", "my photo.png\nb.png\n", "\u{FEFF}my photo\r\nb\r\n",
        "/JPEGImages/my photo.png /SegmentationClass/my photo.png\n/JPEGImages/b.png /SegmentationClass/b.png\n",
        "  my photo  \n\nb",
    ])
    func listsOfASplit(_ list: String) throws {
        let set = try set(
            photos: ["my photo.png", "b.png", "c.png"], masks: ["my photo.png", "b.png", "c.png"],
            in: ("JPEGImages", "SegmentationClass"))
        try set.write(list, to: "ImageSets/Segmentation/train.txt")
        let found = try SegmentationDataset(DatasetOptions([set.path])).images(.train)
        #expect(names(found) == ["my photo.png my photo.png", "b.png b.png"] && found.incomplete.isEmpty)
    }

    @Test func aSplitGoesByItsName() throws {
        let set = try GeneratedSet.folders()
        try set.photo("images/test/t.png")
        try set.mask("masks/test/t.png", [0])
        let dataset = try SegmentationDataset(DatasetOptions([set.path]))
        #expect(names(try dataset.images(DatasetSplit(rawValue: "test"))) == ["t.png t.png"])
        let error = #expect(throws: DatasetError.self) { try dataset.images(DatasetSplit(rawValue: "tset")) }
        #expect(error?.reason.contains("test, train, val") == true && error?.topic == .split)
    }

    @Test func aShareIsHeldOutWhereThereIsNoVal() throws {
        let set = try GeneratedSet()
        try set.write("a\nb\n", to: "classes.txt")
        for index in 0..<40 {
            try set.photo("images/p\(index).png")
            try set.mask("masks/p\(index).png", [0, 1])
        }
        var options = DatasetOptions([set.path])
        #expect(try SegmentationDataset(options).images(.train).pairs.count == 40)
        #expect(try SegmentationDataset(options).images(.val).pairs.isEmpty)
        options.validationShare = 0.25
        let train = try SegmentationDataset(options).images(.train).pairs,
            val = try SegmentationDataset(options).images(.val).pairs
        #expect(train.count + val.count == 40 && (4...16).contains(val.count))
        #expect(Set(train.map(\.image)).isDisjoint(with: val.map(\.image)))
        // A photo stays where it is when another one comes.
        try set.photo("images/p0a.png")
        try set.mask("masks/p0a.png", [0, 1])
        let after = try SegmentationDataset(options).images(.val).pairs.filter { !$0.image.hasSuffix("p0a.png") }
        #expect(after == val)
    }
}
