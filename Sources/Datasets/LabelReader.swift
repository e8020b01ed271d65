import BEiTAnnotations
import BEiTFiles
import BEiTImageIO
import BEiTProcesses
import Synchronization

/// The one way from the file of a mask to the class of each of its pixels.
///
/// What it had to decide on the way is noted, see ``notes``.
package final class LabelReader: Sendable {
    /// The class of each value.
    let map: LabelMap
    /// The classes' colours with their indices, in the order of the values 0, 1, …; empty where colours say nothing.
    private let colors: [(color: RGBColor, index: UInt16)]
    /// Whether a palette in another order than the classes' overrules the values.
    private let followsPalettes: Bool
    private let orientation: MaskOrientation
    /// The number of classes; nil where they are not known.
    private let classes: Int?
    /// Where masks are drawn; nil: they are files.
    private let annotations: AnnotationSet?
    /// Of the photos.
    private let page: Int
    private let findings = Mutex(LabelFindings())

    /// - Parameters:
    ///   - colors: those of the classes that the values 0, 1, … stand for, with the indices that the reader gives them.
    ///   - followsPalettes: false where something else than the class list gives the values their meaning.
    init(
        _ map: LabelMap, classes: Int?, colors: [(RGBColor, UInt16)] = [], followsPalettes: Bool = false,
        _ orientation: MaskOrientation = .upright, _ annotations: AnnotationSet? = nil, page: Int = 1
    ) {
        // Two classes of one colour cannot be told apart by it.
        let areDistinct = Set(colors.map(\.0)).count == colors.count
        (self.map, self.classes, self.orientation) = (map, classes, orientation)
        self.colors = areDistinct ? colors.map { (color: $0.0, index: $0.1) } : []
        self.followsPalettes = followsPalettes && areDistinct
        (self.annotations, self.page) = (annotations, page)
    }

    /// For masks with classes of their own order; nil where every value is a class. Throws ``DatasetError``.
    ///
    /// - Parameter page: of the photos.
    package convenience init(_ rules: LabelRules, _ classes: [LabelClass]?, page: Int = 1) throws {
        if rules.isBinary, let classes, classes.count != 2 {
            throw DatasetError(
                .invalid, path: rules.classes ?? "the model's classes",
                reason: "there are \(classes.count), and binary masks have two", .binary)
        }
        let isPlain = rules.labelMap == nil && !rules.reducesZeroLabel && !rules.isBinary
        self.init(
            try rules.map(classes), classes: classes?.count,
            colors: (classes ?? []).enumerated().map { ($1.color, UInt16($0)) }, followsPalettes: isPlain,
            rules.orientation, page: page)
    }

    /// What was decided and found odd so far.
    package var notes: [LabelNote] { findings.withLock { $0.notes } }

    /// Has ``notes`` tell of what all processes have read.
    package func gatherNotes(_ team: any Communicator) throws {
        guard team.size > 1 else { return }
        let all = try team.exchangeValues { findings.withLock { $0 } }
        findings.withLock { $0 = all.dropFirst().reduce(into: all[0]) { $0.add($1) } }
    }

    /// The class of each pixel of a photo's mask: an index, or ``LabelMap/void``.
    ///
    /// - Throws: ``FileError``, ``ImageError``; ``OutsideClasses`` for a value or colour that is none; ``DatasetError``
    ///   where photo and mask differ in size.
    package func mask(of pair: LabelledImage) throws -> IndexMask {
        let header = try imageHeader(pair.image, page: page)
        let mask = try annotations.map { try drawn($0, pair, header) } ?? classes(of: pair.mask)
        return try turned(mask, pair, width: header.width, height: header.height)
    }

    private func drawn(_ annotations: AnnotationSet, _ pair: LabelledImage, _ photo: ImageHeader) throws -> IndexMask {
        do {
            let mask = try annotations.mask(of: pair.image, width: photo.width, height: photo.height)
            return IndexMask(
                width: mask.width, height: mask.height, values: try values(mask.values, by: map, pair.mask))
        } catch let error as AnnotationError {
            throw DatasetError(error)
        }
    }

    /// The class of each pixel of a mask that belongs to no photo. Throws as ``mask(of:)``.
    package func classes(of path: String) throws -> IndexMask {
        let mask: IndexMask
        do {
            mask = try decodeMask(path)
        } catch let error as ImageError {
            guard case .notAMask = error.reason, !colors.isEmpty, try imageHeader(path).isExact else {
                throw error
            }
            return try classes(of: try decodeImage(path), path)
        }
        if let table = paletteTable(mask) {
            findings.withLock { $0.palettes.add(path) }
            return IndexMask(width: mask.width, height: mask.height, values: try values(mask.values, by: table, path))
        }
        return IndexMask(width: mask.width, height: mask.height, values: try values(mask.values, by: map, path))
    }

    /// The photo as stored, where its Exif would turn it and ``MaskOrientation/bothStored`` says not to; nil for any other.
    package func storedPhoto(of pair: LabelledImage, as reading: ImageReading) throws -> RGBImage? {
        try storedTurn(of: pair).map { try decodeImage(pair.image, as: reading).turned($0.inverse) }
    }

    /// How the Exif of such a photo would turn it.
    func storedTurn(of pair: LabelledImage) throws -> Orientation? {
        guard orientation == .bothStored else { return nil }
        let turn = try imageOrientation(pair.image, page: page)
        return turn == .upright ? nil : turn
    }

    private func values(_ values: [UInt16], by map: LabelMap, _ path: String) throws(OutsideClasses) -> [UInt16] {
        do {
            return try map.classes(of: values)
        } catch {
            let known = classes.map { ", which is none of the \($0) classes" } ?? ", which is no class"
            throw OutsideClasses(path: path, reason: "holds the label \(error.value)" + known)
        }
    }

    // MARK: Colours

    /// The map of a mask whose palette has the classes' colours, but not at the classes' places; nil for any other mask.
    private func paletteTable(_ mask: IndexMask) -> LabelMap? {
        guard followsPalettes, let palette = mask.palette?.prefix(colors.count), !palette.isEmpty,
            palette != colors.map(\.color).prefix(palette.count), Set(palette).count == palette.count
        else { return nil }
        let indices = palette.map { color in colors.first { $0.color == color }.map { Int($0.index) } }
        guard !indices.contains(nil) else { return nil }
        var table = map
        for (value, index) in indices.enumerated() { table.set(value, to: UInt16(index ?? 0)) }
        return table
    }

    /// Pascal VOC's colour of what does not count: the last of its colour map.
    private static let voidColor = RGBColor(224, 224, 192)

    private func classes(of picture: RGBImage, _ path: String) throws -> IndexMask {
        var indices = Dictionary(colors.map { ($0.color, $0.index) }, uniquingKeysWith: { first, _ in first })
        if indices[Self.voidColor] == nil { indices[Self.voidColor] = LabelMap.void }
        // Masks have long runs of one colour.
        var (last, index): (RGBColor?, UInt16) = (nil, 0)
        let values = try (0..<picture.width * picture.height).map { place in
            let color = RGBColor(
                picture.pixels[3 * place], picture.pixels[3 * place + 1], picture.pixels[3 * place + 2])
            if color != last {
                guard let found = indices[color] else {
                    throw ImageError(
                        path: path,
                        .notAMask(
                            "it has the colour \(color.red) \(color.green) \(color.blue), which is none of the "
                                + "\(colors.count) classes'"))
                }
                (last, index) = (color, found)
            }
            return index
        }
        findings.withLock { $0.pictures.add(path) }
        return IndexMask(width: picture.width, height: picture.height, values: values)
    }

    // MARK: Orientation

    /// The mask upright. Sizes tell where the photo lies on its side; else ``MaskOrientation`` does.
    private func turned(_ mask: IndexMask, _ pair: LabelledImage, width: Int, height: Int) throws -> IndexMask {
        let turn = try imageOrientation(pair.image, page: page)
        let isUpright = (mask.width, mask.height) == (width, height)
        let isStored = (mask.width, mask.height) == (turn.exchangesSides ? (height, width) : (width, height))
        guard isUpright || isStored else {
            throw DatasetError.sizes(pair, (width, height), (mask.width, mask.height))
        }
        guard turn != .upright else { return mask }
        if orientation == .bothStored {
            guard isStored else { throw DatasetError.sizes(pair, (height, width), (mask.width, mask.height)) }
            return mask
        }
        if isUpright && isStored {
            if orientation == .upright { findings.withLock { $0.undecided.add(pair.image) } }
            return orientation == .stored ? mask.turned(turn) : mask
        }
        if isUpright { return mask }
        if orientation == .upright { findings.withLock { $0.turned.add(pair.mask) } }
        return mask.turned(turn)
    }
}

