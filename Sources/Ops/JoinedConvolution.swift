import BEiTTensorCore
import CBEiTKernels

extension Tape {
    /// The convolution with zero padding, stride 1, of maps that are resized to the first one's size (bilinear, half-pixel
    /// centres) and joined along their channels; maps `[B, h, w, C]` with sizes and channels of their own, weight
    /// `[out, ΣC, k, k]` with k odd, result `[B, H, W, out]` of the first map's size.
    ///
    /// Neither the resized maps nor the joined one are ever made. A convolution is a sum over its inputs, and a tap of it
    /// mixes channels alone, which resizing does not: so a small map goes through the taps at its own size, and what
    /// comes of each tap is resized, shifted to its place and added up. Of a map of half the height and width that takes
    /// a quarter of the arithmetic.
    /// - Parameter activation: in the same pass; it has no way back, so in inference alone.
    package func conv2d(
        joining maps: [Variable], weight: Parameter, bias: Parameter? = nil, activation: Activation = .none
    ) -> Variable {
        guard maps.count > 1 else {
            return conv2d(
                maps[0], weight: weight, bias: bias, padding: weight.fullShape[2] / 2, activation: activation)
        }
        precondition(activation == .none || !isTraining, "an activation that has no way back")
        let joint = JoinedKernel(weight.fullShape, maps.map(\.shape))
        let y = joint.forward(
            maps.map(\.value), weight, inference: !isTraining, Epilogue(bias: bias?.value, activation: activation))
        let (inputs, slots, value) = (maps.map(\.value), maps.map(\.slot), weight.value)
        let (weightSlot, biasSlot) = (weight.slot, bias?.slot)
        return record(y, from: maps + [weight, bias]) { dy in
            biasSlot?.accumulateIntoZeros([joint.outputs]) {
                RowSums.add(dy, rows: dy.count / joint.outputs, columns: joint.outputs, into: $0)
            }
            let gradients = joint.backward(dy, inputs, value, wanted: slots.map { $0 != nil })
            for (slot, gradient) in zip(slots, gradients.maps) { gradient.map { slot?.add($0) } }
            weightSlot?.add(gradients.weight)
        }
    }
}

extension Parameter {
    /// For inference: packs the weight of a joined convolution of maps with so many channels once and takes no more
    /// gradients. Where ``WinogradConvolution`` suits the first map's part, that stays as it is, or takes its form.
    package func freezeJoinedConvolution(channels: [Int], _ precision: Precision) {
        let joint = JoinedKernel(fullShape, channels.map { [1, 1, 1, $0] })
        if WinogradConvolution.serves(joint.firstShape, precision) {
            return freezePacked(winograd: { WinogradConvolution(joint.firstKernel($0), .bfloat16) }) { weight, scales in
                joint.smallMatrices(weight).map { precision.pack($0, scales: scales) }
            }
        }
        let isPlain = precision == .fp32 && WinogradConvolution.suits(joint.firstShape)
        guard channels.count > 1 else { return isPlain ? freeze() : freezeConvolution(precision) }
        freezePacked(keeping: isPlain ? { joint.firstKernel($0) } : nil) { weight, scales in
            let matrices = (isPlain ? [] : [joint.firstMatrix(weight)]) + joint.smallMatrices(weight)
            return matrices.map { precision.pack($0, scales: scales) }
        }
    }
}

/// The weight `[out, ΣC, k, k]` of a joined convolution, and the maps that it takes.
private struct JoinedKernel {
    let outputs, side: Int
    private let first: ConvolutionKernel
    private let shape: [Int]
    private let parts: [Part]
    /// Of the maps that are resized, in order.
    private let small: [TapSpread]

    /// The channels of one map in the weight.
    private struct Part {
        let channels: Range<Int>
        /// Of the map.
        let shape: [Int]
        var pixels: Int { shape[0] * shape[1] * shape[2] }
    }

