import BEiTTensorCore

/// The gradient of one variable while the tape plays backwards.
package final class GradientSlot {
    /// Of floats; of bfloat16 where that is how the value's one reader makes it.
    package private(set) var tensor: Tensor?
    /// The value, where a ReLU has made it: a reader may take its gradient back through the ReLU as it makes it.
    private(set) var mask: Tensor?
    /// Whether the gradient has come back through the ReLU.
    private var isMasked = false
    /// Where the gradient is made, as a part of a larger buffer; nil for memory of its own.
    package var place: Tensor?

    package init(mask: Tensor? = nil) { self.mask = mask }

    /// Adds `gradient`. The first one is kept as it is, without a copy (unless it has its ``place``): a backward step hands
    /// the same tensor to at most one slot, and reads it no more once it has returned.
    /// - Parameter masked: whether it has come back through the ReLU of ``mask``.
    package func add(_ gradient: Tensor, masked: Bool = false) {
        guard let tensor else {
            if let place { place.pointer.update(from: gradient.pointer, count: gradient.count) }
            (self.tensor, isMasked) = (place ?? gradient, masked)
            return
        }
        precondition(tensor.count == gradient.count, "gradient \(gradient.shape) for \(tensor.shape)")
        let sum = tensor.converted(to: .float32)
        Elementwise.add(gradient.converted(to: .float32), into: sum)
        (self.tensor, isMasked) = (sum, isMasked && masked)
    }

    /// Takes out what has been added up, come back through the ReLU.
    func take() -> Tensor? {
        guard var gradient = tensor else { return nil }
        if let mask, !isMasked {
            gradient = gradient.converted(to: .float32)
            reluBackward(mask, gradient)
        }
        tensor = nil
        return gradient
    }

    /// Lets `write` add to the gradient in place. `fresh`: the elements are not initialised yet, so store (β = 0)
    /// instead of adding.
    package func accumulate(_ shape: [Int], _ write: (_ gradient: Tensor, _ fresh: Bool) -> Void) {
        isMasked = false
        if let sum = tensor?.converted(to: .float32) {
            precondition(sum.count == shape.elementCount, "gradient \(shape) for \(sum.shape)")
            tensor = sum
            write(sum, false)
        } else {
            let fresh = place ?? Tensor(uninitialized: shape)
            write(fresh, true)
            tensor = fresh
        }
    }

    /// As `accumulate` for kernels that only add: a fresh gradient starts as zeros.
    package func accumulateIntoZeros(_ shape: [Int], _ write: (_ gradient: Tensor) -> Void) {
        if tensor == nil {
            place?.buffer.update(repeating: 0)
            tensor = place ?? .zeros(shape)
        }
        tensor.map(write)
    }

    /// Takes a gradient that was made elsewhere, or forgets the one that is there.
    package func hold(_ gradient: Tensor?) { tensor = gradient }

    package func clear() { tensor = nil }
}

/// A value that a model computes with, and the place of its gradient.
package class Variable {
    package fileprivate(set) var value: Tensor
    /// Nil where no gradient is wanted: pixels, labels, frozen parameters, inference.
    package fileprivate(set) var slot: GradientSlot?

    /// A constant, or with `needsGradient` a leaf whose gradient is asked for.
    package convenience init(_ value: Tensor, needsGradient: Bool = false) {
        self.init(value, needsGradient ? GradientSlot() : nil)
    }

    fileprivate init(_ value: Tensor, _ slot: GradientSlot?) { (self.value, self.slot) = (value, slot) }

    package var shape: [Int] { value.shape }
    package var gradient: Tensor? { slot?.tensor }
}

