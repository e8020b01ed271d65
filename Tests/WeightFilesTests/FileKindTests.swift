import BEiTFiles
import BEiTWeightFiles
import Foundation
import Testing

/// What is no file of weights is told by what it is, whatever its name.
@Suite struct FileKindTests {
    static let others: [(bytes: [UInt8], word: String)] = [
        ([], "empty"),
        (Array("version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 345\n".utf8), "git lfs pull"),
        (Array("\n<!DOCTYPE html>\n<html><head><title>microsoft/beit at main</title>".utf8), "web page"),
        (Array("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>".utf8), "web page"),
        (Array("Wget 1.21: saving to encoder.pkl\n".utf8), "text"),
        (Array("größer".utf8), "text"),
        ([0x1F, 0x8B, 8, 0, 0, 0, 0, 0], "gzip"),
        ([UInt8](repeating: 0x61, count: 257) + Array("ustar".utf8) + [0, 0x30, 0x30], "tar"),
        ([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0], "PNG image"),
        ([0xFF, 0xD8, 0xFF, 0xE0, 0, 0x10], "JPEG image"),
        ([8, 1, 0x12, 0xA0, 0x02], "SavedModel"),
        ([8, 7, 0x12, 7] + Array("pytorch".utf8), "ONNX"),
        (Array("{\"model_type\": \"beit\"}".utf8), "JSON"),
        ([1, 2, 3, 0xFF, 5], "no file of weights"),
    ]

    @Test(arguments: others) func otherFilesAreNamed(_ bytes: [UInt8], _ word: String) throws {
        let folder = try Scratch()
        #expect(refusal(try folder.file("model.safetensors", bytes)).contains(word))
    }

    @Test func pathsWithoutAFile() throws {
        let folder = try Scratch()
        #expect(throws: FileError.self) { try TensorFile.open(folder.path("none.pth")) }
        #expect(refusal(folder.folder.path).contains("folder"))
    }

    @Test(arguments: ["good.h5", "userblock.h5", "good_latest_format.h5"])
    func hdf5ByItsBytesAlsoBehindOthers(_ name: String) throws {
        let files = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let bytes = try contents(files.appendingPathComponent("HDF5Tests/Fixtures/hostile/" + name).path)
        let folder = try Scratch()
        let path = try folder.file("model.pth", bytes)
        let source = try TensorFile.open(path)
        #expect(source.format == "HDF5" && source.files == [path])
        #expect(try source.floats().count > 10)
    }
}
