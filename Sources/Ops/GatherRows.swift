import BEiTTensorCore

extension Tape {
    /// The rows of `table` `[R, D]` at `indices`, which may repeat: `[indices.count, D]` (an embedding).
    /// - Precondition: every index is in 0 ..< R.
    package func gatherRows(_ table: Variable, _ indices: [Int]) -> Variable {
        let shape = table.shape
        precondition(shape.count == 2 && indices.allSatisfy { $0 >= 0 && $0 < shape[0] }, "rows beyond \(shape)")
        let (width, slot) = (shape[1], table.slot)
        let y = Tensor(uninitialized: [indices.count, width])
        WorkerPool.current.run(indices.count, grain: Elementwise.rowGrain(width)) { range in
            for place in range {
                (y.pointer + place * width).update(from: table.value.pointer + indices[place] * width, count: width)
            }
        }
        return record(y, from: [table]) { dy in
            slot?.accumulateIntoZeros(shape) { gradient in
                // A task owns columns, so that the rows of one index are added in their order by one thread.
                WorkerPool.current.run(width, grain: 64) { columns in
                    for (place, index) in indices.enumerated() {
                        Elementwise.addRow(
                            dy.pointer + place * width + columns.lowerBound,
                            into: gradient.pointer + index * width + columns.lowerBound, count: columns.count)
                    }
                }
            }
        }
    }
}