/// A learnable tensor. Its gradient adds up over backward passes until it is cleared.
package final class Parameter: Variable {
    /// Whether weight decay applies: matrices and kernels, not biases, norms, layer scales, cls token and positions.
    package let decays: Bool
    /// The axis of the outputs in a matrix or a kernel that a product multiplies by; nil for all else.
    package let outputAxis: Int?
    /// The values as a file has them, until they are packed or expanded.
    private var quantized: QuantizedWeight?
    /// The scales of values that were expanded.
    private var scales: Tensor?
    /// The weights in the layout of the matrix engine, once they are frozen so: one matrix for a linear layer or a
    /// convolution, one for each phase of a transposed convolution.
    private(set) var packedMatrices: [any EngineMatrix] = []
    /// In the place of the matrices of a convolution, or of the first one of a joined convolution.
    private(set) var winograd: WinogradConvolution?
    var packed: (any EngineMatrix)? { packedMatrices.first }
    package var isPacked: Bool { packed != nil || winograd != nil }
    /// The elements of the left-hand sides that the weights take; floats where they take different ones.
    package var inputType: ElementType {
        let types = Set(packedMatrices.map(\.inputType))
        return types.count == 1 ? types.first ?? .float32 : .float32
    }
    /// What a product before this one shall put out: bytes are quantised by rows that are whole.
    package var producerType: ElementType { inputType == .uint8 ? .bfloat16 : inputType }
    /// The shape, also when the values are packed away.
    package let fullShape: [Int]

    package init(_ value: Tensor, decays: Bool = true, outputAxis: Int? = nil) {
        (self.decays, self.outputAxis) = (decays, outputAxis)
        fullShape = value.shape
        super.init(value, GradientSlot())
    }

    package override var shape: [Int] { fullShape }

    /// Whether it takes gradients: not once it is frozen.
    package var learns: Bool { slot != nil }

    /// Replaces the values, in place: every holder of the parameter sees them.
    package func assign(_ tensor: Tensor) {
        precondition(tensor.shape == fullShape && !isPacked, "\(tensor.shape) for parameter \(fullShape)")
        value.pointer.update(from: tensor.pointer, count: tensor.count)
    }

    /// Takes new memory for the values, which are not initialised then: the memory of weights that were packed before,
    /// if these are read one after another.
    package func renew() { value = Tensor(uninitialized: fullShape) }

    /// Whether inference in int8 multiplies by it in bytes, and files of int8 have it so.
    package var isQuantizable: Bool {
        guard let outputAxis, fullShape[outputAxis] > 0 else { return false }
        return QuantizedMatrix.takes(inputs: fullShape.elementCount / fullShape[outputAxis])
    }

    /// Takes the values of a file for inference. They are packed as they are, or become floats when the parameter is
    /// frozen.
    package func hold(_ weight: QuantizedWeight) {
        precondition(weight.bytes.shape == fullShape && !isPacked, "\(weight.bytes.shape) for \(fullShape)")
        (quantized, value) = (weight, Tensor(uninitialized: [0]))
    }

    private func expand() {
        guard let quantized else { return }
        renew()
        quantized.expand(into: value)
        (scales, self.quantized) = (quantized.scales, nil)
    }

    /// Multiplies the values of each output, in place.
    package func scaleOutputs(by factors: [Double]) {
        guard let outputAxis else { preconditionFailure("outputs of a parameter that has none") }
        expand()
        let runs = OutputRuns(fullShape, axis: outputAxis)
        for (output, factor) in factors.enumerated() {
            runs.forEach(of: output) {
                for index in $0 { value.pointer[index] = Float(factor * Double(value.pointer[index])) }
            }
        }
        guard let scales else { return }
        let scaled = zip(scales.values, factors).map { Float(abs($1) * Double($0)) }
        self.scales = scaled.allSatisfy { $0.isNormal } ? Tensor(scaled, [scaled.count]) : nil
    }

    /// For inference: packs a weight `[outputs, inputs]` once, lets the plain copy go, and takes no more gradients.
    package func freezePacked(_ precision: Precision) {
        guard precision == .int8, !isPacked, let quantized, let matrix = QuantizedMatrix(quantized) else {
            return freezePacked { [precision.pack($0, scales: $1)] }
        }
        (packedMatrices, self.quantized) = ([matrix], nil)
        value = Tensor(uninitialized: [0])
        freeze()
    }

    /// As `freezePacked(_:)`, where `pack` says how.
    /// - Parameters:
    ///   - rest: what of the values is not packed, and stays.
    ///   - winograd: of the values, where such a convolution serves for what is not packed.
    func freezePacked(
        keeping rest: ((Tensor) -> Tensor)? = nil, winograd: ((Tensor) -> WinogradConvolution)? = nil,
        _ pack: (_ weight: Tensor, _ scales: Tensor?) -> [any EngineMatrix]
    ) {
        expand()
        guard !isPacked else { return freeze() }
        packedMatrices = pack(value, scales)
        self.winograd = winograd?(value)
        value = rest?(value) ?? Tensor(uninitialized: [0])
        freeze()
    }

    /// Takes no more gradients.
    package func freeze() {
        expand()
        (slot, scales) = (nil, nil)
    }
}

