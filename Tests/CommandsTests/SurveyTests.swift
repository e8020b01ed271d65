import BEiTFiles
import BEiTImageIO
import Foundation
import Testing

/// `data`: what a data set is, what is odd about it, and its division.
@Suite struct SurveyTests {
    private struct Result: Decodable {
        struct Class: Decodable { var name: String, pixels: Int, images: Int }
        struct Size: Decodable { var width: Int, height: Int, images: Int }
        struct Split: Decodable { var name: String?, images: Int, void_pixels: Int, sizes: [Size], classes: [Class] }
        struct Twins: Decodable { var first: String, second: String, splits: [String]?, distance: Int? }
        var splits: [Split], twins: [Twins], odd: [String], failed: [[String: String]]
    }

    /// Photos of 80×60 with a mask whose left half is `sky`.
    private func add(_ picture: RGBImage, _ name: String, to folder: String) throws {
        try makeFolder((folder + "/images/" + name).parent)
        try writePNG(picture, to: folder + "/images/\(name).png")
        let values = (0..<picture.width * picture.height).map {
            UInt16($0 % picture.width < picture.width / 2 ? 0 : $0 / picture.width == 0 ? 255 : 1)
        }
        try makeFolder((folder + "/masks/" + name).parent)
        try writePNG(
            IndexMask(width: picture.width, height: picture.height, values: values), to: folder + "/masks/\(name).png")
    }

    private func divided(_ folder: Scratch) throws -> String {
        let data = folder["data"]
        try AtomicFile.write("sky 0 0 255\ntall grass 0 255 0\nsnow 255 255 255\n", to: data + "/classes.txt")
        for index in 0..<4 {
            try add(SmallModel.picture(80, 60, seed: UInt64(index)), "train/\(index)", to: data)
        }
        try add(SmallModel.picture(80, 60, seed: 1), "val/same", to: data)
        // The same photo, resized and a little darker.
        var other = SmallModel.picture(80, 60, seed: 2).resized(width: 100, height: 75, filter: .bilinear)
        other.pixels = other.pixels.map { UInt8(Double($0) * 0.95) }
        try add(other, "val/alike", to: data)
        try add(SmallModel.picture(80, 60, seed: 9), "val/new", to: data)
        return data
    }

    @Test func classesSizesAndLeaksAreTold() throws {
        let folder = try Scratch()
        let data = try divided(folder)
        let run = try Program("data", data, "--json", "--report", folder["report"])
        #expect(run.status == 0, "\(run.errors)")
        let result: Result = try JSONText.decode(from: run.output.utf8, of: "output")
        #expect(result.splits.map(\.name) == ["train", "val"] && result.splits.map(\.images) == [4, 3])
        #expect(result.splits[0].classes.map(\.pixels) == [4 * 2400, 4 * 2360, 0])
        #expect(result.splits[0].classes.map(\.images) == [4, 4, 0] && result.splits[0].void_pixels == 160)
        #expect(result.splits[1].sizes.map(\.images) == [2, 1] && result.splits[1].sizes[0].width == 80)
        #expect(result.twins.count == 2, "\(result.twins)")
        #expect(result.twins.first?.first == data + "/images/train/1.png" && result.twins.first?.distance == nil)
        #expect(
            result.twins.last?.second == data + "/images/val/alike.png"
                && result.twins.last?.splits == ["train", "val"])
        #expect(result.odd.contains { $0.contains("no pixel of snow in train") })
        #expect(result.odd.contains { $0.contains("the same file and are on two sides") })
        let page = try String(contentsOfFile: folder["report/report.html"], encoding: .utf8)
        #expect(page.contains("tall grass") && page.contains("data:image/jpeg") && page.contains("alike.png"))
        #expect(try decodeImage(folder["report/sheet.png"]).width > 400)
        let text = try Program("data", data)
        #expect(text.output.contains("train: 4 photos, 80×60 (4)") && text.output.contains("odd: no pixel of snow"))
    }

    @Test func aBadMaskIsNamedAndTheRestIsTold() throws {
        let folder = try Scratch()
        let data = try divided(folder)
        try writePNG(
            IndexMask(width: 80, height: 60, values: [UInt16](repeating: 7, count: 4800)),
            to: data + "/masks/train/0.png")
        let run = try Program("data", data, "--json")
        let result: Result = try JSONText.decode(from: run.output.utf8, of: "output")
        #expect(run.status == 1 && result.failed.count == 1)
        #expect(run.errors.contains { $0.contains("train/0.png") && $0.contains("the label 7") })
        #expect(result.splits[0].classes[0].pixels == 3 * 2400)
    }

    @Test func aDivisionKeepsGroupsTogether() throws {
        let folder = try Scratch()
        let data = folder["data"]
        try AtomicFile.write("sky 0 0 255\ntall grass 0 255 0\n", to: data + "/classes.txt")
        for index in 0..<20 {
            let name = "scene\(index / 2)/\(index)"
            try add(SmallModel.picture(80, 60, seed: UInt64(index)), name, to: data)
        }
        func divide(_ name: String, _ more: String...) throws -> [String: String] {
            let run = try Program(arguments: ["data", data, "--split", "0.6,0.2,0.2", "-o", folder[name]] + more)
            #expect(run.status == 0, "\(run.errors)")
            var sides: [String: String] = [:]
            for split in ["train", "val", "test"] {
                for path in try PhotoListing(folder[name] + "/masks/" + split).names { sides[path.lastName] = split }
            }
            #expect(sides.count == 20)
            return sides
        }
        let grouped = try divide("a", "--group-by", "scene([0-9]+)", "--seed", "3")
        for scene in 0..<10 { #expect(grouped["\(2 * scene).png"] == grouped["\(2 * scene + 1).png"]) }
        #expect(grouped.values.count { $0 == "train" } == 12 && grouped.values.count { $0 == "test" } == 4)
        #expect(try divide("b", "--group-by", "scene([0-9]+)", "--seed", "3") == grouped)
        #expect(try divide("c", "--group-by", "scene([0-9]+)", "--seed", "4") != grouped)
        let free = try divide("d")
        #expect((0..<10).contains { free["\(2 * $0).png"] != free["\(2 * $0 + 1).png"] })
        let score = try Program("data", folder["a"], "--json")
        #expect(score.status == 0, "\(score.errors)")
    }

    @Test(arguments: [
        "data a --split 0.8,0.3 -o b", "data a --split 0.8,0.2", "data a -o b", "data a --group-by x",
        "data a --split 1 -o b", "data a --split 0.8,0.2 -o b --group-by (",
    ]) func impossibleDivisionsAreRefused(_ line: String) throws {
        #expect(try Program(arguments: line.split(separator: " ").map(String.init)).status == 64)
    }

    @Test func photosThatLookAlikeStayOnOneSide() throws {
        let folder = try Scratch()
        let data = try divided(folder)
        for seed in 0..<6 {
            let set = folder["set\(seed)"]
            #expect(try Program("data", data, "--split", "0.5,0.5", "--seed", "\(seed)", "-o", set).status == 0)
            let train = try PhotoListing(set + "/images/train").names.map(\.lastName)
            #expect(train.contains("1.png") == train.contains("same.png"))
            #expect(train.contains("2.png") == train.contains("alike.png"))
        }
    }
}
