import BEiTWeightFiles

/// Names of parameters in the authors' checkpoints and in files that others made of them.
///
/// Source: microsoft/unilm `beit/`, openai/DALL-E `dall_e/`.
enum OfficialNames {
    private static let backbone: Set = [
        "cls_token", "mask_token", "pos_embed", "patch_embed", "rel_pos_bias", "blocks", "norm",
    ]
    private static let top: Set = ["backbone", "encoder", "decoder", "head", "fc_norm", "lm_head"]
    private static let wrappers = ["module.", "model.", "state_dict."]

    /// The half of a tokenizer that a file without `encoder.` or `decoder.` in its names holds: the kernel of its first
    /// convolution, 7×7 or 1×1, tells which. Nil for other files.
    static func half(_ tensors: [StoredTensor]) -> String? {
        let input = tensors.first { bare($0.name) == "blocks.input.w" }
        return input.map { $0.shape.last == 7 ? "encoder" : "decoder" }
    }

    /// The path in beit-seg of what a file calls `name`; nil for a name that is not known.
    static func path(_ name: String, half: String?) -> String? {
        let name = bare(name)
        guard let first = name.split(separator: ".").first, !name.hasSuffix("relative_position_index") else {
            return nil
        }
        let path = name.replacing(".", with: "/")
        if top.contains(String(first)) { return path }
        if let half, first == "blocks" { return half + "/" + path }
        return backbone.contains(String(first)) ? "backbone/" + path : nil
    }

    /// The name with dots, also where it is spread over groups, and without what wrappers put before it.
    private static func bare(_ name: String) -> String {
        var name = name.replacing("/", with: ".")
        while let wrapper = wrappers.first(where: name.hasPrefix) { name.removeFirst(wrapper.count) }
        return name
    }

    /// The official name of a parameter: classifiers and models of masked image modeling have no `backbone.`.
    static func name(_ path: String, keepsBackbone: Bool) -> String {
        let dotted = path.replacing("/", with: ".")
        return !keepsBackbone && dotted.hasPrefix("backbone.") ? String(dotted.dropFirst("backbone.".count)) : dotted
    }
}
