import BEiTHDF5
import Foundation
import Testing

/// What a new user gives to `import` by mistake: a line says what it is and what to do, and no model is written.
@Suite struct ImportMistakeTests {
    private func refusal(_ folder: Scratch, _ arguments: String...) throws -> (status: Int32, text: String) {
        let run = try Program(arguments: ["import"] + arguments + ["-o", folder["model.h5"]])
        #expect(run.errors.count == 1, "\(run.errors)")
        #expect(!FileManager.default.fileExists(atPath: folder["model.h5"]))
        return (run.status, run.errors.first ?? "")
    }

    private func write(_ bytes: some Sequence<UInt8>, to path: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    private func published(_ name: String, in folder: Scratch) throws -> String {
        let copy = folder[name]
        try FileManager.default.copyItem(atPath: Oracle.path(name), toPath: copy)
        return copy
    }

    @Test func filesThatAreNoWeights() throws {
        let folder = try Scratch(), file = folder["model.safetensors"]
        let files: [(String, String)] = [
            ("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 346000000\n", "LFS"),
            ("<!DOCTYPE html><html><body>Sign in</body></html>", "web page"), ("", "empty"),
            ("\u{7F}not weights at all, but a text of some length", "weights"),
        ]
        for (text, word) in files {
            try write(text.utf8, to: file)
            let (status, line) = try refusal(folder, file)
            #expect(status == 65 && line.contains(file) && line.contains(word), "\(line)")
        }
    }

    @Test func halfADownload() throws {
        let folder = try Scratch(), whole = try published("hf-cls", in: folder) + "/model.safetensors"
        let bytes = try Data(contentsOf: URL(fileURLWithPath: whole))
        try write(bytes.prefix(bytes.count / 2), to: whole)
        let (status, line) = try refusal(folder, folder["hf-cls"])
        #expect(status == 65 && line.contains("\(bytes.count / 2)"), "\(line)")
    }

    @Test func otherModels() throws {
        let folder = try Scratch(), file = folder["weights.h5"]
        let cases: [(names: [String], word: String)] = [
            (["patch_embed.proj.weight", "blocks.0.attn.qkv.bias"], "ViT"),
            (["encoder.blocks.0.norm1.weight", "quantize.embedding.weight"], "BEiT v2"),
            (["layers.0.blocks.0.norm1.weight", "patch_embed.proj.weight"], "Swin"),
            (["bert.embeddings.word_embeddings.weight"], "BERT"), (["conv.weight"], "no parameter has a name"),
            (["patch_embed.proj.weight", "cls_token"], "no head"),
        ]
        for (names, word) in cases {
            let writer = try HDF5Writer(file)
            for name in names { try writer.write("/" + name, shape: [2], floats: [1, 2]) }
            try writer.commit()
            let (status, line) = try refusal(folder, file)
            #expect(status == 65 && line.contains(word), "\(line)")
        }
    }

    @Test func configurationsThatDoNotBelong() throws {
        let folder = try Scratch(), source = try published("hf-cls", in: folder), config = source + "/config.json"
        let text = try String(contentsOfFile: config, encoding: .utf8)
        for (old, new, word) in [
            ("\"beit\"", "\"vit\"", "kind vit"), ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 12", "depth"),
        ] {
            let changed = text.replacing(old, with: new)
            try #require(changed != text, "\(old)")
            try write(changed.utf8, to: config)
            let (status, line) = try refusal(folder, source)
            #expect(status == 65 && line.contains("config.json") && line.contains(word), "\(line)")
        }
    }

    @Test func folders() throws {
        let folder = try Scratch()
        try FileManager.default.createDirectory(atPath: folder["in"], withIntermediateDirectories: true)
        let empty = try refusal(folder, folder["in"])
        #expect(empty.status == 66 && empty.text.contains("no weights"))
        for name in ["a.pth", "b.pth"] { try write("x".utf8, to: folder["in/" + name]) }
        let several = try refusal(folder, folder["in"])
        #expect(several.status == 64 && several.text.contains("a.pth, b.pth"))
    }

    /// With what the files beside say, and with another framework's logits.
    @Test func aFolderAsItIsPublished() throws {
        let folder = try Scratch(), source = try published("hf-cls", in: folder)
        try write(
            """
            {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.6, 0.7], "resample": 3, "size": {"shortest_edge": 40},
             "do_center_crop": true, "crop_size": 32, "do_reduce_labels": true}
            """.utf8, to: source + "/preprocessor_config.json")
        let run = try Program("import", source, "-o", folder["model.h5"], "--check", Oracle.path("hf-cls/arrays.h5"))
        try #require(run.status == 0, "\(run.errors)")
        #expect(run.output.contains("check      largest difference"))
        let form = try #require(try HDF5Reader(folder["model.h5"]).attribute("preprocessing"))
        for part in [
            #""mean":[0.1,0.2,0.3]"#, #""resize":"bicubic""#, #""crop_share":0.8"#, #""reduce_zero_label":true"#,
        ] { #expect(form.contains(part), "\(form)") }

        try FileManager.default.removeItem(atPath: folder["model.h5"])
        let wrong = try refusal(
            folder, source, "--set", "backbone.norm_eps=0.5", "--check", Oracle.path("hf-cls/arrays.h5"))
        #expect(wrong.status == 65 && wrong.text.contains("not the same model"), "\(wrong.text)")
    }
}
