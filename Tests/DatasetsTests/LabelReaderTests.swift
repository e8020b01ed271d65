import BEiTImageIO
import Foundation
import Testing

@testable import BEiTDatasets

@Suite struct LabelReaderTests {
    private static let void = LabelMap.void
    private var void: UInt16 { Self.void }
    private let classes = [
        LabelClass(name: "a", color: RGBColor(0, 0, 0)), LabelClass(name: "b", color: RGBColor(255, 0, 0)),
        LabelClass(name: "c", color: RGBColor(0, 0, 255)),
    ]

    private func read(
        _ values: [UInt16], palette: [RGBColor]? = nil, classes: [LabelClass]?,
        _ change: (inout LabelRules) -> Void = { _ in }
    ) throws -> (values: [UInt16], notes: [LabelNote]) {
        let set = try GeneratedSet()
        let path = set.path + "/m.png"
        try writePNG(IndexMask(width: values.count, height: 1, values: values, palette: palette), to: path)
        var rules = LabelRules()
        change(&rules)
        let reader = try LabelReader(rules, classes)
        return (try reader.classes(of: path).values, reader.notes)
    }

    /// The ignored value is the file's; the reduction neither moves it nor makes another one void.
    @Test(
        arguments: [
            (1, [void, void, 1, 2]), (2, [void, 0, void, 2]), (3, [void, 0, 1, void]), (0, [void, 0, 1, 2]),
            (255, [void, 0, 1, 2]),
        ] as [(Int, [UInt16])])
    func reducingVoidsZeroAndTheIgnoredValueAlone(_ ignore: Int, _ wanted: [UInt16]) throws {
        let found = try read([0, 1, 2, 3], classes: classes) {
            ($0.reducesZeroLabel, $0.ignoreIndex) = (true, ignore)
        }
        #expect(found.values == wanted)
    }

    @Test func binaryMasksHave255AsTheirSecondClass() throws {
        let found = try read([0, 255, 1, 255], classes: Array(classes.prefix(2))) { $0.isBinary = true }
        #expect(found.values == [0, 1, 1, 1])
        let plain = try read([0, 255, 1, 255], classes: Array(classes.prefix(2)))
        #expect(plain.values == [0, void, 1, void])
        #expect(throws: OutsideClasses.self) {
            try read([0, 7], classes: Array(classes.prefix(2))) { $0.isBinary = true }
        }
        #expect(throws: DatasetError.self) { try read([0], classes: classes) { $0.isBinary = true } }
    }

    @Test func aPaletteInAnotherOrderIsReadByColour() throws {
        let colors = classes.map(\.color)
        let turned = [colors[2], colors[0], colors[1]]
        let found = try read([0, 1, 2, 255], palette: turned, classes: classes)
        #expect(found.values == [2, 0, 1, void])
        #expect(found.notes.count == 1 && found.notes[0].text.contains("palette of another order"))
        let same = try read([0, 1, 2, 255], palette: colors, classes: classes)
        #expect(same.values == [0, 1, 2, void] && same.notes.isEmpty)
        // The colours that occur, in the order in which they do.
        #expect(try read([0, 1], palette: [colors[2], colors[0]], classes: classes).values == [2, 0])
        // A palette of its own, a label map's business, and two classes of one colour say nothing.
        #expect(try read([0, 1, 2], palette: ColorMap.colors(3), classes: classes).values == [0, 1, 2])
        #expect(try read([1, 2], palette: turned, classes: classes) { $0.reducesZeroLabel = true }.values == [0, 1])
        let grey = classes.map { LabelClass(name: $0.name, color: RGBColor(9, 9, 9)) }
        #expect(try read([0, 1, 2], palette: turned, classes: grey).values == [0, 1, 2])
    }

    @Test func picturesAreReadByTheClassesColours() throws {
        let set = try GeneratedSet()
        let path = set.path + "/m.png"
        func write(_ colors: [RGBColor]) throws {
            try writePNG(
                RGBImage(width: colors.count, height: 1, pixels: colors.flatMap { [$0.red, $0.green, $0.blue] }),
                to: path)
        }
        let reader = try LabelReader(LabelRules(), classes)
        try write([classes[2].color, classes[0].color, classes[1].color, RGBColor(224, 224, 192)])
        #expect(try reader.classes(of: path).values == [2, 0, 1, void])
        #expect(reader.notes.map(\.text).contains { $0.hasPrefix("1 RGB mask") })
        try write([classes[2].color, RGBColor(1, 2, 3)])
        let error = #expect(throws: ImageError.self) { try reader.classes(of: path) }
        #expect(error?.description.contains("the colour 1 2 3") == true)
    }

    // MARK: Orientation

    /// Masks of a photo that its Exif turns: by size where it lies on its side, else as said.
    @Test(arguments: [2, 3, 4, 5, 6, 7, 8] as [UInt16])
    func masksOfTurnedPhotos(_ number: UInt16) throws {
        let turn = try #require(Orientation(rawValue: number))
        let set = try GeneratedSet()
        let photo = set.path + "/p.png"
        try PNGWithExif.write(width: 3, height: 2, orientation: UInt8(number), to: photo)
        let stored = IndexMask(width: 3, height: 2, values: [0, 1, 2, 3, 4, 5])
        let upright = stored.turned(turn)
        func read(_ mask: IndexMask, _ orientation: MaskOrientation) throws -> (IndexMask, [LabelNote]) {
            try writePNG(mask, to: set.path + "/m.png")
            var rules = LabelRules()
            rules.orientation = orientation
            let reader = try LabelReader(rules, LabelClass.unnamed(6))
            return (try reader.mask(of: LabelledImage(image: photo, mask: set.path + "/m.png")), reader.notes)
        }
        #expect(try read(upright, .upright).0 == upright && read(stored, .stored).0 == upright)
        let taken = try read(stored, .upright)
        if turn.exchangesSides {
            #expect(taken.0 == upright && taken.1.first?.isWarning == false)
            #expect(try read(upright, .stored).0 == upright)
        } else {
            #expect(taken.0 == stored && taken.1.first?.topic == .orientation && taken.1.first?.isWarning == true)
        }
    }

    @Test func aSizeOfNeitherIsAnError() throws {
        let set = try GeneratedSet()
        try set.photo("p.png", width: 4, height: 3)
        try set.mask("m.png", [0], width: 3, height: 4)
        let reader = try LabelReader(LabelRules(), classes)
        #expect(throws: DatasetError.self) {
            try reader.mask(of: LabelledImage(image: set.path + "/p.png", mask: set.path + "/m.png"))
        }
    }
}

/// A grey PNG with an eXIf block.
enum PNGWithExif {
    static func write(width: Int, height: Int, orientation: UInt8, to path: String) throws {
        let exif: [UInt8] = [
            0x49, 0x49, 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0,
        ]
        var bytes = try encodePNG(
            RGBImage(width: width, height: height, pixels: [UInt8](repeating: 7, count: 3 * width * height)),
            compression: 6)
        // Behind the signature and the header.
        bytes.insert(contentsOf: chunk("eXIf", exif), at: 33)
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    private static func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
        let body = Array(type.utf8) + data
        var sum: UInt32 = .max
        for byte in body {
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = sum & 1 == 1 ? sum >> 1 ^ 0xEDB8_8320 : sum >> 1 }
        }
        let word = { (n: UInt32) in
            stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: n >> UInt32($0)) }
        }
        return word(UInt32(data.count)) + body + word(~sum)
    }
}
