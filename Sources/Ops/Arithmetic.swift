import BEiTTensorCore
import CBEiTKernels

extension Tape {
    /// a + b, of one shape.
    package func add(_ a: Variable, _ b: Variable) -> Variable {
        precondition(a.shape == b.shape, "\(a.shape) + \(b.shape)")
        let y = a.value.copy()
        Elementwise.add(b.value, into: y)
        let (aSlot, bSlot) = (a.slot, b.slot)
        return record(y, from: [a, b]) { dy in
            bSlot?.add(aSlot == nil ? dy : dy.copy())
            aSlot?.add(dy)
        }
    }

    /// x + v for each row of x `[..., D]`; v has D elements.
    package func addBroadcast(_ x: Variable, _ vector: Variable) -> Variable {
        let columns = vector.value.count
        precondition(x.shape.last == columns, "\(x.shape) + row \(vector.shape)")
        let (y, rows) = (x.value.copy(), columns == 0 ? 0 : x.value.count / columns)
        WorkerPool.current.run(rows, grain: Elementwise.rowGrain(columns)) { range in
            for row in range {
                Elementwise.addRow(vector.value.pointer, into: y.pointer + row * columns, count: columns)
            }
        }
        let (xSlot, vectorSlot, vectorShape) = (x.slot, vector.slot, vector.shape)
        return record(y, from: [x, vector]) { dy in
            vectorSlot?.accumulateIntoZeros(vectorShape) { RowSums.add(dy, rows: rows, columns: columns, into: $0) }
            xSlot?.add(dy)
        }
    }

    /// a·b, element by element.
    package func multiply(_ a: Variable, _ b: Variable) -> Variable {
        precondition(a.shape == b.shape, "\(a.shape) · \(b.shape)")
        let (aValue, bValue, aSlot, bSlot) = (a.value, b.value, a.slot, b.slot)
        return record(Elementwise.product(aValue, bValue), from: [a, b]) { dy in
            aSlot?.add(Elementwise.product(dy, bValue))
            bSlot?.add(Elementwise.product(dy, aValue))
        }
    }

    /// factor·x.
    package func scale(_ x: Variable, _ factor: Float) -> Variable {
        let slot = x.slot
        return record(Elementwise.scaled(x.value, factor), from: [x]) { slot?.add(Elementwise.scaled($0, factor)) }
    }

    /// The sum of all elements, `[1]`.
    package func sum(_ x: Variable) -> Variable { scaledSum(x, factor: 1) }

    /// The mean of all elements, `[1]`; 0 if there are none.
    package func mean(_ x: Variable) -> Variable { scaledSum(x, factor: 1 / Double(max(1, x.value.count))) }

    private func scaledSum(_ x: Variable, factor: Double) -> Variable {
        let (value, shape, slot) = (x.value, x.shape, x.slot)
        let total = PartialSums.total(value.count, grain: Elementwise.grain) {
            beitseg_sum(value.pointer + $0.lowerBound, $0.count)
        }
        return record(Tensor([Float(factor * total)], [1]), from: [x]) { dy in
            slot?.add(Tensor(repeating: Float(factor * Double(dy.scalar)), shape))
        }
    }

    /// x·Φ(x), Φ the normal distribution: the exact form of Hendrycks and Gimpel (arXiv:1606.08415).
    package func gelu(_ x: Variable) -> Variable {
        let (value, slot) = (x.value, x.slot)
        let y = Tensor(uninitialized: value.shape)
        WorkerPool.current.run(value.count, grain: Elementwise.grain) {
            beitseg_gelu(value.pointer + $0.lowerBound, y.pointer + $0.lowerBound, $0.count)
        }
        return record(y, from: [x]) { dy in
            WorkerPool.current.run(value.count, grain: Elementwise.grain) {
                let gradient = dy.pointer + $0.lowerBound
                beitseg_gelu_backward(value.pointer + $0.lowerBound, gradient, gradient, $0.count)
            }
            slot?.add(dy)
        }
    }
}

extension Elementwise {
    /// Rows of one task where a row has `columns` elements.
    static func rowGrain(_ columns: Int) -> Int { max(1, grain / max(1, columns)) }

    static func product(_ a: Tensor, _ b: Tensor) -> Tensor {
        let y = Tensor(uninitialized: a.shape)
        WorkerPool.current.run(a.count, grain: grain) {
            let start = $0.lowerBound
            beitseg_multiply(a.pointer + start, b.pointer + start, y.pointer + start, $0.count)
        }
        return y
    }

    static func scaled(_ x: Tensor, _ factor: Float) -> Tensor {
        let y = Tensor(uninitialized: x.shape)
        WorkerPool.current.run(x.count, grain: grain) {
            beitseg_axpby(factor, x.pointer + $0.lowerBound, 0, y.pointer + $0.lowerBound, $0.count)
        }
        return y
    }
}

/// Sums in double precision: a partial sum for each fixed slice, added in order.
package enum PartialSums {
    /// The sum of `body` over slices of `grain` out of `count` items.
    package static func total(_ count: Int, grain: Int, _ body: (Range<Int>) -> Double) -> Double {
        var partials = [Double](repeating: 0, count: (count + grain - 1) / grain)
        partials.withUnsafeMutableBufferPointer { partials in
            let slots = partials  // each task writes its own element
            WorkerPool.current.run(count, grain: grain) { slots[$0.lowerBound / grain] = body($0) }
        }
        return partials.reduce(0, +)
    }
}
