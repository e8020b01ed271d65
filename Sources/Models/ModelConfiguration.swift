import Foundation

/// What a model is for; the root attribute `task` of a checkpoint.
package enum ModelTask: String, Codable, CaseIterable, Sendable {
    case segmentation, classification, mim, tokenizer
}

/// The classification head: mean over the patch features, layer norm, linear; or the cls token after the final norm.
package struct ClassifierConfiguration: Codable, Equatable, Sendable {
    package enum Pooling: String, Codable, CaseIterable, Sendable { case mean, cls }
    package var classes = 1000
    package var pooling = Pooling.mean
    package init() {}
}

/// The head of masked image modeling.
package struct MIMConfiguration: Codable, Equatable, Sendable {
    /// What the head regresses in place of visual words (BEiT's ablation): the 3·P² pixels of a patch.
    package enum PixelTarget: String, Codable, CaseIterable, Sendable {
        /// As the network sees them.
        case raw
        /// Each patch with mean 0 and variance 1.
        case normalised
    }

    /// V, the number of visual words; 3·P² for pixels.
    package var vocabulary = 8192
    /// Nil for visual words.
    package var pixels: PixelTarget?
    /// Whether a norm of its own stands before the head, behind the backbone's final norm (Hugging Face's models without
    /// mean pooling); nil for no.
    package var norm: Bool?
    package init() {}
}

/// DALL-E's discrete VAE with free widths ([D] `dall_e/encoder.py`, `decoder.py`).
package struct TokenizerConfiguration: Codable, Equatable, Sendable {
    /// Channels of the first group; doubled from group to group.
    package var hidden = 256
    /// Residual blocks in each group.
    package var blocks = 2
    /// Groups, with a halving of the grid between one and the next.
    package var groups = 4
    /// V, the size of the codebook.
    package var vocabulary = 8192
    /// Width of a code in the decoder; 0 for an encoder by itself, which makes tokens and no pictures.
    package var codeWidth = 128
    package init() {}

    enum CodingKeys: String, CodingKey {
        case hidden, blocks, groups, vocabulary
        case codeWidth = "code_width"
    }

    package var hasDecoder: Bool { codeWidth > 0 }

    /// Pixels a side that one token stands for.
    package var downsampling: Int { 1 << (groups - 1) }

    var problem: String? {
        let sizes = [
            ("hidden", hidden, 1 << 12), ("blocks", blocks, 64), ("groups", groups, 6),
            ("vocabulary", vocabulary, 1 << 20), ("code_width", codeWidth, 1 << 14),
        ]
        for (name, value, most) in sizes where value < (name == "code_width" ? 0 : 1) || value > most {
            return "tokenizer.\(name) is \(value), and must be from 1 to \(most)"
        }
        if vocabulary == 1 { return "tokenizer.vocabulary is 1: a single word says nothing" }
        return hidden % 4 == 0 ? nil : "tokenizer.hidden \(hidden) is not a multiple of 4"
    }
}

/// The architecture of a model; the JSON `config` of a checkpoint.
package struct ModelConfiguration: Codable, Equatable, Sendable {
    package var backbone: BackboneConfiguration?
    package var decoder: DecoderConfiguration?
    package var classifier: ClassifierConfiguration?
    package var mim: MIMConfiguration?
    package var tokenizer: TokenizerConfiguration?

    package init() {}

    /// What a decoder leaves to the backbone's shape follows from it.
    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        backbone = try values.decodeIfPresent(BackboneConfiguration.self, forKey: .backbone)
        self.decoder = try values.decodeIfPresent(DecoderConfiguration.self, forKey: .decoder)
        classifier = try values.decodeIfPresent(ClassifierConfiguration.self, forKey: .classifier)
        mim = try values.decodeIfPresent(MIMConfiguration.self, forKey: .mim)
        tokenizer = try values.decodeIfPresent(TokenizerConfiguration.self, forKey: .tokenizer)
        if let backbone { self.decoder?.complete(for: backbone) }
    }

    package static func segmentation(_ backbone: BackboneConfiguration, _ decoder: DecoderConfiguration) -> Self {
        var result = Self()
        (result.backbone, result.decoder) = (backbone, decoder)
        result.decoder?.complete(for: backbone)
        // Features of single blocks are taken as they are.
        if decoder.wantedFeatures != nil { result.backbone?.finalNorm = false }
        return result
    }

    package static func classification(_ backbone: BackboneConfiguration, _ head: ClassifierConfiguration) -> Self {
        var result = Self()
        (result.backbone, result.classifier) = (backbone, head)
        // Mean pooling has a norm of its own behind the pool.
        result.backbone?.finalNorm = head.pooling == .cls
        return result
    }

    package static func mim(_ backbone: BackboneConfiguration, _ head: MIMConfiguration) -> Self {
        var result = Self()
        (result.backbone, result.mim) = (backbone, head)
        return result
    }

    package static func tokenizer(_ tokenizer: TokenizerConfiguration) -> Self {
        var result = Self()
        result.tokenizer = tokenizer
        return result
    }

    /// The one task that the parts add up to; nil if they do not.
    package var task: ModelTask? {
        switch (backbone != nil, decoder != nil, classifier != nil, mim != nil, tokenizer != nil) {
        case (true, true, false, false, false): .segmentation
        case (true, false, true, false, false): .classification
        case (true, false, false, true, false): .mim
        case (false, false, false, false, true): .tokenizer
        default: nil
        }
    }

    /// What makes the configuration impossible, in one sentence; nil if nothing does.
    package var problem: String? {
        guard task != nil else { return "it needs a backbone and one of decoder, classifier, mim; or a tokenizer" }
        if let problem = backbone?.problem ?? tokenizer?.problem { return problem }
        if let backbone, let problem = decoder?.problem(behind: backbone) { return problem }
        if let classes = classifier?.classes, classes < 1 || classes > 1 << 20 {
            return "classifier.classes is \(classes)"
        }
        if let words = mim?.vocabulary, words < 1 || words > 1 << 20 { return "mim.vocabulary is \(words)" }
        return nil
    }
}
