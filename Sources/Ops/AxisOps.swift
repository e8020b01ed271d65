import BEiTTensorCore
import CBEiTKernels

extension Tape {
    /// Tensors one after another along `axis`; their other axes agree.
    package func concat(_ parts: [Variable], axis: Int) -> Variable {
        precondition(!parts.isEmpty, "nothing to concatenate")
        var shape = parts[0].shape
        for part in parts {
            var other = part.shape
            precondition(other.count == shape.count && axis < shape.count, "axis \(axis) of \(shape) and \(other)")
            other[axis] = shape[axis]
            precondition(other == shape, "\(part.shape) does not continue \(shape) along axis \(axis)")
        }
        shape[axis] = parts.reduce(0) { $0 + $1.shape[axis] }
        let rows = shape[..<axis].reduce(1, *), inner = shape[(axis + 1)...].reduce(1, *)
        let stride = shape[axis] * inner
        let y = Tensor(uninitialized: shape)
        var pieces: [(slot: GradientSlot?, shape: [Int], offset: Int, count: Int)] = []
        var offset = 0
        for part in parts {
            let count = part.shape[axis] * inner
            StridedRows(rows: rows, count: count).copy(
                from: part.value.pointer, stride: count, to: y.pointer + offset, stride: stride)
            pieces.append((part.slot, part.shape, offset, count))
            offset += count
        }
        return record(y, from: parts) { dy in
            for piece in pieces {
                piece.slot?.accumulate(piece.shape) { gradient, fresh in
                    StridedRows(rows: rows, count: piece.count).copy(
                        from: dy.pointer + piece.offset, stride: stride, to: gradient.pointer, stride: piece.count,
                        adding: !fresh)
                }
            }
        }
    }

    /// The elements whose index along `axis` lies in `range`.
    package func slice(_ x: Variable, axis: Int, _ range: Range<Int>) -> Variable {
        let before = x.shape
        precondition(
            before.indices.contains(axis) && range.lowerBound >= 0 && range.upperBound <= before[axis],
            "\(range) along axis \(axis) of \(before)")
        let inner = before[(axis + 1)...].reduce(1, *)
        let (stride, offset, count) = (before[axis] * inner, range.lowerBound * inner, range.count * inner)
        let block = StridedRows(rows: before[..<axis].reduce(1, *), count: count)
        var shape = before
        shape[axis] = range.count
        let y = Tensor(uninitialized: shape)
        block.copy(from: x.value.pointer + offset, stride: stride, to: y.pointer, stride: count)
        let slot = x.slot
        return record(y, from: [x]) { dy in
            slot?.accumulateIntoZeros(before) { gradient in
                block.copy(
                    from: dy.pointer, stride: count, to: gradient.pointer + offset, stride: stride, adding: true)
            }
        }
    }

    /// Axes in another order: axis i of the result is axis `permutation[i]` of x.
    package func transpose(_ x: Variable, _ permutation: [Int]) -> Variable {
        precondition(permutation.sorted() == Array(x.shape.indices), "\(permutation) of the axes of \(x.shape)")
        var inverse = permutation
        for (place, axis) in permutation.enumerated() { inverse[axis] = place }
        let (slot, back) = (x.slot, inverse)
        return record(x.value.transposed(permutation), from: [x]) { slot?.add($0.transposed(back)) }
    }
}

extension Tensor {
    /// A copy with the axes in another order: axis i of the result is axis `permutation[i]`.
    package func transposed(_ permutation: [Int]) -> Tensor {
        guard let last = permutation.last else { return copy() }
        var strides = [Int](repeating: 1, count: shape.count)
        for axis in stride(from: shape.count - 2, through: 0, by: -1) {
            strides[axis] = strides[axis + 1] * shape[axis + 1]
        }
        let result = Tensor(uninitialized: permutation.map { shape[$0] })
        let (columns, step) = (shape[last], strides[last])
        let rows = columns == 0 ? 0 : count / columns
        let outer = permutation.dropLast().reversed().map { (size: shape[$0], stride: strides[$0]) }
        WorkerPool.current.run(rows, grain: Elementwise.rowGrain(columns)) { range in
            for row in range {
                var (index, from) = (row, pointer)
                for axis in outer {
                    from += index % axis.size * axis.stride
                    index /= axis.size
                }
                let to = result.pointer + row * columns
                if step == 1 {
                    to.update(from: from, count: columns)
                } else {
                    for column in 0..<columns { to[column] = from[column * step] }
                }
            }
        }
        return result
    }
}

/// `rows` runs of `count` elements each.
private struct StridedRows {
    let rows, count: Int

    func copy(
        from: UnsafePointer<Float>, stride fromStride: Int, to: UnsafeMutablePointer<Float>, stride toStride: Int,
        adding: Bool = false
    ) {
        WorkerPool.current.run(rows, grain: Elementwise.rowGrain(count)) { range in
            for row in range {
                let (source, target) = (from + row * fromStride, to + row * toStride)
                if adding {
                    Elementwise.addRow(source, into: target, count: count)
                } else {
                    target.update(from: source, count: count)
                }
            }
        }
    }
}
