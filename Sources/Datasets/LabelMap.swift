import Foundation

/// What the values of a mask mean: the class index of each, void, or nothing.
public struct LabelMap: Equatable, Sendable {
    /// The class index that is not scored and teaches nothing.
    public static let void = UInt16.max
    /// A value that no class belongs to: an error in the data.
    static let unknown = UInt16.max - 1
    /// The number of classes that can be told apart.
    public static let maximumClasses = Int(unknown)

    /// The class index of each of the 65,536 values.
    private var table: [UInt16]

    /// Value i is class `indices[i]`; `ignoreIndex` is void; nil and every other value are unknown.
    public init(indices: [Int?], ignoreIndex: Int = 255) {
        table = [UInt16](repeating: LabelMap.unknown, count: 1 << 16)
        for (value, index) in indices.enumerated() { table[value] = index.map { UInt16($0) } ?? LabelMap.unknown }
        setVoid(ignoreIndex)
    }

    /// Makes `value` void.
    mutating func setVoid(_ value: Int) { if table.indices.contains(value) { table[value] = LabelMap.void } }

    /// Value 0 becomes void and every value n is read as n − 1 (ADE20K); void stays void.
    public mutating func reduceZeroLabel(ignoreIndex: Int) {
        table = [LabelMap.void] + table.dropLast()
        setVoid(ignoreIndex)
    }

    /// `value` stands for the class `index`.
    mutating func set(_ value: Int, to index: UInt16) { table[value] = index }

    /// The class index of `value`, void, or nil if it means nothing.
    public subscript(value: UInt16) -> UInt16? { table[Int(value)] == LabelMap.unknown ? nil : table[Int(value)] }

    /// The class indices of a mask's values. Throws the first value that means nothing.
    public func classes(of values: [UInt16]) throws(UnknownLabel) -> [UInt16] {
        let result = values.map { table[Int($0)] }
        if let place = result.firstIndex(of: LabelMap.unknown) { throw UnknownLabel(value: values[place]) }
        return result
    }
}

/// A mask's value outside the classes.
public struct UnknownLabel: Error, Equatable {
    public var value: UInt16
}

extension LabelMap {
    /// The rules of `--label-map FILE`: a line `VALUE CLASS` each, CLASS a name, or `void`. Values that the file does
    /// not name are unknown. Throws ``DatasetError``.
    public static func read(_ path: String, classes: [LabelClass], ignoreIndex: Int) throws -> LabelMap {
        var map = LabelMap(indices: [], ignoreIndex: ignoreIndex)
        for line in try readText(path, of: "label map").split(separator: "\n") {
            let words = line.split(whereSeparator: \.isWhitespace).map(String.init)
            guard let first = words.first, !first.hasPrefix("#") else { continue }
            let name = words.dropFirst().joined(separator: " ")
            let index = name == "void" ? LabelMap.void : classes.firstIndex { $0.name == name }.map { UInt16($0) }
            guard let value = UInt16(first), let index else {
                throw DatasetError(
                    .invalid, path: path,
                    reason: "`\(line)` is not `VALUE CLASS`, CLASS one of the class names or `void`")
            }
            map.set(Int(value), to: index)
        }
        return map
    }
}
