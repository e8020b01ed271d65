import BEiTImageIO

/// What the values of a mask mean: the class index of each, void, or nothing.
package struct LabelMap: Equatable, Sendable {
    /// The class index that is not scored and teaches nothing.
    package static let void = UInt16.max
    /// A value that no class belongs to: an error in the data.
    static let unknown = UInt16.max - 1
    /// The number of classes that can be told apart.
    package static let maximumClasses = Int(unknown)

    /// The class index of each of the 65,536 values.
    private var table = [UInt16](repeating: LabelMap.unknown, count: 1 << 16)

    /// Value i is class `indices[i]`, nil and every other value are unknown.
    ///
    /// - Parameters:
    ///   - reducingZero: value 0 is void, and i + 1 is class `indices[i]` (ADE20K).
    ///   - ignoreIndex: the value that is void, as the file has it: before any reduction.
    package init(indices: [Int?], reducingZero: Bool = false, ignoreIndex: Int = 255) {
        let first = reducingZero ? 1 : 0
        for (place, index) in indices.enumerated() where first + place < table.count {
            table[first + place] = index.map { UInt16($0) } ?? LabelMap.unknown
        }
        if reducingZero { setVoid(0) }
        setVoid(ignoreIndex)
    }

    /// Makes `value` void.
    mutating func setVoid(_ value: Int) { if table.indices.contains(value) { table[value] = LabelMap.void } }

    /// `value` stands for the class `index`.
    mutating func set(_ value: Int, to index: UInt16) { table[value] = index }

    /// The class index of `value`, void, or nil if it means nothing.
    package subscript(value: UInt16) -> UInt16? { table[Int(value)] == LabelMap.unknown ? nil : table[Int(value)] }

    /// The class indices of a mask's values. Throws the first value that means nothing.
    package func classes(of values: [UInt16]) throws(UnknownLabel) -> [UInt16] {
        let result = values.map { table[Int($0)] }
        if let place = result.firstIndex(of: LabelMap.unknown) { throw UnknownLabel(value: values[place]) }
        return result
    }
}

/// A mask's value outside the classes.
package struct UnknownLabel: Error, Equatable {
    package var value: UInt16
}

extension LabelMap {
    /// Values that the file does not name are unknown. Throws ``DatasetError`` for a class that is none of `classes`.
    init(_ file: LabelMapFile, classes: [LabelClass], ignoreIndex: Int) throws {
        self.init(indices: [], ignoreIndex: ignoreIndex)
        for rule in file.rules {
            let index = classes.firstIndex { $0.name == rule.name }.map { UInt16($0) }
            guard let index = rule.isVoid ? LabelMap.void : index else {
                throw file.stranger(rule, classes, extensible: false)
            }
            set(rule.value, to: index)
        }
    }
}
