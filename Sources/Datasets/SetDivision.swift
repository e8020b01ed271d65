import BEiTTensorCore
import Foundation

/// Divides photos by chance into parts of given shares, so that photos that belong together stay on one side.
package struct SetDivision: Sendable {
    /// Of train, val and test.
    private let shares: [Double]
    private let seed: UInt64
    package static let names = ["train", "val", "test"]

    /// Nil for shares that are not two or three numbers above 0 which sum up to 1.
    package init?(shares: [Double], seed: UInt64) {
        guard (2...3).contains(shares.count), shares.allSatisfy({ $0 > 0 }), abs(shares.reduce(0, +) - 1) < 1e-6 else {
            return nil
        }
        (self.shares, self.seed) = (shares, seed)
    }

    /// - Parameters:
    ///   - pairs: in a fixed order.
    ///   - keys: for each of them what it has in common with those that it belongs to; nil: it is on its own.
    ///   - together: numbers of pairs that stay on one side whatever their keys.
    /// - Returns: a part for each share.
    package func parts(
        _ pairs: [LabelledImage], keys: [String?], together: [(Int, Int)]
    ) -> [SetWriter.Part] {
        var groups = Groups(count: pairs.count)
        var first: [String: Int] = [:]
        for (index, key) in keys.enumerated() {
            guard let key else { continue }
            if let other = first[key] { groups.join(index, other) } else { first[key] = index }
        }
        for (a, b) in together { groups.join(a, b) }
        var parts = shares.indices.map { SetWriter.Part(Self.names[$0], []) }
        var sides: [Int?] = Array(repeating: nil, count: pairs.count)
        var filled = shares.map { _ in 0 }
        let members = groups.members
        var generator = Philox(seed: seed)
        var order = generator.permutation(members.count).map { members[$0] }
        // The largest groups first, while there is room for them anywhere; of one size as chance has them.
        order = order.enumerated().sorted { ($1.element.count, $0.offset) < ($0.element.count, $1.offset) }.map(
            \.element)
        for group in order {
            let room = shares.indices.map { shares[$0] * Double(pairs.count) - Double(filled[$0]) }
            let side = room.indices.max { room[$0] / shares[$0] < room[$1] / shares[$1] } ?? 0
            filled[side] += group.count
            for index in group { sides[index] = side }
        }
        for (index, side) in sides.enumerated() { if let side { parts[side].pairs.append(pairs[index]) } }
        return parts
    }

    /// Numbers that were joined.
    private struct Groups {
        private var parent: [Int]

        init(count: Int) { parent = Array(0..<count) }

        private mutating func root(_ index: Int) -> Int {
            var index = index
            while parent[index] != index {
                parent[index] = parent[parent[index]]
                index = parent[index]
            }
            return index
        }

        mutating func join(_ a: Int, _ b: Int) {
            let (a, b) = (root(a), root(b))
            parent[max(a, b)] = min(a, b)
        }

        /// In the order of their first members.
        var members: [[Int]] {
            var copy = self
            var groups: [Int: [Int]] = [:]
            for index in parent.indices { groups[copy.root(index), default: []].append(index) }
            return groups.sorted { $0.key < $1.key }.map(\.value)
        }
    }
}