/// What a reader of labels decides, counted.
struct LabelFindings: Codable, Sendable {
    struct Tally: Codable, Sendable {
        private(set) var count = 0
        private(set) var first = ""

        /// The first by name, whatever the order of reading.
        mutating func add(_ path: String) {
            first = count == 0 ? path : min(first, path)
            count += 1
        }

        mutating func add(_ other: Tally) {
            guard other.count > 0 else { return }
            first = count == 0 ? other.first : min(first, other.first)
            count += other.count
        }

        func note(_ noun: String, _ text: String, _ topic: LabelTopic?, isWarning: Bool = false) -> LabelNote? {
            guard count > 0 else { return nil }
            return LabelNote(
                "\(count.counted(noun)) \(text); the first is \(first.shown)", topic, isWarning: isWarning)
        }
    }
    /// Palettes in another order, RGB masks, masks that were turned, photos whose mask may have to be.
    var palettes = Tally(), pictures = Tally(), turned = Tally(), undecided = Tally()

    mutating func add(_ other: LabelFindings) {
        palettes.add(other.palettes)
        pictures.add(other.pictures)
        turned.add(other.turned)
        undecided.add(other.undecided)
    }

    var notes: [LabelNote] {
        [
            palettes.note("mask", "with the classes' colours in a palette of another order, read by colour", nil),
            pictures.note("RGB mask", "read by the classes' colours", nil),
            turned.note("mask", "of the size of the photo as stored, turned as the photo's Exif says", nil),
            undecided.note(
                "photo",
                "turned by Exif without changing sides, so that sizes do not tell whether the mask is turned as well: "
                    + "taken to lie as the photo is seen", .orientation, isWarning: true),
        ].compactMap { $0 }
    }
}

extension DatasetError {
    package static func sizes(_ pair: LabelledImage, _ image: (Int, Int), _ mask: (Int, Int)) -> DatasetError {
        DatasetError(
            .invalid, path: pair.mask,
            reason:
                "is \(mask.0)×\(mask.1) pixels, but \(pair.image) is \(image.0)×\(image.1); bring both to one size, "
                + "or leave them out")
    }
}
