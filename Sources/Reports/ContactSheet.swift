import BEiTDatasets
import BEiTImageIO

/// Photos beside their masks in one picture, with the classes' colours below: what shows at a glance whether labels lie on
/// their objects and have the right names.
package struct ContactSheet {
    /// Photos, at most.
    package static let places = 24
    /// In pixels: of a picture, and between two.
    private static let (width, height, gap) = (220, 200, 8)
    private static let pairsInRow = 3
    private static let ink = RGBColor(30, 30, 30)

    private let classes: [LabelClass]
    private var tiles: [RGBImage] = []
    /// Whether a class, or void, is on the sheet.
    private var isShown: Set<UInt16> = []

    package init(_ classes: [LabelClass]) { self.classes = classes }

    /// Numbers of photos out of `count`, evenly over all.
    package static func chosen(of count: Int, places: Int = places) -> [Int] {
        count <= places ? Array(0..<count) : (0..<places).map { $0 * count / places }
    }

    /// Adds a photo of a data set. Throws as reading it does.
    package mutating func add(_ pair: LabelledImage, of dataset: SegmentationDataset, title: String) throws {
        let photo = try dataset.photo(of: pair, shrinkingTo: Self.height)
        add(photo, try dataset.loadMask(pair), title: title)
    }

    /// - Parameter mask: of the photo's shape, maybe larger.
    mutating func add(_ photo: RGBImage, _ mask: IndexMask, title: String) {
        let scale = min(Double(Self.width) / Double(mask.width), Double(Self.height) / Double(mask.height))
        let (width, height) = (
            max(1, Int(scale * Double(mask.width))), max(1, Int(scale * Double(mask.height)))
        )
        let picture = photo.resized(width: width, height: height, filter: .bilinear)
        let small = mask.resized(width: width, height: height)
        isShown.formUnion(small.values)
        var tile = Self.blank(2 * Self.width + 2, Self.height + BitmapFont.height + 2)
        tile.paste(picture, x: (Self.width - width) / 2, y: (Self.height - height) / 2)
        tile.paste(
            painted(small, over: picture), x: Self.width + 2 + (Self.width - width) / 2, y: (Self.height - height) / 2)
        let letters = tile.width / BitmapFont.advance
        let name = title.count > letters ? ".." + title.suffix(letters - 2) : title
        BitmapFont.draw(name, on: &tile, x: 0, y: Self.height + 1, Self.ink)
        tiles.append(tile)
    }

    /// The mask's colours over the photo; black ones, as of a background, leave it as it is, and void is hatched.
    private func painted(_ mask: IndexMask, over photo: RGBImage) -> RGBImage {
        var image = photo
        for place in mask.values.indices {
            let value = mask.values[place]
            let isLight = (place % mask.width + place / mask.width) / 4 % 2 == 0
            let color =
                value == LabelMap.void
                ? (isLight ? RGBColor(214, 214, 214) : RGBColor(120, 120, 120)) : classes[Int(value)].color
            guard color != RGBColor(0, 0, 0) else { continue }
            for (channel, part) in [color.red, color.green, color.blue].enumerated() {
                let below = Int(image.pixels[3 * place + channel])
                image.pixels[3 * place + channel] = UInt8((2 * below + 3 * Int(part)) / 5)
            }
        }
        return image
    }

    /// The sheet; nil where nothing was added.
    package func image() -> RGBImage? {
        guard let first = tiles.first else { return nil }
        let columns = min(Self.pairsInRow, tiles.count), rows = (tiles.count + columns - 1) / columns
        let width = columns * (first.width + Self.gap) + Self.gap
        let names = legend(width: width - 2 * Self.gap)
        let top = rows * (first.height + Self.gap) + Self.gap
        var sheet = Self.blank(width, top + names.height + Self.gap)
        for (index, tile) in tiles.enumerated() {
            sheet.paste(
                tile, x: Self.gap + index % columns * (first.width + Self.gap),
                y: Self.gap + index / columns * (first.height + Self.gap))
        }
        sheet.paste(names, x: Self.gap, y: top)
        return sheet
    }

    /// The classes that are on the sheet, as many in a line as there is room for.
    private func legend(width: Int) -> RGBImage {
        let (line, swatch, scale) = (30, 20, 2)
        var entries = classes.enumerated().filter { isShown.contains(UInt16($0.offset)) }.map {
            (name: $0.element.name, color: $0.element.color)
        }
        if isShown.contains(LabelMap.void) { entries.append(("void (hatched)", RGBColor(214, 214, 214))) }
        var places: [(x: Int, y: Int)] = []
        var (x, y) = (0, 0)
        for entry in entries {
            let needed = swatch + 6 + BitmapFont.width(of: entry.name, scale: scale) + 20
            if x > 0, x + needed > width { (x, y) = (0, y + line) }
            places.append((x, y))
            x += needed
        }
        var image = Self.blank(width, y + line)
        for (entry, place) in zip(entries, places) {
            image.fill(place.x, place.y + 4, swatch, swatch, Self.ink)
            image.fill(place.x + 1, place.y + 5, swatch - 2, swatch - 2, entry.color)
            BitmapFont.draw(entry.name, on: &image, x: place.x + swatch + 6, y: place.y + 1, Self.ink, scale: scale)
        }
        return image
    }

    private static func blank(_ width: Int, _ height: Int) -> RGBImage {
        RGBImage(width: width, height: height, pixels: [UInt8](repeating: 255, count: 3 * width * height))
    }
}

extension RGBImage {
    /// Puts `other` over a part; it lies inside.
    fileprivate mutating func paste(_ other: RGBImage, x: Int, y: Int) {
        for row in 0..<other.height {
            let (from, to) = (3 * row * other.width, 3 * ((y + row) * width + x))
            pixels.replaceSubrange(to..<to + 3 * other.width, with: other.pixels[from..<from + 3 * other.width])
        }
    }
}