    init(_ weight: [Int], _ maps: [[Int]]) {
        precondition(weight.count == 4 && weight[2] == weight[3] && weight[2] % 2 == 1, "kernel \(weight)")
        (shape, outputs, side) = (weight, weight[0], weight[2])
        var (parts, end) = ([Part](), 0)
        for map in maps {
            precondition(map.count == 4 && map[0] == maps[0][0], "maps \(maps)")
            parts.append(Part(channels: end..<end + map[3], shape: map))
            end += map[3]
        }
        precondition(end == weight[1] && !parts.isEmpty, "maps \(maps) for the kernel \(weight)")
        self.parts = parts
        let size = maps[0]
        first = ConvolutionKernel([weight[0], size[3], side, side], stride: 1, padding: side / 2)
        small = maps.dropFirst().map { TapSpread(from: $0, to: size, outputs: weight[0], side: weight[2]) }
    }

    private var taps: Int { side * side }
    /// Columns of what becomes of a resized map's pixel: the taps, and the outputs of each.
    private var spreadColumns: Int { taps * outputs }

    // MARK: Weights

    /// Of the first map's convolution, `[out, C, k, k]`, and as a matrix.
    var firstShape: [Int] { [outputs, parts[0].channels.count, side, side] }
    func firstKernel(_ weight: Tensor) -> Tensor { slice(weight, parts[0].channels) }
    func firstMatrix(_ weight: Tensor) -> Tensor { first.coarseWeights(firstKernel(weight)) }

    /// For each other map `[taps·out, C]`.
    func smallMatrices(_ weight: Tensor) -> [Tensor] { parts.dropFirst().map { tapMajor(weight, $0.channels) } }

    /// `[out, channels, k, k]`.
    private func slice(_ weight: Tensor, _ channels: Range<Int>) -> Tensor {
        let result = Tensor(uninitialized: [outputs, channels.count, side, side])
        let (from, to, count) = (weight.pointer, result.pointer, channels.count * taps)
        for output in 0..<outputs {
            (to + output * count).update(
                from: from + (output * shape[1] + channels.lowerBound) * taps, count: count)
        }
        return result
    }

    private func tapMajor(_ weight: Tensor, _ channels: Range<Int>) -> Tensor {
        let result = Tensor(uninitialized: [spreadColumns, channels.count])
        let (from, to, count) = (weight.pointer, result.pointer, channels.count)
        WorkerPool.current.run(outputs) { output in
            let rows = Tensor(uninitialized: [taps, count])
            beitseg_transpose(from + (output * shape[1] + channels.lowerBound) * taps, count, taps, rows.pointer)
            for tap in 0..<taps {
                (to + (tap * outputs + output) * count).update(from: rows.pointer + tap * count, count: count)
            }
        }
        return result
    }

    /// The inverse of ``tapMajor(_:_:)``, into its place in the whole.
    private func place(tapMajor matrix: Tensor, _ channels: Range<Int>, in weight: Tensor) {
        let (from, to, count) = (matrix.pointer, weight.pointer, channels.count)
        WorkerPool.current.run(outputs) { output in
            let rows = Tensor(uninitialized: [taps, count])
            for tap in 0..<taps {
                (rows.pointer + tap * count).update(from: from + (tap * outputs + output) * count, count: count)
            }
            beitseg_transpose(rows.pointer, taps, count, to + (output * shape[1] + channels.lowerBound) * taps)
        }
    }

    /// The inverse of ``slice(_:_:)``.
    private func place(slice: Tensor, _ channels: Range<Int>, in weight: Tensor) {
        let (from, to, count) = (slice.pointer, weight.pointer, channels.count * taps)
        for output in 0..<outputs {
            (to + (output * shape[1] + channels.lowerBound) * taps).update(from: from + output * count, count: count)
        }
    }

    // MARK: Forward and backward

