import BEiTLayers

/// UperNet as BEiT's release has it (microsoft/unilm `beit/semantic_segmentation`; mmsegmentation `uper_head.py`,
/// `fcn_head.py`): a pyramid of four features, pooling of the coarsest, a top-down path, and for learning a second head.
package struct UperNetConfiguration: DecoderArchitecture {
    /// The head that only learning uses: 3×3 convolutions of one feature.
    package struct Auxiliary: Equatable, Sendable {
        /// The place of its feature among those of the decoder.
        static let feature = 2
        package var channels = 256
        package var convolutions = 1
        /// Whether the feature is joined to what comes of it, for one more convolution.
        package var concat = false
        /// In the loss.
        package var weight: Float = 0.4
        package init() {}
    }

    /// Four blocks counted from 0, finest level first; −1 is the embedding. Empty: as usual for the depth.
    package var features: [Int] = []
    /// 0: the backbone's width.
    package var channels = 0
    package var poolScales = [1, 2, 3, 6]
    package var auxiliary: Auxiliary? = Auxiliary()
    /// Of whole channels before the last convolution.
    package var dropout: Float = 0.1

    package init() {}

    private enum CodingKeys: String, CodingKey {
        case features, channels, dropout
        case poolScales = "pool_scales"
        case auxiliaryChannels = "auxiliary_channels"
        case auxiliaryConvolutions = "auxiliary_convolutions"
        case auxiliaryConcat = "auxiliary_concat"
        case auxiliaryWeight = "auxiliary_weight"
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        features = try values.decodeIfPresent([Int].self, forKey: .features) ?? features
        channels = try values.decodeIfPresent(OneNumber.self, forKey: .channels)?.value ?? channels
        poolScales = try values.decodeIfPresent([Int].self, forKey: .poolScales) ?? poolScales
        dropout = try values.decodeIfPresent(Float.self, forKey: .dropout) ?? dropout
        var head = Auxiliary()
        head.channels = try values.decodeIfPresent(Int.self, forKey: .auxiliaryChannels) ?? 0
        head.convolutions =
            try values.decodeIfPresent(Int.self, forKey: .auxiliaryConvolutions) ?? head.convolutions
        head.concat = try values.decodeIfPresent(Bool.self, forKey: .auxiliaryConcat) ?? head.concat
        head.weight = try values.decodeIfPresent(Float.self, forKey: .auxiliaryWeight) ?? head.weight
        auxiliary = head.channels == 0 ? nil : head
    }

    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(features, forKey: .features)
        try values.encode(channels, forKey: .channels)
        try values.encode(poolScales, forKey: .poolScales)
        try values.encode(dropout, forKey: .dropout)
        let head = auxiliary ?? Auxiliary()
        try values.encode(auxiliary?.channels ?? 0, forKey: .auxiliaryChannels)
        try values.encode(head.convolutions, forKey: .auxiliaryConvolutions)
        try values.encode(head.concat, forKey: .auxiliaryConcat)
        try values.encode(head.weight, forKey: .auxiliaryWeight)
    }

    /// A number, also as a list of one: `--set` writes what is a list for other decoders so.
    private struct OneNumber: Decodable {
        let value: Int

        init(from decoder: any Decoder) throws {
            let text = try decoder.singleValueContainer()
            guard let list = try? text.decode([Int].self) else {
                value = try text.decode(Int.self)
                return
            }
            guard list.count == 1 else {
                throw DecodingError.typeMismatch(
                    Int.self, .init(codingPath: decoder.codingPath, debugDescription: "one number is wanted"))
            }
            value = list[0]
        }
    }

    /// The blocks of the official release; nil for a depth that it does not have.
    package static func releasedFeatures(depth: Int) -> [Int]? {
        switch depth {
        case 12: [3, 5, 7, 11]
        case 24: [7, 11, 15, 23]
        default: nil
        }
    }

    /// The release's, and evenly spread ones for other depths.
    package static func usualFeatures(depth: Int) -> [Int] {
        releasedFeatures(depth: depth) ?? (1...4).map { max(0, $0 * depth / 4 - 1) }
    }

    func completed(for backbone: BackboneConfiguration) -> UperNetConfiguration {
        var result = self
        if features.isEmpty { result.features = Self.usualFeatures(depth: backbone.depth) }
        if channels == 0 { result.channels = backbone.width }
        return result
    }

    var wantedFeatures: [Int]? { features }
    var classHeads: [String] { ["decode_head/conv_seg/", "auxiliary_head/conv_seg/"] }

    var summary: String {
        let head = auxiliary.map { "auxiliary head of \($0.channels) channels × \($0.weight)" } ?? "no auxiliary head"
        return " of blocks \(features), \(channels) channels, pooling \(poolScales), \(head)"
    }

    func problem(behind backbone: BackboneConfiguration) -> String? {
        if features.count != 4 || !features.allSatisfy({ -1..<backbone.depth ~= $0 }) {
            return "decoder.features \(features) are not four blocks, counted from 0, of \(backbone.depth)"
        }
        if !(1...1 << 14 ~= channels) { return "decoder.channels is \(channels)" }
        if poolScales.isEmpty || poolScales.count > 8 || !poolScales.allSatisfy({ 1...64 ~= $0 }) {
            return "decoder.pool_scales \(poolScales) are not 1 to 8 numbers from 1 to 64"
        }
        if !(dropout >= 0 && dropout < 1) { return "decoder.dropout is \(dropout), and must be from 0 to below 1" }
        if min(backbone.gridHeight, backbone.gridWidth) < 2 {
            return "backbone.image_size \(backbone.imageSize) has fewer than two patches a side, which upernet needs"
        }
        guard let auxiliary else { return nil }
        if !(1...1 << 14 ~= auxiliary.channels) { return "decoder.auxiliary_channels is \(auxiliary.channels)" }
        if !(1...8 ~= auxiliary.convolutions) {
            return "decoder.auxiliary_convolutions is \(auxiliary.convolutions), and must be from 1 to 8"
        }
        return 0...100 ~= auxiliary.weight ? nil : "decoder.auxiliary_weight is \(auxiliary.weight)"
    }

    func makeDecoder(width: Int, classes: Int, _ initializer: Initializer) -> any SegmentationDecoder {
        UperNet(self, width: width, classes: classes, initializer)
    }
}

