import BEiTTensorCore
import CBEiTKernels

extension Tape {
    /// Convolution (cross-correlation) with zero padding: `[B, H, W, in]` to
    /// `[B, (H + 2·padding − kH) / stride + 1, …, out]`, weight `[out, in, kH, kW]`, bias `[out]`.
    /// - Parameters:
    ///   - rectifies: x, of floats, goes through a ReLU first; in training with stride 1 alone.
    ///   - activation: in the same pass; in training none or ReLU.
    ///   - residual: of the result's shape: the result is residual + gain·convolution, in the same pass.
    ///   - type: of the result, float32 or bfloat16.
    package func conv2d(
        _ x: Variable, weight: Parameter, bias: Parameter? = nil, stride: Int = 1, padding: Int = 0,
        rectifies: Bool = false, activation: Activation = .none, residual: Variable? = nil, gain: Float = 1,
        as type: ElementType = .float32
    ) -> Variable {
        precondition(activation != .gelu || !isTraining, "an activation that has no way back")
        precondition(activation == .none || residual == nil && gain == 1, "an activation under a residual")
        precondition(!rectifies || stride == 1 || !isTraining, "a ReLU before a convolution of stride \(stride)")
        precondition(weight.winograd == nil || stride == 1 && padding == 1, "stride \(stride), padding \(padding)")
        let kernel = ConvolutionKernel(weight.shape, stride: stride, padding: padding)
        let epilogue = Epilogue(
            bias: bias?.value, activation: activation,
            gamma: gain == 1 ? nil : Tensor(repeating: gain, [weight.fullShape[0]]), residual: residual?.value)
        let (operandType, inputType) = (operandType, inputType(of: weight))
        let source = rectifies ? relu(x.value, as: inputType == .bfloat16 ? .bfloat16 : .float32) : x.value
        let input = source.convertedMap(to: inputType)
        let y =
            weight.winograd?.convolve(input, epilogue).converted(to: type)
            ?? weight.packed.map { kernel.coarse(from: input, weights: $0, epilogue, as: type) }
            ?? kernel.coarse(from: input, kernel: weight.value, inference: !isTraining, epilogue, as: type)
        precondition(residual.map { $0.shape == y.shape } ?? true, "residual of another shape than \(y.shape)")
        let (shape, residualSlot) = (x.shape, residual?.slot)
        let step = KernelGradients(x, input, weight, bias, gain: gain)
        return record(y, from: [x, weight, bias, residual], throughRelu: activation == .relu) { dy in
            let d = step.throughEpilogue(dy, as: operandType)
            step.input { weight, slot in
                let matrices = kernel.fineWeights(weight).map { PackedMatrix(weight: $0, operandType) }
                if rectifies {
                    return slot.accumulate(shape) {
                        kernel.fine(from: d, weights: matrices, Epilogue(mask: input, adds: !$1), into: $0)
                    }
                }
                let mask = stride == 1 ? slot.mask : nil
                let isRounded = mask?.elementType == .bfloat16 && slot.tensor == nil
                let gradient = Tensor(uninitialized: shape, isRounded ? operandType : .float32)
                kernel.fine(from: d, weights: matrices, Epilogue(mask: mask), into: gradient)
                slot.add(gradient, masked: mask != nil)
            }
            step.weight { x in kernel.weightGradient(coarse: d, fine: x) }
            residualSlot?.add(dy)
        }
    }

    /// Transposed convolution: `[B, h, w, in]` to `[B, (h − 1)·stride − 2·padding + kH, …, out]`, weight
    /// `[in, out, kH, kW]`, bias `[out]`.
    /// - Parameter activation: in the same pass; it has no way back, so in inference alone.
    package func convTranspose2d(
        _ x: Variable, weight: Parameter, bias: Parameter? = nil, stride: Int, padding: Int = 0,
        activation: Activation = .none
    ) -> Variable {
        precondition(activation == .none || !isTraining, "an activation that has no way back")
        let kernel = ConvolutionKernel(weight.shape, stride: stride, padding: padding)
        let (type, input) = (operandType, x.value.convertedMap(to: inputType(of: weight)))
        let (height, width) = kernel.fineSize(x.shape)
        let matrices = {
            let packed = weight.packedMatrices
            return packed.isEmpty ? kernel.fineWeights(weight.value).map { PackedMatrix(weight: $0, type) } : packed
        }
        let epilogue = Epilogue(bias: bias?.value, activation: activation)
        let y =
            weight.winograd?.convolve(input, epilogue)
            ?? kernel.fine(from: input, weights: matrices(), epilogue, height: height, width: width)
        let step = KernelGradients(x, input, weight, bias)
        return record(y, from: [x, weight, bias]) { dy in
            let d = step.throughEpilogue(dy, as: type)
            step.input { weight, slot in
                slot.add(kernel.coarse(from: d, weights: PackedMatrix(weight: kernel.coarseWeights(weight), type)))
            }
            step.weight { x in kernel.weightGradient(coarse: x, fine: d) }
        }
    }
}

