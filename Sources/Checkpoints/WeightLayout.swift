/// The names that a family of programs gives to the parameters of BEiT and of its tokenizer: the same rules forwards, for
/// import, and backwards, for export. The first rule that matches counts.
struct WeightLayout: Sendable {
    /// For people.
    let name: String
    let rules: [NameRule]
    /// The side of the first convolution's kernel, where names alone do not tell.
    var inputKernel: Int?

    /// The path of what a file calls `name`, and which part of the rows it is.
    func path(of name: String) -> (path: String, part: Int, rule: NameRule)? {
        for rule in rules {
            if let found = rule.path(of: name) { return (found.path, found.part, rule) }
        }
        return nil
    }

    /// What a file calls the parameter at `path`; nil where the layout has no name for it.
    func names(of path: String) -> (names: [String], rule: NameRule)? {
        for rule in rules {
            if let names = rule.names(of: path) { return (names, rule) }
        }
        return nil
    }

    /// All that can be recognised; where two fit equally well, the first.
    static let all = [
        official, segmentation, huggingFace, huggingFaceTwoNorms, mmsegmentation, keras, dalleEncoder, dalleDecoder,
        tokenizer, flavaCodebook,
    ]

    /// Pre-training and classification of the authors, and timm. Source: microsoft/unilm `beit/modeling_finetune.py`,
    /// `modeling_pretrain.py`.
    static let official = WeightLayout(
        name: "official",
        rules: ["cls_token", "mask_token", "pos_embed"].map { NameRule($0, path: "backbone/" + $0) }
            + ["patch_embed", "rel_pos_bias", "norm"].map { NameRule($0 + ".*", path: "backbone/\($0)/*") }
            + [NameRule("blocks.{}.*", path: "backbone/blocks/{}/*")]
            + ["fc_norm", "head", "lm_head", "lm_norm"].map { NameRule($0 + ".*", path: $0 + "/*") })

    /// Segmentation of the authors (mmsegmentation 0.x with their backbone), and beit-seg's own models with dots in the
    /// names. Source: microsoft/unilm `beit/semantic_segmentation/backbone/beit.py`.
    static let segmentation = WeightLayout(
        name: "official segmentation",
        rules: ["backbone", "decode_head", "auxiliary_head", "decoder", "fc_norm", "head", "lm_head", "lm_norm"].map {
            NameRule($0 + ".*", path: $0 + "/*")
        })

    /// `layernorm` is the one final norm of a model of masked image modeling, `beit.layernorm` that of a classifier by its
    /// cls token.
    static let huggingFace = huggingFace([
        NameRule("layernorm.*", path: "backbone/norm/*"), NameRule("beit.layernorm.*", path: "backbone/norm/*"),
    ])

    /// Where a model of masked image modeling has two norms in a row: behind the blocks and before the head.
    static let huggingFaceTwoNorms = huggingFace([
        NameRule("beit.layernorm.*", path: "backbone/norm/*"), NameRule("layernorm.*", path: "lm_norm/*"),
    ])

    /// Source: transformers `models/beit/modeling_beit.py`.
    private static func huggingFace(_ finalNorms: [NameRule]) -> WeightLayout {
        WeightLayout(name: "Hugging Face", rules: huggingFaceRules + finalNorms)
    }

    private static let huggingFaceRules: [NameRule] =
        [
            NameRule("beit.embeddings.cls_token", path: "backbone/cls_token"),
            NameRule("beit.embeddings.mask_token", path: "backbone/mask_token"),
            NameRule("beit.embeddings.position_embeddings", path: "backbone/pos_embed"),
            NameRule("beit.embeddings.patch_embeddings.projection.*", path: "backbone/patch_embed/proj/*"),
            NameRule("beit.encoder.relative_position_bias.*", path: "backbone/rel_pos_bias/*"),
            NameRule(
                "beit.encoder.layer.{}.attention.attention.query.weight",
                "beit.encoder.layer.{}.attention.attention.key.weight",
                "beit.encoder.layer.{}.attention.attention.value.weight", path: "backbone/blocks/{}/attn/qkv/weight"),
            NameRule("beit.encoder.layer.{}.attention.attention.query.bias", path: "backbone/blocks/{}/attn/q_bias"),
            NameRule("beit.encoder.layer.{}.attention.attention.value.bias", path: "backbone/blocks/{}/attn/v_bias"),
            NameRule(
                "beit.encoder.layer.{}.attention.attention.relative_position_bias.relative_position_bias_table",
                path: "backbone/blocks/{}/attn/relative_position_bias_table"),
            NameRule("beit.encoder.layer.{}.attention.output.dense.*", path: "backbone/blocks/{}/attn/proj/*"),
            NameRule("beit.encoder.layer.{}.layernorm_before.*", path: "backbone/blocks/{}/norm1/*"),
            NameRule("beit.encoder.layer.{}.layernorm_after.*", path: "backbone/blocks/{}/norm2/*"),
            NameRule("beit.encoder.layer.{}.lambda_1", path: "backbone/blocks/{}/gamma_1"),
            NameRule("beit.encoder.layer.{}.lambda_2", path: "backbone/blocks/{}/gamma_2"),
            NameRule("beit.encoder.layer.{}.intermediate.dense.*", path: "backbone/blocks/{}/mlp/fc1/*"),
            NameRule("beit.encoder.layer.{}.output.dense.*", path: "backbone/blocks/{}/mlp/fc2/*"),
            NameRule("beit.pooler.layernorm.*", path: "fc_norm/*"),
            NameRule("classifier.*", path: "head/*"), NameRule("lm_head.*", path: "lm_head/*"),
            NameRule("fpn1.*", path: "backbone/fpn1/*"), NameRule("fpn2.*", path: "backbone/fpn2/*"),
        ]
        + ["decode_head", "auxiliary_head"].flatMap {
            [NameRule("\($0).classifier.*", path: "\($0)/conv_seg/*"), NameRule("\($0).*", path: "\($0)/*")]
        }

