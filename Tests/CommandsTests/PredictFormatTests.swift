import BEiTFiles
import BEiTImageIO
import BEiTPrediction
import Foundation
import Testing

/// `predict`: formats for a run as a whole, and the choice of classes.
@Suite struct PredictFormatTests {
    private func workshop() throws -> Scratch {
        let folder = try Scratch()
        try SmallModel.save(to: folder["model.h5"])
        for index in 0..<4 {
            try SmallModel.photo(40 + index, 30, seed: UInt64(index), to: folder["in/b/p\(index).png"])
        }
        return folder
    }

    private func predict(_ folder: Scratch, _ more: String...) throws -> Program {
        try Program(arguments: ["predict", folder["in"], "-m", folder["model.h5"], "-o", folder["out"]] + more)
    }

    private func table(_ path: String) throws -> [[String]] {
        try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
            $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
    }

    private struct COCO: Decodable {
        struct Image: Decodable { var id: Int, file_name: String, width: Int, height: Int }
        struct Category: Decodable { var id: Int, name: String }
        struct Annotation: Decodable { var id, image_id, category_id, area, iscrowd: Int, bbox: [Int], score: Double }
        var images: [Image], categories: [Category], annotations: [Annotation]

        init(_ path: String) throws {
            self = try JSONDecoder().decode(Self.self, from: try Data(contentsOf: URL(fileURLWithPath: path)))
        }
    }

    @Test func classesAreMergedChosenAndMarked() throws {
        let folder = try workshop()
        #expect(try predict(folder, "--format", "index").status == 0)
        let plain = try decodeMask(folder["out/b/p1.png"]).values
        let kept = try #require(plain.min())
        #expect(Set(plain).count > 1)
        let run = try predict(
            folder, "--merge", "c\(kept)=kept", "--only", "kept", "--void", "9", "--format", "index,masks")
        #expect(run.status == 0, "\(run.errors)")
        let chosen = try decodeMask(folder["out/b/p1.png"])
        #expect(chosen.values == plain.map { $0 == kept ? kept : 9 } && chosen.palette?.count == 256)
        #expect(try FileSystem.names(in: folder["out/b/p1.masks"]) == ["\(kept)-kept.png"])
        let own = try decodeMask(folder["out/b/p1.masks/\(kept)-kept.png"]).values
        #expect(own == plain.map { $0 == kept ? 255 : 0 })
        let manifest = try String(contentsOfFile: folder["out/predictions.json"], encoding: .utf8)
        #expect(manifest.contains("--merge c\(kept)=kept --only kept --void 9"))
        #expect(try predict(folder, "--merge", "c0,c1,c2,c3,c4=all", "--format", "index").status == 0)
        #expect(try decodeMask(folder["out/b/p1.png"]).values.allSatisfy { $0 == 0 })
    }

