import BEiTModels

/// What names and shapes say of a model's architecture.
struct ArchitectureInference {
    private let shapes: [String: [Int]]
    /// What is certain.
    private(set) var patch = ConfigurationPatch()
    /// The sections of the configuration.
    let sections: [String]

    /// - Parameter shapes: by the parameters' paths. Nil where there is no head.
    init?(_ shapes: [String: [Int]]) {
        self.shapes = shapes
        let heads = [
            ("encoder/blocks/input/w", "tokenizer"), ("decoder/blocks/input/w", "tokenizer"),
            ("decoder/head/weight", "decoder"), ("decode_head/conv_seg/weight", "decoder"), ("lm_head/weight", "mim"),
            ("head/weight", "classifier"),
        ]
        guard let section = heads.first(where: { shapes[$0.0] != nil })?.1 else { return nil }
        sections = section == "tokenizer" ? [section] : ["backbone", section]
        switch section {
        case "tokenizer": inferTokenizer()
        case "decoder": shapes["decoder/head/weight"] == nil ? inferUperNet() : inferDecoder()
        case "mim":
            patch.mim = .init(vocabulary: size("lm_head/weight", 0), norm: has("lm_norm/weight") ? true : nil)
        default:
            patch.classifier = .init(
                classes: size("head/weight", 0), pooling: has("fc_norm/weight") ? .mean : .cls)
        }
        if sections.count == 2 { inferBackbone() }
    }

    private mutating func inferBackbone() {
        var backbone = ConfigurationPatch.Backbone()
        let width = size("backbone/patch_embed/proj/weight", 0)
        (backbone.width, backbone.patchSize) = (width, size("backbone/patch_embed/proj/weight", 3))
        backbone.depth = count("backbone/blocks/")
        if let width, width > 0, let hidden = size("backbone/blocks/0/mlp/fc1/weight", 0) {
            backbone.mlpRatio = Double(hidden) / Double(width)
        }
        backbone.layerScale = has("backbone/blocks/0/gamma_1") ? 0.1 : 0
        // Behind mean pooling stands `fc_norm`, and UperNet takes blocks as they are: a final norm in such a file is a
        // remnant of pre-training.
        backbone.finalNorm =
            has("backbone/norm/weight") && !has("fc_norm/weight") && !has("decode_head/conv_seg/weight")
        inferPositions(&backbone)
        patch.backbone = backbone
    }

    private func inferPositions(_ backbone: inout ConfigurationPatch.Backbone) {
        let own = "backbone/blocks/0/attn/relative_position_bias_table"
        let shared = "backbone/rel_pos_bias/relative_position_bias_table"
        var side: Int?
        if let table = shapes[own] ?? shapes[shared], table.count == 2 {
            backbone.position = has(own) ? .relative : .relativeShared
            backbone.heads = table[1]
            side = squareRoot(table[0] - 3).flatMap { $0 % 2 == 1 ? ($0 + 1) / 2 : nil }
        } else if let rows = size("backbone/pos_embed", 1) {
            backbone.position = .absolute
            side = squareRoot(rows - 1)
        } else {
            backbone.position = BackboneConfiguration.Position.none
        }
        if let pixels = side?.multipliedReportingOverflow(by: backbone.patchSize ?? 0), !pixels.overflow {
            backbone.imageSize = Sides([pixels.partialValue, pixels.partialValue])
        }
    }

    private mutating func inferDecoder() {
        let channels = (0..<count("decoder/blocks/")).map { size("decoder/blocks/\($0)/deconv/weight", 1) ?? 0 }
        patch.decoder = .init(
            kind: channels.isEmpty ? "linear" : "deconvolution", channels: channels.isEmpty ? nil : Counts(channels),
            classes: size("decoder/head/weight", 0))
    }

    private mutating func inferUperNet() {
        var decoder = ConfigurationPatch.Decoder()
        decoder.kind = "upernet"
        decoder.channels = size("decode_head/bottleneck/conv/weight", 0).map { Counts([$0]) }
        decoder.classes = size("decode_head/conv_seg/weight", 0)
        decoder.features = UperNetConfiguration.releasedFeatures(depth: count("backbone/blocks/")).map { Counts($0) }
        let auxiliary = count("auxiliary_head/convs/")
        (decoder.auxiliaryConvolutions, decoder.auxiliaryChannels) = (auxiliary, 0)
        if auxiliary > 0 { decoder.auxiliaryChannels = size("auxiliary_head/convs/0/conv/weight", 0) }
        decoder.auxiliaryConcat = has("auxiliary_head/conv_cat/conv/weight") ? true : nil
        patch.decoder = decoder
    }

    private mutating func inferTokenizer() {
        var tokenizer = ConfigurationPatch.Tokenizer()
        tokenizer.hidden = size("encoder/blocks/input/w", 0)
        tokenizer.vocabulary = size("encoder/blocks/output/conv/w", 0) ?? size("decoder/blocks/input/w", 1)
        tokenizer.codeWidth = size("decoder/blocks/input/w", 0)
        for half in ["encoder", "decoder"] {
            let groups = numbers("\(half)/blocks/group_"), blocks = numbers("\(half)/blocks/group_1/block_")
            if !groups.isEmpty { tokenizer.groups = groups.count }
            if !blocks.isEmpty { tokenizer.blocks = blocks.count }
        }
        // An encoder by itself makes the tokens of pre-training.
        if has("encoder/blocks/input/w"), tokenizer.codeWidth == nil { tokenizer.codeWidth = 0 }
        patch.tokenizer = tokenizer
    }

    /// What still must be told, as arguments of the command line.
    func missing(from all: ConfigurationPatch) -> [String] {
        var missing: [String] = []
        if sections.contains("backbone") {
            if all.backbone?.heads == nil { missing.append("`set` backbone.heads=N") }
            if all.backbone?.imageSize == nil { missing.append("`set` backbone.image_size=HxW") }
        }
        if all.decoder?.kind == "deconvolution", all.decoder?.normGroups == nil {
            missing.append("`set` decoder.norm_groups=N")
        }
        if all.decoder?.kind == "upernet", all.decoder?.features == nil {
            missing.append("`set` decoder.features=A,B,C,D (the blocks, counted from 0, whose outputs it takes)")
        }
        if sections == ["tokenizer"], all.tokenizer?.hidden == nil { missing.append("the file of the encoder") }
        return missing
    }

    private func has(_ path: String) -> Bool { shapes[path] != nil }

    private func size(_ path: String, _ axis: Int) -> Int? {
        shapes[path].flatMap { axis < $0.count ? $0[axis] : nil }
    }

    /// Numbered from 0.
    private func count(_ prefix: String) -> Int { (numbers(prefix).max() ?? -1) + 1 }

    /// The numbers that follow `prefix` in the paths.
    private func numbers(_ prefix: String) -> Set<Int> {
        let names = shapes.keys.filter { $0.hasPrefix(prefix) }.map { $0.dropFirst(prefix.count) }
        let numbers = names.compactMap { $0.split(separator: "/").first.flatMap { Int($0) } }
        return Set(numbers.filter { (0..<1 << 16).contains($0) })
    }
}

/// √n where it is an integer.
private func squareRoot(_ n: Int) -> Int? {
    guard n > 0 else { return nil }
    let root = Int(Double(n).squareRoot().rounded())
    return root.multipliedReportingOverflow(by: root).partialValue == n ? root : nil
}