    func forward(_ maps: [Tensor], _ weight: Parameter, inference: Bool, _ epilogue: Epilogue) -> Tensor {
        let y = convolveFirst(maps[0], weight, inference: inference)
        let packed = Array(weight.packedMatrices.suffix(small.count))
        let matrices = packed.isEmpty ? smallMatrices(weight.value).map { PackedMatrix(weight: $0) } : packed
        let products = zip(matrices, zip(parts, maps).dropFirst()).map { matrix, map in
            let (part, x) = map
            let product = Tensor(uninitialized: Array(part.shape.dropLast()) + [spreadColumns])
            matrix.multiply(
                Product(rows: part.pixels, inputs: part.channels.count, outputs: spreadColumns),
                x.converted(to: matrix.inputType), into: product)
            return product
        }
        let (height, width) = (y.shape[1], y.shape[2])
        WorkerPool.current.run(y.shape[0] * height) { row in
            let target = y.pointer + row * width * outputs
            for (spread, product) in zip(small, products) { spread.add(row, of: product, into: target) }
            if epilogue.isIdentity { return }
            epilogue.finish(
                target, stride: outputs, rows: 0..<width, columns: 0..<outputs,
                into: TileTarget(target, stride: outputs))
        }
        return y
    }

    private func convolveFirst(_ map: Tensor, _ weight: Parameter, inference: Bool) -> Tensor {
        if let winograd = weight.winograd { return winograd.convolve(map.converted(to: .float32), Epilogue()) }
        let packed = weight.packedMatrices
        if packed.count == parts.count { return first.coarse(from: map, weights: packed[0]) }
        let kernel = packed.isEmpty ? firstKernel(weight.value) : weight.value
        return first.coarse(from: map, kernel: kernel, inference: inference)
    }

    /// - Parameter wanted: the maps whose gradient is asked for.
    func backward(
        _ dy: Tensor, _ maps: [Tensor], _ weight: Tensor, wanted: [Bool]
    ) -> (maps: [Tensor?], weight: Tensor) {
        let dWeight = Tensor(uninitialized: shape)
        var gradients: [Tensor?] = []
        for (index, part) in parts.enumerated() {
            if index == 0 {
                place(slice: first.weightGradient(coarse: dy, fine: maps[0]), part.channels, in: dWeight)
                guard wanted[0] else {
                    gradients.append(nil)
                    continue
                }
                let matrices = first.fineWeights(slice(weight, part.channels)).map { PackedMatrix(weight: $0) }
                gradients.append(
                    first.fine(from: dy, weights: matrices, height: part.shape[1], width: part.shape[2]))
                continue
            }
            let dProduct = small[index - 1].gather(dy)
            let (rows, channels) = (part.pixels, part.channels.count)
            let dMatrix = Tensor(uninitialized: [spreadColumns, channels])
            MatrixProduct.run(
                m: spreadColumns, n: channels, k: rows, dProduct.pointer, transposeA: true, maps[index].pointer,
                dMatrix.pointer)
            place(tapMajor: dMatrix, part.channels, in: dWeight)
            gradients.append(wanted[index] ? inputGradient(dProduct, weight, part) : nil)
        }
        return (gradients, dWeight)
    }

    private func inputGradient(_ dProduct: Tensor, _ weight: Tensor, _ part: Part) -> Tensor {
        let (result, matrix) = (Tensor(uninitialized: part.shape), tapMajor(weight, part.channels))
        MatrixProduct.run(
            m: part.pixels, n: part.channels.count, k: spreadColumns, dProduct.pointer, matrix.pointer,
            result.pointer)
        return result
    }
}

/// From a product `[B, h, w, k, k, out]`, a value of each tap for each pixel of a small map, to the map
/// `[B, H, W, out]`: each tap's values are resized, shifted to where the tap reads, and added up. Resizing goes along rows
/// and columns one after the other, so the taps of a column of the kernel are added up before they are spread along x.
private struct TapSpread {
    private let rows, columns: ResamplingTable
    /// Their adjoints.
    private let rowsBack, columnsBack: ResamplingTable
    private let images, outputs, side: Int

