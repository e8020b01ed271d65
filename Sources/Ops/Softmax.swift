import BEiTTensorCore
import CBEiTKernels

extension Tape {
    /// Softmax over the last axis.
    package func softmax(_ x: Variable) -> Variable {
        let y = Tensor(uninitialized: x.shape)
        Rows(of: y).run { rows, columns in
            let start = rows.lowerBound * columns
            beitseg_softmax(x.value.pointer + start, rows.count, columns, y.pointer + start)
        }
        return recordSoftmax(y, from: x, temperature: 1)
    }

    /// The Gumbel-softmax relaxation (Jang et al., arXiv:1611.01144): softmax((logits + g)/temperature) over the last
    /// axis, soft in both directions.
    /// - Parameter noise: g, of the logits' shape; nil draws −ln(−ln u), u uniform in (0, 1), from the tape's generator:
    ///   a number for each element, whatever the number of threads.
    package func gumbelSoftmax(_ logits: Variable, temperature: Float, noise: Tensor? = nil) -> Variable {
        precondition(temperature > 0, "temperature \(temperature)")
        precondition(noise.map { $0.count == logits.value.count } ?? true, "noise of another shape")
        let source = noise == nil ? generator.reserve(logits.value.count) : generator
        let y = Tensor(uninitialized: logits.shape)
        Rows(of: y).run { rows, columns in
            let (start, count) = (rows.lowerBound * columns, rows.count * columns)
            let (z, to) = (logits.value.pointer + start, y.pointer + start)
            if let noise {
                to.update(from: noise.pointer + start, count: count)
            } else {
                beitseg_gumbel_noise(source.seed, source.stream, source.position + UInt64(start), to, count)
            }
            beitseg_axpby(1 / temperature, z, 1 / temperature, to, count)
            beitseg_softmax(to, rows.count, columns, to)
        }
        return recordSoftmax(y, from: logits, temperature: temperature)
    }

    private func recordSoftmax(_ y: Tensor, from x: Variable, temperature: Float) -> Variable {
        let slot = x.slot
        return record(y, from: [x]) { dy in
            Rows(of: y).run { rows, columns in
                let start = rows.lowerBound * columns
                let gradient = dy.pointer + start
                beitseg_softmax_backward(y.pointer + start, gradient, rows.count, columns, gradient)
                if temperature != 1 { Elementwise.scaleRow(1 / temperature, gradient, count: rows.count * columns) }
            }
            slot?.add(dy)
        }
    }
}

/// A tensor as rows of its last axis, worked on in tasks of whole rows.
struct Rows {
    let count, columns: Int

    init(of tensor: Tensor) {
        columns = tensor.shape.last ?? 1
        count = columns == 0 ? 0 : tensor.count / columns
    }

    var grain: Int { Elementwise.rowGrain(columns) }

    func run(_ body: (_ rows: Range<Int>, _ columns: Int) -> Void) {
        WorkerPool.current.run(count, grain: grain) { body($0, columns) }
    }

    func total(_ body: (_ rows: Range<Int>) -> Double) -> Double {
        PartialSums.total(count, grain: grain, body)
    }
}

extension Philox {
    /// Sets the next `count` words apart: the generator that draws them.
    mutating func reserve(_ count: Int) -> Philox {
        defer { self = Philox(seed: seed, stream: stream, position: position + UInt64(count)) }
        return self
    }
}

extension Tensor {
    /// The place of the largest value along the last axis, the first of equals: predicted classes, visual tokens.
    package func argmax() -> [Int32] {
        let rows = Rows(of: self)
        return [Int32](unsafeUninitializedCapacity: rows.count) { indices, count in
            let places = indices  // each task writes its own rows
            rows.run { range, columns in
                guard let to = places.baseAddress else { return }
                beitseg_argmax(pointer + range.lowerBound * columns, range.count, columns, to + range.lowerBound)
            }
            count = rows.count
        }
    }
}
