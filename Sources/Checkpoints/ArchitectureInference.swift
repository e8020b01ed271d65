import BEiTModels

/// What names and shapes say of a model's architecture.
struct ArchitectureInference {
    private let shapes: [String: [Int]]
    /// What is certain.
    private(set) var settings = Settings()
    /// The sections of the configuration.
    let sections: [String]

    /// - Parameter shapes: by the parameters' paths.
    init?(_ shapes: [String: [Int]]) {
        self.shapes = shapes
        let heads = [
            ("encoder/blocks/input/w", "tokenizer"), ("decoder/blocks/input/w", "tokenizer"),
            ("decoder/head/weight", "decoder"), ("lm_head/weight", "mim"), ("head/weight", "classifier"),
        ]
        guard let section = heads.first(where: { shapes[$0.0] != nil })?.1 else { return nil }
        sections = section == "tokenizer" ? [section] : ["backbone", section]
        switch section {
        case "tokenizer": inferTokenizer()
        case "decoder": inferDecoder()
        case "mim": set("mim.vocabulary", size("lm_head/weight", 0))
        default:
            set("classifier.classes", size("head/weight", 0))
            settings["classifier.pooling"] = shapes["fc_norm/weight"] == nil ? "\"cls\"" : "\"mean\""
        }
        if sections.count == 2 { inferBackbone() }
    }

    private mutating func inferBackbone() {
        let width = size("backbone/patch_embed/proj/weight", 0), patch = size("backbone/patch_embed/proj/weight", 3)
        set("backbone.width", width)
        set("backbone.patch_size", patch)
        set("backbone.depth", blockCount("backbone/blocks/"))
        if let width, width > 0, let hidden = size("backbone/blocks/0/mlp/fc1/weight", 0) {
            settings["backbone.mlp_ratio"] = "\(Double(hidden) / Double(width))"
        }
        settings["backbone.layer_scale"] = shapes["backbone/blocks/0/gamma_1"] == nil ? "0" : "0.1"
        // Behind mean pooling stands `fc_norm`; a final norm in such a file is a remnant of pre-training.
        let hasNorm = shapes["backbone/norm/weight"] != nil && shapes["fc_norm/weight"] == nil
        settings["backbone.final_norm"] = hasNorm ? "true" : "false"
        inferPositions(patch: patch ?? 0)
    }

    private mutating func inferPositions(patch: Int) {
        let own = "backbone/blocks/0/attn/relative_position_bias_table"
        let shared = "backbone/rel_pos_bias/relative_position_bias_table"
        var side: Int?
        if let table = shapes[own] ?? shapes[shared], table.count == 2 {
            settings["backbone.position"] = shapes[own] != nil ? "\"relative\"" : "\"relative-shared\""
            set("backbone.heads", table[1])
            side = squareRoot(table[0] - 3).flatMap { $0 % 2 == 1 ? ($0 + 1) / 2 : nil }
        } else if let rows = size("backbone/pos_embed", 1) {
            settings["backbone.position"] = "\"absolute\""
            side = squareRoot(rows - 1)
        } else {
            settings["backbone.position"] = "\"none\""
        }
        if let pixels = side.map({ $0.multipliedReportingOverflow(by: patch) }), !pixels.overflow {
            settings["backbone.image_size"] = "[\(pixels.partialValue),\(pixels.partialValue)]"
        }
    }

    private mutating func inferDecoder() {
        let channels = (0..<blockCount("decoder/blocks/")).map { size("decoder/blocks/\($0)/deconv/weight", 1) ?? 0 }
        settings["decoder.kind"] = channels.isEmpty ? "\"linear\"" : "\"deconvolution\""
        if !channels.isEmpty { settings["decoder.channels"] = "\(channels)" }
        set("decoder.classes", size("decoder/head/weight", 0))
    }

    private mutating func inferTokenizer() {
        set("tokenizer.hidden", size("encoder/blocks/input/w", 0))
        set("tokenizer.vocabulary", size("encoder/blocks/output/conv/w", 0) ?? size("decoder/blocks/input/w", 1))
        set("tokenizer.code_width", size("decoder/blocks/input/w", 0))
        for half in ["encoder", "decoder"] {
            let groups = numbers("\(half)/blocks/group_"), blocks = numbers("\(half)/blocks/group_1/block_")
            if !groups.isEmpty { set("tokenizer.groups", groups.count) }
            if !blocks.isEmpty { set("tokenizer.blocks", blocks.count) }
        }
    }

    /// What still must be told, as arguments of the command line.
    func missing(from settings: Settings) -> [String] {
        var needed: [(String, String)] = []
        if sections.contains("backbone") {
            needed.append(("backbone.heads", "N"))
            needed.append(("backbone.image_size", "HxW"))
        }
        if settings["decoder.kind"] == "\"deconvolution\"" { needed.append(("decoder.norm_groups", "N")) }
        var missing = needed.filter { settings[$0.0] == nil }.map { "--set \($0.0)=\($0.1)" }
        if sections == ["tokenizer"] {
            if settings["tokenizer.hidden"] == nil { missing.append("the file of the encoder") }
            if settings["tokenizer.code_width"] == nil { missing.append("the file of the decoder") }
        }
        return missing
    }

    private mutating func set(_ name: String, _ value: Int?) { settings[name] = value.map(String.init) }

    private func size(_ path: String, _ axis: Int) -> Int? {
        shapes[path].flatMap { axis < $0.count ? $0[axis] : nil }
    }

    /// Numbered from 0.
    private func blockCount(_ prefix: String) -> Int { (numbers(prefix).max() ?? -1) + 1 }

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