    /// - Parameters: shapes of maps `[B, h, w, C]`.
    init(from small: [Int], to large: [Int], outputs: Int, side: Int) {
        rows = .interpolation(from: small[1], to: large[1], .bilinear, antialias: false)
        columns = .interpolation(from: small[2], to: large[2], .bilinear, antialias: false)
        (rowsBack, columnsBack) = (rows.transposed, columns.transposed)
        (images, self.outputs, self.side) = (small[0], outputs, side)
    }

    /// Elements of a row of the kernel.
    private var kernelRow: Int { side * outputs }
    /// Elements of a pixel of the product.
    private var pixel: Int { side * kernelRow }

    /// Adds row `index` of all images' rows to `target`, `[W, out]`.
    func add(_ index: Int, of product: Tensor, into target: UnsafeMutablePointer<Float>) {
        let (image, y) = index.quotientAndRemainder(dividingBy: rows.outputs)
        let source = product.pointer + image * rows.inputs * columns.inputs * pixel
        let line = Tensor(uninitialized: [columns.inputs, side, outputs])
        var sum = WeightedSum()
        for x in 0..<columns.inputs {
            for ky in 0..<side where 0..<rows.outputs ~= y + ky - side / 2 {
                for tap in rows.taps[y + ky - side / 2] {
                    let at = (tap.input * columns.inputs + x) * pixel + ky * kernelRow
                    sum.append(source + at, times: tap.weight)
                }
            }
            sum.store(in: line.pointer + x * kernelRow, count: kernelRow)
        }
        for x in 0..<columns.outputs {
            for kx in 0..<side where 0..<columns.outputs ~= x + kx - side / 2 {
                for tap in columns.taps[x + kx - side / 2] {
                    sum.append(line.pointer + tap.input * kernelRow + kx * outputs, times: tap.weight)
                }
            }
            sum.store(in: target + x * outputs, count: outputs, adding: true)
        }
    }

    /// The adjoint: the gradient of the product from that of the map.
    func gather(_ dy: Tensor) -> Tensor {
        let lines = Tensor(uninitialized: [images, rows.outputs, columns.inputs, side, outputs])
        WorkerPool.current.run(images * rows.outputs) { row in
            gatherLine(dy.pointer + row * columns.outputs * outputs, lines.pointer + row * columns.inputs * kernelRow)
        }
        let result = Tensor(uninitialized: [images, rows.inputs, columns.inputs, side, side, outputs])
        WorkerPool.current.run(images * rows.inputs) { index in
            let (image, row) = index.quotientAndRemainder(dividingBy: rows.inputs)
            gatherRow(
                row, lines.pointer + image * rows.outputs * columns.inputs * kernelRow,
                result.pointer + index * columns.inputs * pixel)
        }
        return result
    }

    /// Of one row of the map's gradient `[W, out]` its part in a line `[w, k, out]`.
    private func gatherLine(_ dy: UnsafePointer<Float>, _ line: UnsafeMutablePointer<Float>) {
        var sum = WeightedSum()
        for x in 0..<columns.inputs {
            for kx in 0..<side {
                for tap in columnsBack.taps[x] where 0..<columns.outputs ~= tap.input - kx + side / 2 {
                    sum.append(dy + (tap.input - kx + side / 2) * outputs, times: tap.weight)
                }
                sum.store(in: line + x * kernelRow + kx * outputs, count: outputs)
            }
        }
    }

    /// Of an image's `lines` what becomes row `row` of the product, `[w, k, k, out]`.
    private func gatherRow(_ row: Int, _ lines: UnsafePointer<Float>, _ result: UnsafeMutablePointer<Float>) {
        var sum = WeightedSum()
        for x in 0..<columns.inputs {
            for ky in 0..<side {
                for tap in rowsBack.taps[row] where 0..<rows.outputs ~= tap.input - ky + side / 2 {
                    let at = ((tap.input - ky + side / 2) * columns.inputs + x) * kernelRow
                    sum.append(lines + at, times: tap.weight)
                }
                sum.store(in: result + x * pixel + ky * kernelRow, count: kernelRow)
            }
        }
    }
}
