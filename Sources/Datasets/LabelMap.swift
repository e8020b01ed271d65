import BEiTImageIO
import Foundation

/// What the values of a mask mean: the class index of each, void, or nothing.
package struct LabelMap: Equatable, Sendable {
    /// The class index that is not scored and teaches nothing.
    package static let void = UInt16.max
    /// A value that no class belongs to: an error in the data.
    static let unknown = UInt16.max - 1
    /// The number of classes that can be told apart.
    package static let maximumClasses = Int(unknown)

    /// The class index of each of the 65,536 values.
    private var table: [UInt16]

    /// Value i is class `indices[i]`; `ignoreIndex` is void; nil and every other value are unknown.
    package init(indices: [Int?], ignoreIndex: Int = 255) {
        table = [UInt16](repeating: LabelMap.unknown, count: 1 << 16)
        for (value, index) in indices.enumerated() { table[value] = index.map { UInt16($0) } ?? LabelMap.unknown }
        setVoid(ignoreIndex)
    }

    /// Makes `value` void.
    mutating func setVoid(_ value: Int) { if table.indices.contains(value) { table[value] = LabelMap.void } }

    /// Value 0 becomes void and every value n is read as n − 1 (ADE20K); void stays void.
    package mutating func reduceZeroLabel(ignoreIndex: Int) {
        table = [LabelMap.void] + table.dropLast()
        setVoid(ignoreIndex)
    }

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
    /// The rules of `--label-map FILE` for masks of these classes. Throws ``DatasetError``.
    package static func read(_ path: String, classes: [LabelClass], ignoreIndex: Int) throws -> LabelMap {
        try LabelMap(LabelMapFile.read(path), classes: classes, ignoreIndex: ignoreIndex)
    }

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