/// What a forward pass is for, and, in training, the way back: each operation records a step that turns the gradient
/// of its result into the gradients of its inputs; ``backward(from:gradient:)`` plays them in reverse.
///
/// A pass for inference records nothing, so every intermediate tensor returns to the pool at its last use.
package final class Tape {
    package enum Mode: Sendable { case inference, training }
    package let mode: Mode
    /// What linear layers, attention and convolutions multiply in training: float32 or bfloat16; sums are float32.
    package let operandType: ElementType
    /// Random choices of the pass (drop path, Gumbel noise).
    package var generator: Philox
    /// Whether batch norms go by their running statistics in training too.
    package var usesRunningStatistics = false
    /// What the batch norms' running statistics are to take up of this pass, in order.
    package private(set) var statistics: [StatisticsUpdate] = []
    private var steps: [() -> Void] = []
    /// The parameters by the step that uses each first, which is the last one on the way back.
    private var firstUses: [(step: Int, slot: GradientSlot)] = []
    private var used: Set<ObjectIdentifier> = []
    /// Whether there are segments that run again, whose parameters nobody has seen.
    private var hasSegments = false

    /// - Parameter precision: of the products in training; not int8.
    package convenience init(_ mode: Mode, generator: Philox = Philox(seed: 0), precision: Precision = .fp32) {
        precondition(precision != .int8, "training with bytes")
        self.init(mode, generator: generator, precision == .bf16 ? .bfloat16 : .float32)
    }

    private init(_ mode: Mode, generator: Philox, _ operandType: ElementType) {
        (self.mode, self.generator, self.operandType) = (mode, generator, operandType)
    }

    package var isTraining: Bool { mode == .training }

    /// What a layer that multiplies by `weight` takes.
    package func inputType(of weight: Parameter) -> ElementType { isTraining ? operandType : weight.inputType }
    /// What a product before it shall put out.
    package func producerType(of weight: Parameter) -> ElementType { isTraining ? operandType : weight.producerType }
    /// What the projection to q, k and v shall put out.
    package func attentionType(of weight: Parameter) -> ElementType { isTraining ? operandType : weight.attentionType }

    func note(_ update: StatisticsUpdate) { statistics.append(update) }

    /// A result that depends on `inputs`; `backward` receives its gradient, which it may keep or overwrite.
    /// - Parameter throughRelu: the value has gone through a ReLU at last, and the gradient comes back through it first.
    package func record(
        _ value: Tensor, from inputs: [Variable?], throughRelu: Bool = false, _ backward: @escaping (Tensor) -> Void
    ) -> Variable {
        guard isTraining, inputs.contains(where: { $0?.slot != nil }) else { return Variable(value) }
        let slot = GradientSlot(mask: throughRelu ? value : nil)
        for case let parameter as Parameter in inputs {
            if let slot = parameter.slot, used.insert(ObjectIdentifier(slot)).inserted {
                firstUses.append((steps.count, slot))
            }
        }
        // The step holds the slot, not the variable: values that no backward needs are free to go.
        steps.append { slot.take().map(backward) }
        return Variable(value, slot)
    }

    /// Plays the tape back from `result`, whose gradient is `gradient` (ones if nil). The tape is empty afterwards.
    ///
    /// - Parameter finished: hears of each parameter whose gradient is complete while others are still being made; of some
    ///   not at all.
    package func backward(
        from result: Variable, gradient: Tensor? = nil, finished: ((GradientSlot) -> Void)? = nil
    ) {
        result.slot?.add(gradient ?? Tensor(repeating: 1, result.shape))
        while let step = steps.popLast() {
            step()
            while let finished, !hasSegments, let last = firstUses.last, last.step == steps.count {
                firstUses.removeLast()
                finished(last.slot)
            }
        }
        (firstUses, used) = ([], [])
    }

    /// Runs `segment` without keeping what it saves, and once more when its gradient is wanted: memory for time
    /// (gradient checkpointing, Chen et al., arXiv:1604.06174). Random choices repeat exactly, and what running statistics
    /// are to take up counts once.
    package func checkpoint(_ input: Variable, _ segment: @escaping (Variable, Tape) -> Variable) -> Variable {
        guard isTraining else { return segment(input, self) }
        hasSegments = true
        let makeTape = { [start = generator, usesRunningStatistics, operandType] in
            let tape = Tape(.training, generator: start, operandType)
            tape.usesRunningStatistics = usesRunningStatistics
            return tape
        }
        let rehearsal = makeTape()
        let value = segment(Variable(input.value), rehearsal).value
        rehearsal.steps.removeAll()
        (generator, statistics) = (rehearsal.generator, statistics + rehearsal.statistics)
        let (inputValue, inputSlot) = (input.value, input.slot)
        let result = Variable(value, needsGradient: true)
        guard let slot = result.slot else { return result }
        steps.append {
            guard let gradient = slot.take() else { return }
            let tape = makeTape()
            let input = Variable(inputValue)
            input.slot = inputSlot
            tape.backward(from: segment(input, tape), gradient: gradient)
        }
        return result
    }
}
