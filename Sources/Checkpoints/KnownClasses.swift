import BEiTImageIO

/// Lists of classes that many published models have.
package enum KnownClasses {
    /// The names by which they are asked for.
    package static let names = ["ade20k", "imagenet-1k"]

    /// Nil for a name that is not one of ``names``.
    package static func list(_ name: String) -> [LabelClass]? {
        switch name {
        case "ade20k": ade20k
        case "imagenet-1k": imageNet1k
        default: nil
        }
    }

    package static let ade20k: [LabelClass] = ade20kText.split(separator: "\n").map { line in
        let parts = line.split(separator: " ", maxSplits: 3)
        let color = parts.prefix(3).compactMap { UInt8($0) }
        return LabelClass(name: String(parts[3]), color: RGBColor(color[0], color[1], color[2]))
    }

    package static let imageNet1k = LabelClass.named(imageNet1kText.split(separator: "\n").map(String.init))
}
