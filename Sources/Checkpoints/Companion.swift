import BEiTFiles
import BEiTModels

/// What the files beside weights say of a model: `config.json` of Hugging Face or of timm, `preprocessor_config.json`.
struct Companion {
    /// Those that were read.
    private(set) var files: [String] = []
    private(set) var patch = ConfigurationPatch()
    /// What weights say too, and must agree with.
    private(set) var claims = ConfigurationPatch()
    /// In the order of their indices.
    private(set) var classNames: [String]?
    /// For people: what was understood in a way that another program might not.
    private(set) var notes: [String] = []

    /// Throws ``ImportError/badConfig(file:reason:)``, also where the model is of another kind.
    init(beside file: String) throws {
        let config = file.parent.joined("config.json"), pixels = file.parent.joined("preprocessor_config.json")
        if let kind: ConfigKind = try Self.read(config) {
            if let type = kind.model_type {
                guard type == "beit" else { throw Self.otherModel(config, type) }
                take(try Self.required(config) as HuggingFaceConfig, config)
            } else if let architecture = kind.architecture {
                guard architecture.hasPrefix("beit") else { throw Self.otherModel(config, architecture) }
                take(try Self.required(config) as TimmConfig)
            }
            if kind.model_type != nil || kind.architecture != nil { files.append(config) }
            try check(config)
        }
        if let form: HuggingFacePixels = try Self.read(pixels) {
            files.append(pixels)
            try take(form, pixels)
        }
    }

    private static func otherModel(_ file: String, _ kind: String) -> ImportError {
        .badConfig(file: file, reason: "it is of a model of the kind \(kind), and beit-seg knows BEiT")
    }

    /// Nil if there is no such file.
    private static func read<Value: Decodable>(_ path: String) throws -> Value? {
        FileSystem.exists(path) ? try required(path) : nil
    }

    private static func required<Value: Decodable>(_ path: String) throws -> Value {
        do { return try JSONText.decode(from: FileSystem.read(path, atMost: 1 << 24), of: path) } catch let error
            as JSONError
        { throw ImportError.badConfig(file: path, reason: error.reason) }
    }

    /// What no weights could contradict, but no model can have.
    private func check(_ file: String) throws {
        func refuse(_ what: String) -> ImportError { .badConfig(file: file, reason: what) }
        if let heads = patch.backbone?.heads, heads < 1 { throw refuse("the number of heads is \(heads)") }
        if let eps = patch.backbone?.normEps, !(eps > 0) { throw refuse("layer_norm_eps is \(eps)") }
        if let patch = claims.backbone?.patchSize, patch < 1 { throw refuse("patch_size is \(patch)") }
    }

    private mutating func take(_ config: HuggingFaceConfig, _ file: String) {
        var known = ConfigurationPatch.Backbone(), claim = ConfigurationPatch.Backbone()
        let width = config.hidden_size ?? 768
        (claim.width, claim.depth, claim.patchSize) = (width, config.num_hidden_layers ?? 12, config.patch_size ?? 16)
        if width > 0 { claim.mlpRatio = Double(config.intermediate_size ?? 3072) / Double(width) }
        known.heads = config.num_attention_heads ?? 12
        known.imageSize = config.image_size ?? Sides([224, 224])
        // What their code takes where the key is missing.
        known.normEps = config.layer_norm_eps ?? 1e-12
        if let scale = config.layer_scale_init_value, scale > 0 { known.layerScale = scale }
        (patch.backbone, claims.backbone) = (known, claim)
        classNames = config.id2label.map { labels in
            (0..<labels.count).map { labels[String($0)] ?? "class \($0)" }
        }
        takeDecoder(config)
    }