// MARK: Sizes

extension UperNetConfiguration {
    /// A convolution of inference: the pixels that its kernel is laid on, and its size.
    private struct Product {
        let pixels, inputs, outputs, taps: Double
    }

    /// Of an image with so many patches.
    private func products(width d: Double, patches: Double, classes: Double) -> [Product] {
        let c = Double(channels), levels = [16, 4, 1, 0.25].map { $0 * patches }
        let pyramid = [patches, 4 * patches, patches].map { Product(pixels: $0, inputs: d, outputs: d, taps: 4) }
        let pooling = poolScales.flatMap { scale in
            let pixels = Double(scale * scale)
            return [
                Product(pixels: pixels, inputs: d, outputs: c, taps: 1),
                Product(pixels: pixels, inputs: c, outputs: c, taps: 9),
            ]
        }
        let topDown = levels.prefix(3).flatMap {
            [Product(pixels: $0, inputs: d, outputs: c, taps: 1), Product(pixels: $0, inputs: c, outputs: c, taps: 9)]
        }
        return pyramid + pooling + [Product(pixels: levels[3], inputs: d, outputs: c, taps: 9)] + topDown
            + levels.map { Product(pixels: $0, inputs: c, outputs: c, taps: 9) }
            + [Product(pixels: levels[0], inputs: c, outputs: classes, taps: 1)]
    }

    func weightCount(width: Double, classes: Double) -> Double {
        let head = auxiliary.map { head in
            let inner = Double(head.channels)
            let joined = head.concat ? 9 * (width + inner) * inner : 0
            return 9 * (width + Double(head.convolutions - 1) * inner) * inner + joined + inner * classes
        }
        return products(width: width, patches: 1, classes: classes).reduce(head ?? 0) {
            $0 + $1.inputs * $1.outputs * $1.taps
        }
    }

    func forwardFlops(width: Double, patches: Double, classes: Double) -> Double {
        products(width: width, patches: patches, classes: classes).reduce(0) {
            $0 + 2 * $1.pixels * $1.inputs * $1.outputs * $1.taps
        }
    }

    /// The pyramid's maps, and before and after their norms those of laterals, top-down path and the last convolution.
    func keptCount(width: Double, patches: Double, classes: Double) -> Double {
        patches * (28 * width + 2 * (21 + 21 + 16) * Double(channels) + 16 * classes)
    }
}
