import BEiTFiles

/// What a remark about labelled data is about, so that whoever shows it can say which option helps.
package enum LabelTopic: Equatable, Sendable {
    /// A value or colour that is no class.
    case values
    /// Masks of 0 and 255.
    case binary
    /// Whether masks lie as their photos were stored, or upright.
    case orientation
    /// Masks whose names end in more than their photos'.
    case suffix
    /// Names that one of two lists of classes lacks.
    case classes
    /// Which part of a set is meant.
    case split
    /// Where the photos of annotations are.
    case photos
    /// Whether predictions hold the masks' values, or class indices.
    case predictions
}

/// Something that was decided or found odd about labelled data, in one sentence.
package struct LabelNote: Equatable, Sendable {
    package var text: String
    package var topic: LabelTopic?
    /// Whether the user may have meant something else.
    package var isWarning: Bool

    package init(_ text: String, _ topic: LabelTopic? = nil, isWarning: Bool = false) {
        (self.text, self.topic, self.isWarning) = (text, topic, isWarning)
    }
}

/// What is wrong with a data set: where, why, and what to do about it.
package struct DatasetError: Error, Equatable, ExitStatus {
    package enum Kind: Equatable, Sendable {
        /// A path that does not exist (exit status 66).
        case missing
        /// The contents do not make a data set (exit status 65).
        case invalid
    }
    package var kind: Kind
    package var path: String
    package var reason: String
    package var topic: LabelTopic?

    package init(_ kind: Kind, path: String, reason: String, _ topic: LabelTopic? = nil) {
        (self.kind, self.path, self.reason, self.topic) = (kind, path, reason, topic)
    }

    package var description: String { "\(path.shown): \(reason)" }
    package var exitStatus: Int32 { kind == .missing ? 66 : 65 }
}

/// A label or a prediction that is no class: whatever is computed from it would mean nothing.
package struct OutsideClasses: ExitStatus, Equatable {
    package var path: String
    package var reason: String

    package init(path: String, reason: String) { (self.path, self.reason) = (path, reason) }

    package var exitStatus: Int32 { 65 }
    package var description: String { "\(path.shown): \(reason)" }
}