    /// Of no meaning for other tasks: every BEiT's `config.json` has these members.
    private mutating func takeDecoder(_ config: HuggingFaceConfig) {
        var decoder = ConfigurationPatch.Decoder()
        let taken = (config.out_indices ?? [3, 5, 7, 11]).sorted()
        // Their list of hidden states starts with the embedding, and entry i of the configuration takes state i − 1.
        decoder.features = Counts(taken.map { $0 - 2 })
        notes.append(
            "decoder.features = \(taken.map { $0 - 2 }), the blocks that transformers takes for out_indices \(taken) "
                + "(the official release counts them otherwise: `set` decoder.features="
                + "\(taken.map(String.init).joined(separator: ",")))")
        decoder.poolScales = config.pool_scales.map { Counts($0) }
        decoder.auxiliaryWeight = config.auxiliary_loss_weight
        decoder.auxiliaryConcat = config.auxiliary_concat_input
        patch.decoder = decoder
    }

    private mutating func take(_ config: TimmConfig) {
        let form = config.pretrained_cfg
        var pixels = ConfigurationPatch.Pixels()
        (pixels.mean, pixels.std) = (form?.mean, form?.std)
        (pixels.resize, pixels.cropShare) = (form?.interpolation, form?.crop_pct)
        patch.preprocessing = pixels
        classNames = form?.label_names ?? config.label_names
        if classNames == nil, form?.tag?.hasSuffix("in1k") == true || form?.tag?.hasSuffix("in1k_384") == true {
            classNames = KnownClasses.imageNet1k.map(\.name)
        }
    }

    private mutating func take(_ form: HuggingFacePixels, _ file: String) throws {
        var pixels = patch.preprocessing ?? ConfigurationPatch.Pixels()
        if let factor = form.rescale_factor, abs(factor * 255 - 1) > 1e-3, form.do_rescale != false {
            throw ImportError.badConfig(file: file, reason: "rescale_factor is \(factor), and only 1/255 is known")
        }
        let isPlain = form.do_normalize == false
        pixels.mean = isPlain ? [0, 0, 0] : form.image_mean
        pixels.std = isPlain ? [1, 1, 1] : form.image_std
        // The numbers of Pillow.
        pixels.resize = form.resample.flatMap { [1: "lanczos", 2: "bilinear", 3: "bicubic"][$0] }
        pixels.reduceZeroLabel = form.do_reduce_labels ?? form.reduce_labels
        if form.do_center_crop == true, let crop = form.crop_size?.shorter, let size = form.size?.shorter, size > 0 {
            pixels.cropShare = min(1, Double(crop) / Double(size))
        } else {
            pixels.cropShare = 1
        }
        patch.preprocessing = pixels
    }
}

/// Whose file it is.
private struct ConfigKind: Decodable {
    var model_type, architecture: String?
}

private struct HuggingFaceConfig: Decodable {
    var hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, patch_size: Int?
    var image_size: Sides?
    var layer_norm_eps, layer_scale_init_value: Float?
    var id2label: [String: String]?
    var out_indices, pool_scales: [Int]?
    var auxiliary_loss_weight: Float?
    var auxiliary_concat_input: Bool?
}

private struct TimmConfig: Decodable {
    struct Pretrained: Decodable {
        var mean, std: [Float]?
        var interpolation, tag: String?
        var crop_pct: Double?
        var label_names: [String]?
    }
    var pretrained_cfg: Pretrained?
    var label_names: [String]?
}

private struct HuggingFacePixels: Decodable {
    /// `224`, `{"height": 224, "width": 224}` or `{"shortest_edge": 224}`.
    struct Extent: Decodable {
        private struct Named: Decodable {
            var height, width, shortest_edge: Int?
        }
        let shorter: Int?

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            if let side = try? value.decode(Int.self) {
                shorter = side
            } else {
                let named = try value.decode(Named.self)
                shorter = named.shortest_edge ?? [named.height, named.width].compactMap { $0 }.min()
            }
        }
    }
    var image_mean, image_std: [Float]?
    var size, crop_size: Extent?
    var resample: Int?
    var rescale_factor: Double?
    var do_rescale, do_normalize, do_center_crop, do_reduce_labels, reduce_labels: Bool?
}
