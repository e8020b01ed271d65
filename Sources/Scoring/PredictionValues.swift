import BEiTDatasets
import BEiTImageIO

/// What finished predictions hold where a label map or a reduction of label 0 gives the masks' values their meaning.
///
/// Without either it is one and the same. With a reduction, predictions in which the number of classes occurs, or 0 never,
/// hold the masks' values: no class index is so large, and 0 would be void. With a label map, predictions of which it names
/// every value hold the masks' values.
package enum PredictionValues: String, CaseIterable, Sendable {
    /// The same values as the masks: label map, reduction and ignored value apply to both.
    case masks
    /// Class indices.
    case classes

    /// What the values of all predictions tell. Reads them until they do.
    static func found(
        _ pairs: [LabelledImage], _ rules: LabelRules, _ classes: [LabelClass]?
    ) throws -> PredictionValues {
        if rules.labelMap != nil {
            let map = try rules.map(classes)
            return try values(of: pairs.map(\.image)) { map[$0] == nil } ? .classes : .masks
        }
        guard rules.reducesZeroLabel else { return .masks }
        let void = UInt16(rules.ignoreIndex ?? LabelRules.usualIgnoreIndex)
        var largest = UInt16(classes?.count ?? 0)
        if classes == nil {
            _ = try values(of: pairs.map(\.mask)) {
                if $0 != void { largest = max(largest, $0) }
                return false
            }
        }
        if try values(of: pairs.map(\.image), { $0 == largest }) { return .masks }
        return try values(of: pairs.map(\.image)) { $0 == 0 } ? .classes : .masks
    }

    /// Whether one of the values of these masks is as wanted. What cannot be read is said where it is scored.
    private static func values(of paths: [String], _ isWanted: (UInt16) -> Bool) throws -> Bool {
        for path in paths {
            guard let mask = try? decodeMask(path) else { continue }
            if Set(mask.values).contains(where: isWanted) { return true }
        }
        return false
    }

    /// That predictions are read as the masks are, where that is not the same as class indices.
    func note(_ rules: LabelRules) -> LabelNote? {
        guard self == .masks, rules.labelMap != nil || rules.reducesZeroLabel else { return nil }
        return LabelNote("the predictions hold the masks' values, and are read by the same rules", .predictions)
    }
}
