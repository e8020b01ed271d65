import BEiTTensorCore

extension Tape {
    /// Cuts pixels `[B, C, H, W]` into rows `[B, Gh·Gw, C·P·P]`, patch after patch (height outer), each in the order
    /// (channel, row, column) of a patch projection's kernel. Pixels take no gradient.
    package func patches(_ pixels: Variable, size: Int) -> Variable {
        let shape = pixels.shape
        precondition(
            shape.count == 4 && shape[2] % size == 0 && shape[3] % size == 0, "pixels \(shape), patches of \(size)")
        let (channels, height, width) = (shape[1], shape[2], shape[3])
        let (gridHeight, gridWidth) = (height / size, width / size)
        let columns = channels * size * size
        let result = Tensor(uninitialized: [shape[0], gridHeight * gridWidth, columns])
        let (from, to) = (pixels.value.pointer, result.pointer)
        WorkerPool.current.run(shape[0] * gridHeight) { task in
            let (image, row) = (task / gridHeight, task % gridHeight)
            for column in 0..<gridWidth {
                let patch = to + ((image * gridHeight + row) * gridWidth + column) * columns
                for line in 0..<channels * size {
                    let (channel, y) = (line / size, row * size + line % size)
                    let source = from + ((image * channels + channel) * height + y) * width + column * size
                    (patch + line * size).update(from: source, count: size)
                }
            }
        }
        return Variable(result)
    }

    /// The transformer's input from patch embeddings `[B, N, D]`: masked rows are replaced by the mask token, the cls
    /// token is put before them, absolute positions are added: `[B, N + 1, D]` (the order of the authors'
    /// `modeling_pretrain.py`).
    /// - Parameters:
    ///   - mask: B·N flags, true where the mask token stands.
    ///   - positions: `[1, N + 1, D]`.
    package func tokens(
        _ patches: Variable, cls: Variable, maskToken: Variable? = nil, mask: [Bool]? = nil, positions: Variable? = nil
    ) -> Variable {
        let (batch, count, width) = (patches.shape[0], patches.shape[1], patches.shape[2])
        let mask = maskToken == nil ? nil : mask
        precondition(mask.map { $0.count == batch * count } ?? true, "mask of another size")
        precondition(positions.map { $0.value.count == (count + 1) * width } ?? true, "positions of another grid")
        let result = Tensor(uninitialized: [batch, count + 1, width])
        for image in 0..<batch {
            for row in 0...count {
                let to = result.pointer + (image * (count + 1) + row) * width
                let patch = image * count + row - 1
                let masked = row > 0 && mask?[patch] == true
                let source = row == 0 ? cls.value.pointer : patches.value.pointer + patch * width
                to.update(from: masked ? maskToken?.value.pointer ?? source : source, count: width)
                if let positions { Elementwise.addRow(positions.value.pointer + row * width, into: to, count: width) }
            }
        }
        let slots = (patches: patches.slot, cls: cls.slot, mask: maskToken?.slot, positions: positions?.slot)
        return record(result, from: [patches, cls, maskToken, positions]) { dy in
            if let positions = slots.positions {
                positions.accumulateIntoZeros([1, count + 1, width]) { gradient in
                    for image in 0..<batch {
                        Elementwise.addRow(
                            dy.pointer + image * (count + 1) * width, into: gradient.pointer, count: (count + 1) * width
                        )
                    }
                }
            }
            slots.cls?.accumulateIntoZeros([1, 1, width]) { gradient in
                for image in 0..<batch {
                    Elementwise.addRow(
                        dy.pointer + image * (count + 1) * width, into: gradient.pointer, count: width)
                }
            }
            let dPatches = Tensor(uninitialized: [batch, count, width])
            for row in 0..<batch * count {
                let from = dy.pointer + (row + row / count + 1) * width
                let to = dPatches.pointer + row * width
                if mask?[row] == true {
                    slots.mask?.accumulateIntoZeros([1, 1, width]) {
                        Elementwise.addRow(from, into: $0.pointer, count: width)
                    }
                    to.update(repeating: 0, count: width)
                } else {
                    to.update(from: from, count: width)
                }
            }
            slots.patches?.add(dPatches)
        }
    }

