import BEiTLayers
import Testing

/// The names in files: a change here is a change of the format.
@Suite struct ParameterPathTests {
    private func block(_ index: Int, table: Bool = true, gamma: Bool = true) -> [String] {
        let scales = gamma ? ["gamma_1", "gamma_2"] : []
        return
            (scales + ["norm1/weight", "norm1/bias", "attn/q_bias", "attn/v_bias"]
            + (table ? ["attn/relative_position_bias_table"] : []) + [
                "attn/qkv/weight", "attn/proj/weight", "attn/proj/bias", "norm2/weight", "norm2/bias",
                "mlp/fc1/weight", "mlp/fc1/bias", "mlp/fc2/weight", "mlp/fc2/bias",
            ]).map { "backbone/blocks/\(index)/\($0)" }
    }

    private func half(_ name: String, idPaths: Set<Int>) -> [String] {
        let convolutions = ["res_path/conv_1", "res_path/conv_2", "res_path/conv_3", "res_path/conv_4"]
        let groups = (1...2).flatMap { group in
            ((idPaths.contains(group) ? ["id_path"] : []) + convolutions).map { "group_\(group)/block_1/\($0)" }
        }
        return (["input"] + groups + ["output/conv"]).flatMap { ["\(name)/blocks/\($0)/w", "\(name)/blocks/\($0)/b"] }
    }

    private let patches = ["backbone/patch_embed/proj/weight", "backbone/patch_embed/proj/bias"]

    private func expected(_ sample: Sample) -> [String] {
        switch sample {
        case .segmenter:
            ["backbone/cls_token"] + patches + block(0) + block(1) + [
                "backbone/norm/weight", "backbone/norm/bias",
                "decoder/blocks/0/deconv/weight", "decoder/blocks/0/norm/weight", "decoder/blocks/0/norm/bias",
                "decoder/blocks/1/deconv/weight", "decoder/blocks/1/norm/weight", "decoder/blocks/1/norm/bias",
                "decoder/head/weight", "decoder/head/bias",
            ]
        case .linearSegmenter:
            ["backbone/cls_token", "backbone/pos_embed"] + patches + block(0, table: false, gamma: false)
                + block(1, table: false, gamma: false) + ["decoder/head/weight", "decoder/head/bias"]
        case .classifier:
            ["backbone/cls_token"] + patches + block(0) + block(1)
                + ["fc_norm/weight", "fc_norm/bias", "head/weight", "head/bias"]
        case .clsClassifier:
            ["backbone/cls_token", "backbone/pos_embed"] + patches + block(0, table: false) + block(1, table: false)
                + ["backbone/norm/weight", "backbone/norm/bias", "head/weight", "head/bias"]
        case .mim:
            ["backbone/cls_token", "backbone/mask_token"] + patches
                + ["backbone/rel_pos_bias/relative_position_bias_table"] + block(0, table: false)
                + block(1, table: false)
                + ["backbone/norm/weight", "backbone/norm/bias", "lm_head/weight", "lm_head/bias"]
        case .tokenizer: half("encoder", idPaths: [2]) + half("decoder", idPaths: [1, 2])
        }
    }

    @Test(arguments: Sample.allCases) func paths(_ sample: Sample) {
        let found = sample.model().module.parameters.map(\.path)
        #expect(found == expected(sample))
    }
}
