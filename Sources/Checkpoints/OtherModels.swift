/// Models that are taken for BEiT now and then, by what only they have in the names of their parameters.
enum OtherModels {
    private static let marks: [(mark: String, words: String)] = [
        ("quantize.embedding", "BEiT v2's tokenizer (VQ-KD), and beit-seg's tokenizer is DALL-E's dVAE"),
        ("cls_pt_layers.", "BEiT v2 before fine-tuning; its fine-tuned models are read like BEiT's"),
        ("data2vec_vision.", "data2vec, not of BEiT"),
        ("beit3.", "BEiT-3, not of BEiT"),
        ("mask_decoder.", "SAM, not of BEiT"),
        ("absolute_pos_embed", "Swin, not of BEiT"), ("relative_coords_table", "Swin, not of BEiT"),
        ("layers.0.blocks.0.", "Swin, not of BEiT"),
        ("vit.encoder.layer.", "ViT, not of BEiT"), ("vit.embeddings.", "ViT, not of BEiT"),
        ("deit.", "DeiT, not of BEiT"), ("dinov2.", "DINOv2, not of BEiT"), ("segformer.", "SegFormer, not of BEiT"),
        ("swin.", "Swin, not of BEiT"), ("clip_model.", "CLIP, not of BEiT"), ("vision_model.", "CLIP, not of BEiT"),
        ("bert.", "BERT, not of BEiT"), ("decoder_blocks.", "MAE, not of BEiT"),
        (".attn.qkv.bias", "ViT, DeiT or another whose keys have a bias, not of BEiT"),
        ("layer1.0.conv1.", "ResNet, not of BEiT"), ("resnet.", "ResNet, not of BEiT"),
    ]

    /// What the names are of; nil where they may be BEiT's.
    static func words(_ names: some Sequence<String>) -> String? {
        for name in names {
            // A mark that begins a name must begin it (or follow a dot), so that "bert." is not found in "albert.".
            let dotted = "." + name.replacing("/", with: ".")
            if let found = marks.first(where: { dotted.contains($0.mark.hasPrefix(".") ? $0.mark : "." + $0.mark) }) {
                return found.words
            }
        }
        return nil
    }
}