    /// The patch tokens without the cls token: `[B, N + 1, D]` → `[B, N, D]`.
    package func patchTokens(_ x: Variable) -> Variable { tokenRange(x, 1..<x.shape[1]) }

    /// The cls token alone: `[B, N + 1, D]` → `[B, D]`.
    package func clsToken(_ x: Variable) -> Variable {
        reshape(tokenRange(x, 0..<1), [x.shape[0], x.shape[2]])
    }

    private func tokenRange(_ x: Variable, _ range: Range<Int>) -> Variable {
        let (batch, tokens, width) = (x.shape[0], x.shape[1], x.shape[2])
        let result = Tensor(uninitialized: [batch, range.count, width])
        let (from, to, count) = (x.value.pointer, result.pointer, range.count * width)
        WorkerPool.current.run(batch) { image in
            (to + image * count).update(from: from + (image * tokens + range.lowerBound) * width, count: count)
        }
        let slot = x.slot
        return record(result, from: [x]) { dy in
            slot?.accumulateIntoZeros([batch, tokens, width]) { gradient in
                for image in 0..<batch {
                    Elementwise.addRow(
                        dy.pointer + image * count,
                        into: gradient.pointer + (image * tokens + range.lowerBound) * width, count: count)
                }
            }
        }
    }

    /// Mean over the tokens: `[B, N, D]` → `[B, D]`.
    package func meanOverTokens(_ x: Variable) -> Variable {
        let (batch, tokens, width) = (x.shape[0], x.shape[1], x.shape[2])
        let result = Tensor.zeros([batch, width])
        let (from, to) = (x.value.pointer, result.pointer)
        WorkerPool.current.run(batch) { image in
            for row in 0..<tokens {
                Elementwise.addRow(from + (image * tokens + row) * width, into: to + image * width, count: width)
            }
            Elementwise.scaleRow(1 / Float(tokens), to + image * width, count: width)
        }
        let slot = x.slot
        return record(result, from: [x]) { dy in
            let gradient = Tensor(uninitialized: [batch, tokens, width])
            WorkerPool.current.run(batch) { image in
                let source = dy.pointer + image * width
                Elementwise.scaleRow(1 / Float(tokens), source, count: width)
                for row in 0..<tokens {
                    (gradient.pointer + (image * tokens + row) * width).update(from: source, count: width)
                }
            }
            slot?.add(gradient)
        }
    }

    /// The same elements under another shape.
    package func reshape(_ x: Variable, _ shape: [Int]) -> Variable {
        let (slot, before) = (x.slot, x.shape)
        return record(x.value.reshaped(shape), from: [x]) { slot?.add($0.reshaped(before)) }
    }

    /// The rows of `x` `[R, D]` at `indices`, each at most once: `[indices.count, D]`.
    package func selectRows(_ x: Variable, _ indices: [Int]) -> Variable {
        let (rows, width) = (x.value.count / (x.shape.last ?? 1), x.shape.last ?? 1)
        precondition(indices.allSatisfy { $0 >= 0 && $0 < rows }, "rows beyond \(x.shape)")
        let result = Tensor(uninitialized: [indices.count, width])
        for (place, index) in indices.enumerated() {
            (result.pointer + place * width).update(from: x.value.pointer + index * width, count: width)
        }
        let (slot, shape) = (x.slot, x.shape)
        return record(result, from: [x]) { dy in
            slot?.accumulateIntoZeros(shape) { gradient in
                for (place, index) in indices.enumerated() {
                    Elementwise.addRow(
                        dy.pointer + place * width, into: gradient.pointer + index * width, count: width)
                }
            }
        }
    }
}