    /// mmsegmentation's own backbone. Source: open-mmlab/mmsegmentation `mmseg/models/backbones/beit.py`,
    /// `necks/featurepyramid.py`.
    static let mmsegmentation = WeightLayout(
        name: "mmsegmentation",
        rules: [
            NameRule("backbone.cls_token", path: "backbone/cls_token"),
            NameRule("backbone.pos_embed", path: "backbone/pos_embed"),
            NameRule("backbone.patch_embed.projection.*", path: "backbone/patch_embed/proj/*"),
            NameRule("backbone.layers.{}.ln1.*", path: "backbone/blocks/{}/norm1/*"),
            NameRule("backbone.layers.{}.ln2.*", path: "backbone/blocks/{}/norm2/*"),
            NameRule("backbone.layers.{}.ffn.layers.0.0.*", path: "backbone/blocks/{}/mlp/fc1/*"),
            NameRule("backbone.layers.{}.ffn.layers.1.*", path: "backbone/blocks/{}/mlp/fc2/*"),
            NameRule("backbone.layers.{}.*", path: "backbone/blocks/{}/*"),
            NameRule("backbone.ln1.*", path: "backbone/norm/*"),
            NameRule("neck.upsample_4x.*", path: "backbone/fpn1/*"),
            NameRule("neck.upsample_2x.*", path: "backbone/fpn2/*"),
            NameRule("decode_head.*", path: "decode_head/*"), NameRule("auxiliary_head.*", path: "auxiliary_head/*"),
        ])

    /// keras-cv-attention-models: layer, then variable. Source: `keras_cv_attention_models/beit/beit.py`.
    static let keras = WeightLayout(
        name: "Keras",
        rules: [
            NameRule("cls_token.tokens", path: "backbone/cls_token"),
            NameRule("positional_embedding.positional_embedding", path: "backbone/pos_embed"),
            NameRule("stem_conv.kernel", path: "backbone/patch_embed/proj/weight", .channelsLast),
            NameRule("stem_conv.bias", path: "backbone/patch_embed/proj/bias"),
            NameRule("block{}_attn_qkv.kernel", path: "backbone/blocks/{}/attn/qkv/weight", .transposed),
            NameRule("block{}_attn_query_bias.bias", path: "backbone/blocks/{}/attn/q_bias"),
            NameRule("block{}_attn_value_bias.bias", path: "backbone/blocks/{}/attn/v_bias"),
            NameRule(
                "block{}_attn_pos_emb.positional_embedding",
                path: "backbone/blocks/{}/attn/relative_position_bias_table", .transposed),
            NameRule("block{}_attn_gamma.weight", path: "backbone/blocks/{}/gamma_1"),
            NameRule("block{}_mlp_gamma.weight", path: "backbone/blocks/{}/gamma_2"),
        ] + dense("block{}_attn_output", "backbone/blocks/{}/attn/proj")
            + dense("block{}_mlp_dense_1", "backbone/blocks/{}/mlp/fc1")
            + dense("block{}_mlp_dense_2", "backbone/blocks/{}/mlp/fc2") + dense("predictions", "head")
            + norm("block{}_attn_ln", "backbone/blocks/{}/norm1") + norm("block{}_mlp_ln", "backbone/blocks/{}/norm2")
            + norm("out_ln", "fc_norm"))

    private static func dense(_ layer: String, _ path: String) -> [NameRule] {
        [
            NameRule(layer + ".kernel", path: path + "/weight", .transposed),
            NameRule(layer + ".bias", path: path + "/bias"),
        ]
    }

    private static func norm(_ layer: String, _ path: String) -> [NameRule] {
        [NameRule(layer + ".gamma", path: path + "/weight"), NameRule(layer + ".beta", path: path + "/bias")]
    }

    /// One half of DALL-E's dVAE by itself. Source: openai/DALL-E `dall_e/encoder.py`, `decoder.py`.
    static let dalleEncoder = half("encoder", inputKernel: 7), dalleDecoder = half("decoder", inputKernel: 1)

    private static func half(_ half: String, inputKernel: Int) -> WeightLayout {
        WeightLayout(
            name: "DALL-E, \(half)",
            rules: [
                NameRule("blocks.input.*", path: "\(half)/blocks/input/*"),
                NameRule("blocks.group_{}.*", path: "\(half)/blocks/group_{}/*"),
                NameRule("blocks.output.*", path: "\(half)/blocks/output/*"),
            ], inputKernel: inputKernel)
    }

    /// Both halves in one file.
    static let tokenizer = WeightLayout(
        name: "DALL-E",
        rules: ["encoder", "decoder"].map { NameRule("\($0).blocks.*", path: "\($0)/blocks/*") })

    /// DALL-E's encoder within FLAVA. Source: transformers `models/flava/modeling_flava.py`.
    static let flavaCodebook = WeightLayout(
        name: "FLAVA image codebook",
        rules: [("weight", "w"), ("bias", "b")].flatMap { long, short in
            [
                NameRule("blocks.input.\(long)", path: "encoder/blocks/input/\(short)"),
                NameRule(
                    "blocks.group_{}.group.block_{}.id_path.\(long)",
                    path: "encoder/blocks/group_{}/block_{}/id_path/\(short)"),
                NameRule(
                    "blocks.group_{}.group.block_{}.res_path.path.conv_{}.\(long)",
                    path: "encoder/blocks/group_{}/block_{}/res_path/conv_{}/\(short)"),
                NameRule("blocks.output.conv.\(long)", path: "encoder/blocks/output/conv/\(short)"),
            ]
        })
}
