/// How one layout of files calls parameters, and how their values lie there.
///
/// A pattern stands for many names: `{}` for a number, a `*` at the end for all that follows. What they stand for is the
/// same on both sides. Names have dots between their parts, paths slashes.
struct NameRule: Sendable {
    /// The path in beit-seg.
    let path: String
    /// The names in the file; of several each holds an equal part of the rows, in this order.
    let names: [String]
    let order: AxisOrder

    init(_ names: String..., path: String, _ order: AxisOrder = .same) {
        (self.names, self.path, self.order) = (names, path, order)
    }

    /// The path of what a file calls `name`, and which of its parts that is.
    func path(of name: String) -> (path: String, part: Int)? {
        for (part, pattern) in names.enumerated() {
            guard let found = Self.match(name, pattern, ".") else { continue }
            return (Self.fill(path, found, ".", "/"), part)
        }
        return nil
    }

    /// What a file calls the parameter at `path`, part by part.
    func names(of path: String) -> [String]? {
        Self.match(path, self.path, "/").map { found in names.map { Self.fill($0, found, "/", ".") } }
    }

    /// What the wildcards of `pattern` stand for in `text`; nil where it does not match.
    private static func match(_ text: String, _ pattern: String, _ separator: Character) -> [Substring]? {
        var (rest, found) = (text[...], [Substring]())
        var pattern = pattern[...]
        while let next = pattern.first {
            if next == "*" {
                guard !rest.isEmpty else { return nil }
                return found + [rest]
            }
            if pattern.hasPrefix("{}") {
                let digits = rest.prefix { $0.isASCII && $0.isNumber }
                guard !digits.isEmpty else { return nil }
                found.append(digits)
                (rest, pattern) = (rest.dropFirst(digits.count), pattern.dropFirst(2))
            } else {
                guard rest.first == next else { return nil }
                (rest, pattern) = (rest.dropFirst(), pattern.dropFirst())
            }
        }
        return rest.isEmpty ? found : nil
    }

    private static func fill(_ pattern: String, _ found: [Substring], _ old: String, _ new: String) -> String {
        var (result, pattern, found) = ("", pattern[...], found[...])
        while let next = pattern.first {
            let width = pattern.hasPrefix("{}") ? 2 : 1
            if width == 2 || next == "*", let value = found.popFirst() {
                result += value.replacing(old, with: new)
            } else {
                result.append(next)
            }
            pattern = pattern.dropFirst(width)
        }
        return result
    }
}

/// How the axes of a tensor in a file stand to ours.
enum AxisOrder: Sendable {
    case same
    /// A matrix with rows and columns exchanged: Keras' dense kernels are `[in, out]`.
    case transposed
    /// A convolution `[kH, kW, in, out]` in place of `[out, in, kH, kW]`.
    case channelsLast

    /// The axes of the file in our order: element i of ours is axis `result[i]` of the file. Nil for a shape of another
    /// rank.
    func axes(rank: Int) -> [Int]? {
        switch (self, rank) {
        case (.same, _): Array(0..<rank)
        case (.transposed, 2): [1, 0]
        case (.channelsLast, 4): [3, 2, 0, 1]
        default: nil
        }
    }
}
