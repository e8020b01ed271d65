import BEiTTensorCore

/// Where the elements of a tensor lie in its storage: element (i, j, …) at `offset + i·strides[0] + j·strides[1] + …`.
///
/// Source: "Tensor Views" and `torch.as_strided` in the documentation of PyTorch.
struct TensorLayout: Sendable {
    let shape: [Int]
    /// One after another, row by row.
    let isContiguous: Bool
    /// All in elements.
    private let strides: [Int]
    let offset: Int
    /// From the first element that is read to behind the last.
    let span: Int
    let count: Int

    /// A tensor with more elements than its storage has (some are read many times) has at most so many.
    private static let mostRepeated = 1 << 18

    /// Throws ``Problem`` for a tensor that does not lie within `storage` elements.
    init(shape: [Int], strides: [Int], offset: Int, storage: Int) throws(Problem) {
        guard shape.count == strides.count else {
            throw Problem("it has \(shape.count) sides and \(strides.count) strides")
        }
        guard shape.count <= 64, (shape + strides + [offset]).allSatisfy({ $0 >= 0 }) else {
            throw Problem("its shape, strides or offset make no sense")
        }
        (self.shape, self.strides, self.offset) = (shape, strides, offset)
        count = shape.contains(0) ? 0 : try Self.exact(shape.reduce((1, false)) { Self.product($0, $1) })
        let reach = zip(shape, strides).reduce((1, false)) { sum, side in
            Self.sum(sum, Self.product((side.1, false), max(side.0 - 1, 0)))
        }
        span = count == 0 ? 0 : try Self.exact(reach)
        guard span <= storage, offset <= storage - span else {
            throw Problem("it reaches beyond its storage of \(storage) elements")
        }
        guard count <= max(storage, Self.mostRepeated) else {
            throw Problem("it declares \(count) elements over a storage of \(storage); save it with .contiguous()")
        }
        var dense = 1
        isContiguous = zip(shape, strides).reversed().allSatisfy { side, stride in
            defer { dense = dense &* side }
            return side == 1 || stride == dense
        }
        guard count == 0 || isContiguous || isOrdered else {
            throw Problem("its elements lie across each other; save it with .contiguous()")
        }
    }

    /// A tensor whose storage holds nothing else. Throws ``Problem`` for a shape that cannot be counted.
    init(dense shape: [Int]) throws(Problem) {
        (self.shape, isContiguous, strides, offset) = (shape, true, [], 0)
        count = try Self.exact(shape.reduce((1, false)) { Self.product($0, $1) })
        span = count
    }

    /// What is wrong, in half a line.
    struct Problem: Error {
        let reason: String
        init(_ reason: String) { self.reason = reason }
    }

    private typealias Checked = (value: Int, overflow: Bool)

    private static func product(_ a: Checked, _ b: Int) -> Checked {
        let (value, overflow) = a.value.multipliedReportingOverflow(by: b)
        return (value, overflow || a.overflow)
    }

    private static func sum(_ a: Checked, _ b: Checked) -> Checked {
        let (value, overflow) = a.value.addingReportingOverflow(b.value)
        return (value, overflow || a.overflow || b.overflow)
    }

    private static func exact(_ number: Checked) throws(Problem) -> Int {
        guard !number.overflow else { throw Problem("it has more elements than can be counted") }
        return number.value
    }

    // MARK: Walking through the storage

    /// One axis of a walk.
    struct Axis {
        let size, stride: Int
        /// How far apart neighbours are in the tensor as it is asked for, row by row.
        let step: Int
    }

    /// The axes longer than 1, those of the longest strides first.
    private var axes: [Axis] {
        var (axes, step) = ([Axis](), 1)
        for (size, stride) in zip(shape, strides).reversed() {
            if size != 1 { axes.append(Axis(size: size, stride: stride, step: step)) }
            step *= size
        }
        return axes.enumerated().sorted { ($1.element.stride, $0.offset) < ($0.element.stride, $1.offset) }.map(
            \.element)
    }

    /// Whether a walk along ``axes``, the last one fastest, never goes back in the storage.
    private var isOrdered: Bool {
        var inner = 0
        for axis in axes.reversed() {
            guard axis.stride >= inner else { return false }
            inner += (axis.size - 1) * axis.stride
        }
        return true
    }

    var walk: Walk { Walk(axes) }

    /// The elements in the order of the storage.
    struct Walk {
        private let axes: [Axis]
        private var position: [Int]
        /// Of the element in the storage, counted from the first, and in the tensor, row by row.
        private(set) var source = 0, target = 0
        private(set) var isDone = false

        fileprivate init(_ axes: [Axis]) {
            self.axes = axes
            position = [Int](repeating: 0, count: axes.count)
        }

        mutating func advance() {
            for i in axes.indices.reversed() {
                position[i] += 1
                source += axes[i].stride
                target += axes[i].step
                if position[i] < axes[i].size { return }
                source -= axes[i].stride * axes[i].size
                target -= axes[i].step * axes[i].size
                position[i] = 0
            }
            isDone = true
        }
    }
}
