import BEiTDatasets

extension LabelTopic {
    /// The options that help, as the end of a line.
    var hint: String {
        switch self {
        case .values: "see --classes, --label-map, --reduce-zero-label and --ignore-index"
        case .binary: "--binary takes 255 for the second class, --ignore-index 255 leaves it out"
        case .orientation: "--mask-orientation stored turns masks with their photos, both-stored turns neither"
        case .suffix: "--mask-suffix says what the names of masks end in"
        case .classes: "--classes or --label-map says what the masks' values mean"
        case .split: "--split names another, --validation SHARE holds some photos out"
        case .photos: "--photos names their folder"
        case .predictions: "--prediction-values classes takes them for class indices"
        }
    }
}

extension LabelNote {
    /// With the option that changes what was decided.
    var line: String { topic.map { "\(text) (\($0.hint))" } ?? text }
}

/// An error that options help against.
protocol Hinted {
    var hint: String? { get }
}

extension DatasetError: Hinted {
    var hint: String? { topic?.hint }
}

extension OutsideClasses: Hinted {
    var hint: String? { LabelTopic.values.hint }
}
