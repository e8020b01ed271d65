/// A class of pixels or of photos, and the colour that it is shown in; an element of a checkpoint's JSON `classes`.
package struct LabelClass: Codable, Equatable, Sendable {
    package var name: String
    package var color: RGBColor

    package init(name: String, color: RGBColor) { (self.name, self.color) = (name, color) }

    /// Classes of these names, in ``ColorMap``'s colours.
    package static func named(_ names: [String]) -> [LabelClass] {
        zip(names, ColorMap.colors(names.count)).map(LabelClass.init)
    }

    /// Classes whose names nobody has told.
    package static func unnamed(_ count: Int) -> [LabelClass] { named((0..<count).map(unnamed)) }

    /// The name of class `index` where nobody gave it one.
    package static func unnamed(_ index: Int) -> String { "class \(index)" }
}

extension RGBColor: Codable {
    /// A list of three numbers.
    package init(from decoder: any Decoder) throws {
        let values = try decoder.singleValueContainer().decode([UInt8].self)
        guard values.count == 3 else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "the color \(values) is not red, green, blue"))
        }
        self.init(values[0], values[1], values[2])
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode([red, green, blue])
    }
}
