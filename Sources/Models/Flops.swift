/// Arithmetic of matrix products and convolutions, two operations a multiply-add; norms, softmax and activations are
/// not counted, as is usual. Resized maps count at their own size, at which they are convolved (see
/// ``Tape/conv2d(joining:weight:bias:activation:)``); of every kernel all taps count, also where Winograd's way saves most
/// of the products, so that a figure says how fast the same work is done.
extension ModelConfiguration {
    /// Floating-point operations of one forward pass of one image; nil for a tokenizer, which takes photos of any size.
    package var forwardFlops: Double? {
        guard let backbone else { return nil }
        return backbone.forwardFlops + headFlops(backbone)
    }

    /// A training step computes the gradients of inputs and of weights besides: three times the forward pass.
    package var trainingFlops: Double? { forwardFlops.map { 3 * $0 } }

    /// The same of masked image modeling, whose head sees the hidden patches alone.
    package func trainingFlops(hidden: Int) -> Double? {
        guard let backbone, let mim else { return nil }
        return 3 * (backbone.forwardFlops + 2 * Double(hidden * backbone.width * mim.vocabulary))
    }

    private func headFlops(_ backbone: BackboneConfiguration) -> Double {
        let width = Double(backbone.width)
        if let decoder { return decoder.forwardFlops(backbone) }
        if let classifier { return 2 * width * Double(classifier.classes) }
        return mim.map { 2 * Double(backbone.patchCount) * width * Double($0.vocabulary) } ?? 0
    }
}

extension BackboneConfiguration {
    var forwardFlops: Double {
        let (width, hidden, tokens) = (Double(width), Double(hiddenWidth), Double(patchCount + 1))
        let projections = 2 * tokens * width * (4 * width + 2 * hidden)
        let attention = 4 * tokens * tokens * width
        let patch = Double(3 * patchSize * patchSize)
        return 2 * Double(patchCount) * width * patch + Double(depth) * (projections + attention)
    }
}

extension TokenizerConfiguration {
    /// Of an image of so many pixels, from the photo to its tokens and back.
    package func forwardFlops(pixels: Double) -> Double {
        let tokens = pixels / Double(downsampling * downsampling)
        let widths = (0..<groups).map { hidden << $0 }
        let codes = Double((widths.last ?? hidden) * vocabulary)
        let encoder = pixels * Double(49 * 3 * hidden) + tokens * codes
        var terms = encoder + blockTerms([hidden] + widths, taps: [9, 9, 9, 1], pixels: pixels, growth: 0.25)
        if hasDecoder {
            terms += tokens * Double(vocabulary * codeWidth) + pixels * Double(hidden * 6)
            terms += blockTerms([codeWidth] + widths.reversed(), taps: [1, 9, 9, 9], pixels: tokens, growth: 4)
        }
        return 2 * terms
    }

    /// The multiply-adds of groups of residual blocks, each on `growth` times the pixels of the one before.
    private func blockTerms(_ widths: [Int], taps: [Int], pixels: Double, growth: Double) -> Double {
        var (terms, pixels) = (0.0, pixels)
        for (inputs, outputs) in zip(widths, widths.dropFirst()) {
            for block in 0..<blocks {
                let first = block == 0 ? inputs : outputs, inner = outputs / 4
                let channels = [first, inner, inner, inner, outputs]
                let convolutions = zip(taps, zip(channels, channels.dropFirst())).map { $0 * $1.0 * $1.1 }
                terms += pixels * Double(convolutions.reduce(first == outputs ? 0 : first * outputs, +))
            }
            pixels *= growth
        }
        return terms
    }
}
