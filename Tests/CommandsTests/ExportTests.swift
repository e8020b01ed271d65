import BEiTHDF5
import Foundation
import Testing

/// `export` into types that take less space.
@Suite struct ExportTests {
    private func workshop() throws -> Scratch {
        let folder = try Scratch()
        try SmallModel.save(to: folder["m.h5"])
        for index in 0..<3 {
            try SmallModel.photo(60, 40, seed: UInt64(index), to: folder["photos/\(index).png"])
        }
        return folder
    }

    @Test func calibratedBytes() throws {
        let folder = try workshop()
        try Data("no picture".utf8).write(to: URL(fileURLWithPath: folder["photos/bad.jpg"]))
        let run = try Program(
            "export", folder["m.h5"], "-o", folder["q.h5"], "--as", "int8", "--calibrate", folder["photos"])
        #expect(run.status == 0 && run.errors.count == 3, "\(run.errors)")
        #expect(run.errors.contains { $0.contains("photos/bad.jpg") })
        #expect(run.errors.contains("beit-seg: calibrated on 3 of 4 photos"))
        let facts = try Program("inspect", folder["q.h5"], "--verbose")
        #expect(facts.output.contains("(float32, int8), quantised: int8 with a scale for each output"))
        #expect(facts.output.contains("qkv/weight [36, 12] int8\n"))
        #expect(facts.output.contains("qkv/weight_scale [36, 1] float32\n"))
        let sizes = try Program("inspect", folder["m.h5"]).output.split(separator: "\n")
        let count = sizes.first { $0.hasPrefix("parameters") }?.split(separator: " ").dropFirst().first
        #expect(facts.output.contains("parameters      \(count ?? "?") "))
        let predict = try Program(
            "predict", folder["photos/0.png"], "-m", folder["q.h5"], "-o", folder["out"], "--format", "index")
        #expect(predict.status == 0 && predict.errors.contains { $0.contains("in int8") }, "\(predict.errors)")
    }

    @Test func withoutAReadablePhoto() throws {
        let folder = try workshop()
        try Data("no picture".utf8).write(to: URL(fileURLWithPath: folder["bad.jpg"]))
        let run = try Program(
            "export", folder["m.h5"], "-o", folder["q.h5"], "--as", "int8", "--calibrate", folder["bad.jpg"])
        #expect(run.status == 65)
        #expect(run.errors.last?.contains("none of the photos to calibrate with can be read") == true)
        #expect(!FileManager.default.fileExists(atPath: folder["q.h5"]))
    }

    @Test(arguments: ["--as int8 --layout official", "--as int8 --layout flat", "--as float16 --calibrate x"])
    func whatDoesNotGoTogether(_ options: String) throws {
        let words = ["export", "m.h5", "-o", "x"] + options.split(separator: " ").map(String.init)
        let run = try Program(arguments: words)
        #expect(run.status == 64 && run.errors.count == 1, "\(run.errors)")
    }

    @Test func bfloat16ForOthers() throws {
        let folder = try workshop()
        let run = try Program(
            "export", folder["m.h5"], "-o", folder["x.safetensors"], "--as", "bfloat16", "--layout", "official")
        #expect(run.status == 0, "\(run.errors)")
        let bytes = try Data(contentsOf: URL(fileURLWithPath: folder["x.safetensors"]))
        #expect(bytes.range(of: Data("\"BF16\"".utf8)) != nil && bytes.range(of: Data("\"F32\"".utf8)) == nil)
    }
}