extension Parameter {
    /// For inference: packs the weight of a `conv2d` once and takes no more gradients.
    package func freezeConvolution(_ precision: Precision) {
        freezePacked { weight, scales in
            let kernel = ConvolutionKernel(weight.shape, stride: 1, padding: 0)
            return [precision.pack(kernel.coarseWeights(weight), scales: scales)]
        }
    }

    /// For inference: packs the weight of a `convTranspose2d` of this stride and padding once and takes no more gradients.
    package func freezeTransposedConvolution(stride: Int, padding: Int, _ precision: Precision) {
        if WinogradConvolution.serves(transposed: fullShape, stride: stride, padding: padding, precision) {
            return freezePacked(winograd: { WinogradConvolution(transposed: $0) }) { _, _ in [] }
        }
        freezePacked { weight, scales in
            let kernel = ConvolutionKernel(weight.shape, stride: stride, padding: 0)
            return kernel.fineWeights(weight).map { precision.pack($0, scales: scales) }
        }
    }
}

/// What the backward steps of both convolutions keep, and whom they serve.
private struct KernelGradients {
    private let inputSlot, weightSlot, biasSlot: GradientSlot?
    /// Each is kept only where the other's gradient is asked for.
    private let input, weight: Tensor?
    /// What the result was multiplied by: it goes into the small tensors.
    private let gain: Float

    /// - Parameter input: x as it was multiplied.
    init(_ x: Variable, _ input: Tensor, _ weight: Parameter, _ bias: Parameter?, gain: Float = 1) {
        (inputSlot, weightSlot, biasSlot) = (x.slot, weight.slot, bias?.slot)
        self.input = weightSlot == nil ? nil : input
        self.weight = inputSlot == nil ? nil : weight.value
        self.gain = gain
    }

    func input(_ add: (_ weight: Tensor, _ slot: GradientSlot) -> Void) {
        guard let inputSlot, let weight else { return }
        precondition(weight.count > 0, "a kernel that was packed for inference has no backward")
        add(timesGain(weight), inputSlot)
    }

    func weight(_ gradient: (_ input: Tensor) -> Tensor) {
        guard let weightSlot, let input else { return }
        weightSlot.add(timesGain(gradient(input)))
    }

    /// The gradient of product + bias as the products take it; hands the bias its share.
    func throughEpilogue(_ dy: Tensor, as type: ElementType) -> Tensor {
        let dy = dy.elementType == .bfloat16 ? dy.converted(to: type) : dy
        guard let biasSlot else { return dy.converted(to: type) }
        let (channels, sums) = (dy.shape.last ?? 1, Tensor.zeros([dy.shape.last ?? 1]))
        let d = dy.elementType == type ? dy : Tensor(uninitialized: dy.shape, type)
        RowSums.reduce(rows: dy.count / channels, columns: channels, into: sums) { range, partial in
            let (rows, at) = (range.count, range.lowerBound * channels)
            switch (dy.elementType, type) {
            case (.bfloat16, _): beitseg_add_column_sums_bf16(dy.bfloats + at, rows, channels, partial)
            case (_, .bfloat16):
                beitseg_scaled_gradient(dy.pointer + at, rows, channels, nil, nil, nil, d.bfloats + at, partial, nil)
            default: beitseg_add_column_sums(dy.pointer + at, channels, rows, channels, partial)
            }
        }
        biasSlot.add(timesGain(sums))
        return d
    }

    private func timesGain(_ x: Tensor) -> Tensor { gain == 1 ? x : Elementwise.scaled(x, gain) }
}
