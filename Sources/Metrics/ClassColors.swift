import BEiTCheckpoints
import BEiTDatasets
import BEiTImageIO

extension ClassInfo {
    package var rgb: RGBColor { RGBColor(color[0], color[1], color[2]) }

    package init(_ label: LabelClass) {
        self.init(name: label.name, color: [label.color.red, label.color.green, label.color.blue])
    }

    package static func numbered(_ count: Int) -> [ClassInfo] {
        zip(0..., ColorMap.colors(count)).map {
            ClassInfo(name: "class \($0)", color: [$1.red, $1.green, $1.blue])
        }
    }
}