    /// Words after `--format` that are formats, before and after other options and paths.
    @Test func formatsMayBeListedWithSpaces() throws {
        let folder = try workshop()
        let run = try Program(
            arguments: ["predict", "--format", "index", "polygons", folder["in"], "-m", folder["model.h5"], "-o"]
                + [folder["out"], "--format=areas", "rle", "--min-area", "3"])
        #expect(run.status == 0, "\(run.errors)")
        let names = try FileSystem.names(in: folder["out/b"])
        #expect(
            Set(names).isSuperset(of: ["p1.png", "p1.geojson", "p1.rle.json"]) && !names.contains("p1.overlay.png"))
        #expect(FileSystem.isFile(folder["out/areas.csv"]))
    }

    @Test func smallRegionsHaveNoClass() throws {
        let folder = try workshop()
        #expect(try predict(folder, "--min-area", "30", "--format", "index", "areas").status == 0)
        let rows = try table(folder["out/areas.csv"]).dropFirst()
        #expect(!rows.isEmpty && rows.allSatisfy { Int($0[3]) ?? 0 >= 30 * (Int($0[5]) ?? 1) })
        let masks = try (0..<4).map { try decodeMask(folder["out/b/p\($0).png"]).values }
        #expect(masks.joined().contains(255))
        #expect(
            masks[0].count { $0 != 255 }
                == rows.filter { $0[0].hasSuffix("p0.png") }.compactMap { Int($0[3]) }.reduce(0, +))
    }

    /// A world file beside the photo, turned by its Exif or not, is that of the mask.
    @Test func resultsLieOnTheMap() throws {
        let folder = try workshop()
        try "0.5\n0.0\n0.0\n-0.25\n1000.25\n1999.875\n".write(
            toFile: folder["in/b/p1.pgw"], atomically: true, encoding: .utf8)
        #expect(try predict(folder, "--format", "index", "polygons", "areas", "confidence").status == 0)
        for name in ["p1", "p1.confidence"] {
            let found = try #require(try GeoReference(of: folder["out/b/\(name).png"]))
            #expect(try found == GeoReference(of: folder["in/b/p1.png"]))
        }
        #expect(!FileSystem.exists(folder["out/b/p2.pgw"]) && !FileSystem.exists(folder["out/b/p1.png.aux.xml"]))
        let polygons = try String(contentsOfFile: folder["out/b/p1.geojson"], encoding: .utf8)
        #expect(polygons.contains("[1000.0,2000.0]") && !polygons.contains("crs"))
        let manifest = try String(contentsOfFile: folder["out/predictions.json"], encoding: .utf8)
        #expect(manifest.contains("b/p1.pgw") && manifest.contains("b/p1.confidence.pgw"))
        // In pixels when asked for; and what lay on a map once does so no longer.
        try FileManager.default.removeItem(atPath: folder["in/b/p1.pgw"])
        #expect(try predict(folder, "--format", "index", "polygons", "--pixel-coordinates").status == 0)
        #expect(!FileSystem.exists(folder["out/b/p1.pgw"]))
        #expect(try String(contentsOfFile: folder["out/b/p1.geojson"], encoding: .utf8).contains("[0,0]"))
    }

    @Test func masksOfClassesThatAreGoneGo() throws {
        let folder = try workshop()
        #expect(try predict(folder, "--format", "masks").status == 0)
        let before = try FileSystem.names(in: folder["out/b/p2.masks"])
        #expect(try predict(folder, "--format", "masks", "--min-confidence", "1", "--only", "c1").status == 0)
        #expect(try FileSystem.names(in: folder["out/b/p2.masks"]).isEmpty && !before.isEmpty)
        #expect(
            try predict(folder, "--format", "masks", "--min-confidence", "1", "--only", "c1", "--resume")
                .errors.last?.contains("4 were complete already") == true)
    }

    @Test(
        arguments: [
            ["--only", "nothing"], ["--merge", "c0"], ["--merge", "c0,c1="], ["--only", "c0,,c1"], ["--void", "3"],
            ["--min-confidence", "2"], ["--merge", "c0,c1=x", "--merge", "c1=y"], ["--format", "index,"],
            ["--pixel-size", "0"], ["--tolerance", "-1"], ["--contours", "--format", "index"],
            ["--min-area", "0"], ["--pixel-coordinates"],
        ])
    func whatMakesNoSenseIsRefused(_ options: [String]) throws {
        let folder = try workshop()
        let run = try Program(
            arguments: ["predict", folder["in"], "-m", folder["model.h5"], "-o", folder["out"]] + options)
        #expect(run.status == 64 && run.errors.count == 1, "\(run.errors)")
        #expect(!FileSystem.exists(folder["out"]))
    }

    @Test func areasAreThoseOfTheMasks() throws {
        let folder = try workshop()
        #expect(try predict(folder, "--format", "areas,index", "--pixel-size", "0.5").status == 0)
        let rows = try table(folder["out/areas.csv"])
        #expect(rows[0].prefix(7) == ["path", "index", "class", "pixels", "share", "regions", "largest"])
        for index in 0..<4 {
            let values = try decodeMask(folder["out/b/p\(index).png"]).values
            let own = rows.filter { $0[0].hasSuffix("p\(index).png") }
            #expect(own.compactMap { Int($0[1]) } == Set(values).sorted().map(Int.init))
            for row in own {
                let pixels = values.count { String($0) == row[1] }
                #expect(row[2] == "c\(row[1])" && row[3] == String(pixels))
                #expect(Double(row[4]) == Double(pixels) / Double(values.count))
                #expect(Double(row[7]) == Double(pixels) / 4)
            }
        }
    }

    private struct GeoJSON: Decodable {
        struct Feature: Decodable {
            struct Properties: Decodable { var index: Int, `class`: String, pixels: Int, square_metres: Double? }
            struct Geometry: Decodable { var type: String, coordinates: [[[Double]]] }
            var type: String, properties: Properties, geometry: Geometry
        }
        var type: String, features: [Feature]
    }

    @Test func polygonsAreTheRegionsOfTheMasks() throws {
        let folder = try workshop()
        let run = try predict(folder, "--format", "polygons,areas,index", "--pixel-size", "2")
        #expect(run.status == 0, "\(run.errors)")
        let data = try Data(contentsOf: URL(fileURLWithPath: folder["out/b/p3.geojson"]))
        let found = try JSONDecoder().decode(GeoJSON.self, from: data)
        #expect(found.type == "FeatureCollection" && found.features.count > 1)
        let rows = try table(folder["out/areas.csv"]).filter { $0[0].hasSuffix("p3.png") }
        #expect(rows.compactMap { Int($0[5]) }.reduce(0, +) == found.features.count)
        var pixels: [String: Int] = [:]
        for feature in found.features {
            let area = feature.geometry.coordinates.reduce(0.0) { sum, ring in
                #expect(ring.first == ring.last && ring.count > 4)
                return zip(ring, ring.dropFirst()).reduce(sum) { $0 + ($1.0[0] * $1.1[1] - $1.1[0] * $1.0[1]) / 2 }
            }
            #expect(area == Double(feature.properties.pixels) && feature.properties.square_metres == 4 * area)
            #expect(feature.type == "Feature" && feature.geometry.type == "Polygon")
            pixels[feature.properties.class, default: 0] += feature.properties.pixels
        }
        #expect(rows.allSatisfy { pixels[$0[2]].map(String.init) == $0[3] } && rows.count == pixels.count)
        #expect(try predict(folder, "--format", "polygons", "--tolerance", "2").status == 0)
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder["out/b/p3.geojson"])).count < data.count)
    }

    @Test func theLeastSureComeFirst() throws {
        let folder = try workshop()
        #expect(try predict(folder, "--flip").status == 0)
        let rows = try table(folder["out/review.csv"])
        #expect(
            rows[0] == ["path", "mean_confidence", "entropy", "doubtful", "disagreement", "window_disagreement"])
        let means = rows.dropFirst().compactMap { Double($0[1]) }
        #expect(means.count == 4 && means == means.sorted() && Set(means).count > 1)
        let data = try Data(contentsOf: URL(fileURLWithPath: folder["out/predictions.json"]))
        let manifest = try JSONDecoder().decode(PredictionManifest.self, from: data)
        #expect(manifest.review == rows.dropFirst().map { $0[0] })
        for row in rows.dropFirst() {
            #expect(row[2...4].allSatisfy { 0...1 ~= Double($0) ?? -1 })
            #expect(row[5].isEmpty || 0...1 ~= Double(row[5]) ?? -1)
            let record = try #require(manifest.images.first { $0.path == row[0] })
            #expect(record.meanConfidence == Double(row[1]) && record.entropy == Double(row[2]))
        }
        #expect(try predict(folder).status == 0)
        #expect(try table(folder["out/review.csv"])[1][4] == "")
    }

    /// A run that is resumed, in parts or with more images, has them all in its files.
    @Test func theRunsFilesAreThoseOfOneRun() throws {
        let folder = try workshop()
        #expect(try predict(folder, "--format", "coco,areas").status == 0)
        let whole = try ["coco.json", "areas.csv"].map {
            try String(contentsOfFile: folder["out/" + $0], encoding: .utf8)
        }
        let coco = try COCO(folder["out/coco.json"])
        #expect(coco.images.map(\.id) == [1, 2, 3, 4] && coco.images[2].file_name == "b/p2.png")
        #expect(coco.categories.map(\.id) == Array(0..<5) && coco.categories[4].name == "c4")
        #expect(Set(coco.annotations.map(\.id)).count == coco.annotations.count)
        for image in coco.images {
            let own = coco.annotations.filter { $0.image_id == image.id }
            #expect(own.map(\.area).reduce(0, +) == image.width * image.height)
            #expect(own.allSatisfy { $0.iscrowd == 0 && $0.score >= 0.2 && $0.score <= 1 })
        }
        // One photo is missing, then comes again.
        try FileManager.default.removeItem(atPath: folder["out"])
        try FileManager.default.moveItem(atPath: folder["in/b/p1.png"], toPath: folder["p1.png"])
        #expect(try predict(folder, "--format", "coco,areas").status == 0)
        #expect(try COCO(folder["out/coco.json"]).images.count == 3)
        try FileManager.default.moveItem(atPath: folder["p1.png"], toPath: folder["in/b/p1.png"])
        let resumed = try predict(folder, "--format", "coco,areas", "--resume")
        #expect(resumed.errors.last?.contains("3 were complete already") == true, "\(resumed.errors)")
        let again = try ["coco.json", "areas.csv"].map {
            try String(contentsOfFile: folder["out/" + $0], encoding: .utf8)
        }
        #expect(again == whole)
        // A damaged result is named.
        try "[".write(toFile: folder["out/b/p2.rle.json"], atomically: true, encoding: .utf8)
        let damaged = try predict(folder, "--format", "coco,areas", "--resume")
        #expect(damaged.status == 65 && damaged.errors.last?.contains("p2.rle.json") == true, "\(damaged.errors)")
    }

    @Test func aFormatThatIsNewIsMadeOnResuming() throws {
        let folder = try workshop()
        #expect(try predict(folder, "--format", "index").status == 0)
        for formats in ["areas", "masks", "coco"] {
            let run = try predict(folder, "--format", "index,\(formats)", "--resume")
            #expect(run.errors.last?.contains("4 images segmented") == true, "\(run.errors)")
        }
    }

    @Test func partsHaveTheirOwnFiles() throws {
        let folder = try workshop()
        #expect(try predict(folder, "--format", "coco,areas").status == 0)
        let whole = try COCO(folder["out/coco.json"])
        for part in ["1/2", "2/2"] {
            #expect(try predict(folder, "--format", "coco,areas", "--shard", part).status == 0)
        }
        let parts = try (1...2).map { try COCO(folder["out/coco-\($0)-of-2.json"]) }
        #expect(parts[0].images.map(\.id) == [1, 3] && parts[1].images.map(\.id) == [2, 4])
        #expect(
            parts.flatMap(\.annotations).map(\.id).sorted() == whole.annotations.map(\.id)
                && whole.annotations.count > 8)
        // The whole run's were removed with its manifest, as the parts replace its results.
        #expect(!FileSystem.exists(folder["out/coco.json"]) && !FileSystem.exists(folder["out/areas.csv"]))
        #expect(try table(folder["out/areas-2-of-2.csv"]).dropFirst().allSatisfy { !$0[0].hasSuffix("p0.png") })
    }

    /// Byte for byte what one process writes.
    @Test func partsAreJoined() throws {
        let folder = try workshop()
        try "no picture".write(toFile: folder["in/b/p4.png"], atomically: true, encoding: .utf8)
        let names = ["coco.json", "areas.csv", "review.csv"]
        func files() throws -> [Data] {
            try names.map { try Data(contentsOf: URL(fileURLWithPath: folder["out/\($0)"])) }
        }
        func manifest() throws -> String {
            try String(contentsOfFile: folder["out/predictions.json"], encoding: .utf8)
                .replacing(/"seconds" : [-+.e0-9]+/, with: "")
        }
        #expect(try predict(folder, "--format", "coco,areas").status == 1)
        let whole = (try files(), try manifest())
        for part in 1...3 {
            let missing = try Program("merge", folder["out"])
            let wanted = part == 1 ? "no parts of a divided run" : "part \(part) of 3 is missing"
            #expect(missing.status == 64 && missing.errors.first?.contains(wanted) == true, "\(missing.errors)")
            _ = try predict(folder, "--format", "coco,areas", "--shard", "\(part)/3")
        }
        let run = try Program("merge", folder["out"])
        #expect(run.status == 1 && run.errors == ["beit-seg: 5 images in one manifest, 1 failed"], "\(run.errors)")
        #expect(try files() == whole.0)
        #expect(try manifest() == whole.1)
        #expect(try FileSystem.names(in: folder["out"]).filter { $0.contains("-of-") }.isEmpty)
        let again = try predict(folder, "--format", "coco,areas", "--resume")
        #expect(again.errors.last?.contains("4 were complete already") == true, "\(again.errors)")
    }

    @Test func partsOfDifferentRunsAreNotJoined() throws {
        let folder = try workshop()
        #expect(try predict(folder, "--shard", "1/2").status == 0)
        #expect(try predict(folder, "--shard", "2/2", "--flip").status == 0)
        let run = try Program("merge", folder["out"])
        #expect(run.status == 64 && run.errors.first?.contains("different models or options") == true, "\(run.errors)")
        #expect(FileSystem.isFile(folder["out/predictions-1-of-2.json"]))
        #expect(try Program("merge", folder["nowhere"]).status == 66)
    }

    @Test func contoursAreAnotherOverlay() throws {
        let folder = try workshop()
        #expect(try predict(folder).status == 0)
        let filled = try Data(contentsOf: URL(fileURLWithPath: folder["out/b/p0.overlay.png"]))
        #expect(try predict(folder, "--contours").status == 0)
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder["out/b/p0.overlay.png"])) != filled)
        let other = try predict(folder, "--resume")
        #expect(other.status == 64 && other.errors.first?.contains("--contours") == true, "\(other.errors)")
    }
}
