import BEiTFiles

/// A line of `log.jsonl`: of a step, with numbers by name, or of a validation, with metrics.
package struct LogLine: Decodable {
    package var step: Int
    package var epoch: Double
    package var values: [String: Double] = [:]
    package var metrics: [String: Double] = [:]
    package var best = false

    private struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// Numbers that are no curve.
    private static let places: Set<String> = ["step", "steps", "epoch", "seconds_left", "best", "metrics"]

    package init(from decoder: any Decoder) throws {
        let line = try decoder.container(keyedBy: Key.self)
        step = try line.decode(Int.self, forKey: Key(stringValue: "step"))
        epoch = try line.decodeIfPresent(Double.self, forKey: Key(stringValue: "epoch")) ?? 0
        let counted = try line.decodeIfPresent([String: Double?].self, forKey: Key(stringValue: "metrics")) ?? [:]
        let validated = try line.decodeIfPresent(Bool.self, forKey: Key(stringValue: "best"))
        best = validated ?? false
        // A step may count something beside the loss.
        if validated == nil {
            values = counted.compactMapValues { $0 }
        } else {
            metrics = counted.compactMapValues { $0 }
        }
        for key in line.allKeys where !LogLine.places.contains(key.stringValue) {
            values[key.stringValue] = try? line.decode(Double.self, forKey: key)
        }
    }

    /// The lines of a log that can be read; a run that was killed may have torn one.
    /// - Parameter file: where the text is from.
    package static func lines(of text: String, file: String) -> [LogLine] {
        text.split(separator: "\n").compactMap { try? JSONText.decode(LogLine.self, from: $0.utf8, of: file) }
    }

    private static let classes = "val_iou/"

    /// The metric that is the IoU of a class.
    package static func key(ofClass name: String) -> String { classes + name }

    /// The class whose IoU a metric is; nil for other metrics.
    package static func className(_ key: String) -> String? {
        key.hasPrefix(classes) ? String(key.dropFirst(classes.count)) : nil
    }
}
