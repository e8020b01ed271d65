import BEiTFiles
import BEiTModels

/// What transformers and timm want beside the weights: `config.json` and `preprocessor_config.json`.
enum HuggingFaceExport {
    /// Why transformers cannot compute what the model does; nil where it can.
    static func obstacle(_ configuration: ModelConfiguration) -> String? {
        guard let backbone = configuration.backbone else { return "it has no backbone" }
        if let decoder = configuration.decoder {
            guard let upernet = decoder.upernet else { return "transformers knows no decoder but UperNet" }
            guard upernet.features.count == 4, let last = upernet.features.max(), last <= backbone.depth - 2 else {
                return "transformers cannot take the output of the last block "
                    + "(decoder.features \(upernet.features) of \(backbone.depth) blocks)"
            }
        }
        return nil
    }

    /// The texts of both files.
    static func files(_ description: ModelDescription) throws -> [String] {
        guard let config = Config(description) else { return [] }
        // Their configuration is checked by type, and 0 is no float.
        let floats = /("(?:layer_scale_init_value|auxiliary_loss_weight|layer_norm_eps)" : -?\d+)(?=,?\n)/
        let text = try JSONText.pretty(config).replacing(floats) { "\($0.1).0" }
        return [text, try JSONText.pretty(Pixels(description.preprocessing))]
    }

    private struct Config: Encodable {
        let model_type = "beit"
        let architectures: [String]
        let hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, patch_size: Int
        let image_size: Sides
        let num_channels = 3, vocab_size: Int
        let hidden_act = "gelu", dtype = "float32"
        let layer_norm_eps, layer_scale_init_value, drop_path_rate: Float
        let hidden_dropout_prob: Float = 0, attention_probs_dropout_prob: Float = 0, initializer_range: Float = 0.02
        let use_mask_token, use_mean_pooling, use_absolute_position_embeddings: Bool
        let use_relative_position_bias, use_shared_relative_position_bias: Bool
        let id2label: [String: String]?
        let label2id: [String: Int]?
        let out_indices, pool_scales: [Int]?
        let use_auxiliary_head, auxiliary_concat_input: Bool?
        let auxiliary_channels, auxiliary_num_convs: Int?
        let auxiliary_loss_weight: Float?

        /// Nil for a model without a backbone.
        init?(_ description: ModelDescription) {
            let configuration = description.configuration
            guard let backbone = configuration.backbone else { return nil }
            let upernet = configuration.decoder?.upernet
            architectures = [
                configuration.mim != nil
                    ? "BeitForMaskedImageModeling"
                    : upernet != nil ? "BeitForSemanticSegmentation" : "BeitForImageClassification"
            ]
            (hidden_size, num_hidden_layers) = (backbone.width, backbone.depth)
            (num_attention_heads, intermediate_size) = (backbone.heads, backbone.hiddenWidth)
            (patch_size, image_size) = (backbone.patchSize, Sides(backbone.imageSize))
            vocab_size = configuration.mim?.vocabulary ?? 8192
            (layer_norm_eps, layer_scale_init_value) = (backbone.normEps, backbone.layerScale)
            drop_path_rate = backbone.dropPath
            use_mask_token = configuration.mim != nil
            use_mean_pooling = configuration.classifier?.pooling != .cls && configuration.mim?.norm != true
            use_absolute_position_embeddings = backbone.position == .absolute
            use_relative_position_bias = backbone.position == .relative
            use_shared_relative_position_bias = backbone.position == .relativeShared
            let names = description.classes.map(\.name)
            let labels = Dictionary(uniqueKeysWithValues: names.enumerated().map { (String($0), $1) })
            id2label = names.isEmpty ? nil : labels
            label2id = names.isEmpty ? nil : Dictionary(names.enumerated().map { ($1, $0) }) { first, _ in first }
            out_indices = upernet?.features.map { $0 + 2 }
            pool_scales = upernet?.poolScales
            let auxiliary = upernet?.auxiliary
            use_auxiliary_head = upernet == nil ? nil : auxiliary != nil
            (auxiliary_channels, auxiliary_num_convs) = (auxiliary?.channels, auxiliary?.convolutions)
            (auxiliary_concat_input, auxiliary_loss_weight) = (auxiliary?.concat, auxiliary?.weight)
        }
    }

    private struct Pixels: Encodable {
        struct Extent: Encodable {
            let height, width: Int
        }
        let image_processor_type = "BeitImageProcessor"
        let do_resize = true, do_rescale = true, do_normalize = true, do_center_crop: Bool
        let size: Extent
        let crop_size: Extent?
        let resample: Int
        let rescale_factor = 1.0 / 255
        let image_mean, image_std: [Float]
        let do_reduce_labels: Bool

        init(_ form: Preprocessing) {
            let share = form.cropShare ?? 1
            func extent(_ scale: Double) -> Extent {
                Extent(
                    height: Int((Double(form.size[0]) * scale).rounded()),
                    width: Int((Double(form.size[1]) * scale).rounded()))
            }
            do_center_crop = share < 1
            (size, crop_size) = (extent(1 / share), share < 1 ? extent(1) : nil)
            resample = ["lanczos": 1, "bilinear": 2, "bicubic": 3][form.resize] ?? 2
            (image_mean, image_std) = (form.mean, form.std)
            do_reduce_labels = form.reduceZeroLabel ?? false
        }
    }
}

/// timm's `config.json`. Its sizes of BEiT differ in their arguments alone, so that all are `beit_base_patch16_224` with
/// others.
struct TimmExport: Encodable {
    private struct Arguments: Encodable {
        let img_size: [Int]
        let patch_size, embed_dim, depth, num_heads: Int
        let mlp_ratio: Double
        let init_values: Float
        let use_abs_pos_emb, use_rel_pos_bias, use_shared_rel_pos_bias: Bool
        let global_pool: String
    }
    private struct Pretrained: Encodable {
        let input_size, pool_size: [Int]?
        let fixed_input_size = true
        let interpolation: String
        let crop_pct: Double
        let crop_mode = "center", first_conv = "patch_embed.proj", classifier = "head"
        let mean, std: [Float]
        let num_classes: Int
        let label_names: [String]
    }
    private let architecture = "beit_base_patch16_224"
    private let num_classes, num_features: Int
    private let global_pool: String
    private let model_args: Arguments
    private let pretrained_cfg: Pretrained

    /// - Precondition: the description is of a classifier.
    init(_ description: ModelDescription) {
        let backbone = description.configuration.backbone ?? BackboneConfiguration()
        let head = description.configuration.classifier ?? ClassifierConfiguration()
        (num_classes, num_features) = (head.classes, backbone.width)
        let pool = head.pooling == .mean ? "avg" : "token"
        global_pool = pool
        model_args = Arguments(
            img_size: backbone.imageSize, patch_size: backbone.patchSize, embed_dim: backbone.width,
            depth: backbone.depth, num_heads: backbone.heads, mlp_ratio: backbone.mlpRatio,
            init_values: backbone.layerScale,
            use_abs_pos_emb: backbone.position == .absolute, use_rel_pos_bias: backbone.position == .relative,
            use_shared_rel_pos_bias: backbone.position == .relativeShared, global_pool: pool)
        let form = description.preprocessing
        pretrained_cfg = Pretrained(
            input_size: [3] + form.size, pool_size: nil, interpolation: form.resize, crop_pct: form.cropShare ?? 0.9,
            mean: form.mean, std: form.std, num_classes: head.classes, label_names: description.classes.map(\.name))
    }
}
