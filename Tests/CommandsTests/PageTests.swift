import BEiTCheckpoints
import BEiTFiles
import BEiTImageIO
import BEiTPrediction
import Foundation
import Testing

/// `predict --page` with several pages of a file.
@Suite struct PageTests {
    @Test(arguments: [
        ("3-2", "3-2 is no page such as 2, no range such as 2-5"), ("2-", "2- is no page"), ("0-3", "0-3 is no"),
    ])
    func whatIsNoRangeIsRefused(_ pages: String, _ message: String) throws {
        let run = try Program("predict", "a.tif", "--page", pages)
        #expect(run.status == 64 && run.errors.first?.contains(message) == true, "\(run.errors)")
    }

    @Test(arguments: [
        "eval --miou", "classify a -m b", "finetune --data a -o b", "pretrain --objective pixels --data a -o b",
        "tokenizer train --data a -o b", "tokenizer encode a -m b -o c", "data a", "labels a -o b",
        "elbo a -m b --tokenizer c", "export a -o b --as int8 --calibrate c",
    ])
    func otherCommandsTakeOne(_ line: String) throws {
        let folder = try Scratch()
        for name in ["a", "b", "c"] { try SmallModel.photo(8, 8, seed: 1, to: folder["in/\(name)/1.png"]) }
        let words = line.split(separator: " ").map { $0.count == 1 ? folder["in/\($0)"] : String($0) }
        for pages in ["all", "1-2"] {
            let run = try Program(arguments: words + ["--page", pages])
            #expect(
                run.status == 64 && run.errors.last?.contains("--page takes one page here") == true, "\(run.errors)")
        }
    }

    #if TIFF
        /// A stack of three pages of different sizes, a photo of one, and a file that is none.
        private func workshop() throws -> Scratch {
            let folder = try Scratch()
            try SmallModel.save(to: folder["model.h5"], range: .between(0, 4095))
            let pages = (0..<3).map { SampleTIFF.Page.grey(50 + $0, 40, seed: UInt64($0)) }
            try SampleTIFF(pages: pages).write(to: folder["in/stack.tif"])
            for (index, page) in pages.enumerated() {
                try SampleTIFF(pages: [page]).write(to: folder["single/\(index + 1).tif"])
            }
            try SmallModel.photo(60, 50, seed: 9, to: folder["in/photo.png"])
            try AtomicFile.write("no picture", to: folder["in/broken.tif"])
            return folder
        }

        private func predict(_ folder: Scratch, _ options: String..., from: String = "in", to: String = "out") throws
            -> Program
        {
            try Program(
                arguments: ["predict", folder[from], "-m", folder["model.h5"], "-o", folder[to], "--format", "index"]
                    + options)
        }

        private func manifest(_ folder: Scratch, _ name: String = "predictions.json") throws -> PredictionManifest {
            try JSONDecoder().decode(
                PredictionManifest.self, from: try Data(contentsOf: URL(fileURLWithPath: folder["out/" + name])))
        }

        @Test func eachPageHasResultsOfItsOwn() throws {
            let folder = try workshop()
            let run = try predict(folder, "--page", "all", "--format", "coco,areas")
            #expect(run.status == 1 && run.errors.count { $0.contains("broken.tif: ") } == 1, "\(run.errors)")
            #expect(try predict(folder, from: "single", to: "alone").status == 0)
            for page in 1...3 {
                let (mask, alone) = try (
                    decodeMask(folder["out/stack.page\(page).png"]), decodeMask(folder["alone/\(page).png"])
                )
                #expect(mask.values == alone.values && mask.width == 49 + page)
            }
            #expect(FileSystem.isFile(folder["out/photo.png"]))
            let records = try manifest(folder).images
            #expect(
                records.map { "\($0.path.lastName) \($0.page ?? 0) \($0.status)" } == [
                    "broken.tif 0 failed", "photo.png 1 done", "stack.tif 1 done", "stack.tif 2 done",
                    "stack.tif 3 done",
                ])
            let review = try #require(try manifest(folder).review)
            #expect(
                Set(review) == Set(["photo.png#page=1"] + (1...3).map { "stack.tif#page=\($0)" }).mapped(to: folder))
            let table = try String(contentsOfFile: folder["out/review.csv"], encoding: .utf8).split(separator: "\n")
            #expect(table[0].hasPrefix("path,page,mean_confidence,") && table.count == 5)
            #expect(table.contains { $0.hasPrefix(folder["in/stack.tif"] + ",3,") })
            let areas = try String(contentsOfFile: folder["out/areas.csv"], encoding: .utf8).split(separator: "\n")
            #expect(areas[0].hasPrefix("path,page,index,") && areas.contains { $0.contains("stack.tif,2,") })
            struct COCO: Decodable {
                struct Image: Decodable {
                    let id: Int, file_name: String, page: Int?
                }
                let images: [Image]
            }
            let coco = try JSONDecoder().decode(
                COCO.self, from: Data(contentsOf: URL(fileURLWithPath: folder["out/coco.json"])))
            #expect(
                coco.images.map { "\($0.id) \($0.file_name) \($0.page ?? 0)" } == [
                    "2 photo.png 1", "3 stack.tif 1", "4 stack.tif 2", "5 stack.tif 3",
                ])
        }

        @Test func pagesAreResumedAndDivided() throws {
            let folder = try workshop()
            #expect(try predict(folder, "--page", "2-3", from: "in/stack.tif").status == 0)
            #expect(try manifest(folder).images.map(\.page) == [2, 3])
            try FileManager.default.removeItem(atPath: folder["out/stack.page3.png"])
            let more = try predict(folder, "--page", "all", "--resume", from: "in/stack.tif")
            #expect(more.errors.last?.contains("2 images segmented") == true, "\(more.errors)")
            #expect(more.errors.last?.contains("1 were complete already") == true, "\(more.errors)")
            #expect(try manifest(folder).images.map(\.page) == [1, 2, 3])
            // What this run was not asked for stays.
            let again = try predict(folder, "--page", "1-2", "--resume", from: "in/stack.tif")
            #expect(again.errors.last?.contains("2 were complete already") == true, "\(again.errors)")
            #expect(try manifest(folder).images.map(\.page) == [1, 2, 3])
            // One page has the file's name, and its results are those of that page alone.
            #expect(try predict(folder, "--page", "2", from: "in/stack.tif", to: "one").status == 0)
            #expect(try decodeMask(folder["one/stack.png"]).values == decodeMask(folder["out/stack.page2.png"]).values)
            let other = try predict(folder, "--page", "3", "--resume", from: "in/stack.tif", to: "one")
            #expect(other.status == 64, "\(other.errors)")
            try FileManager.default.removeItem(atPath: folder["out"])
            for shard in ["1/2", "2/2"] {
                #expect(try predict(folder, "--page", "all", "--shard", shard, from: "in/stack.tif").status == 0)
            }
            let shards = try ["1", "2"].map { try manifest(folder, "predictions-\($0)-of-2.json").images.map(\.page) }
            #expect(shards == [[1, 3], [2]])
            let merged = try Program("merge", folder["out"])
            #expect(merged.status == 0, "\(merged.errors)")
            #expect(try manifest(folder).images.map(\.page) == [1, 2, 3])
        }

        @Test func aPageThatIsNotThereIsNamed() throws {
            let folder = try workshop()
            let run = try predict(folder, "--page", "2-9", from: "in/stack.tif")
            #expect(run.status == 1)
            #expect(
                run.errors.contains { $0.contains("stack.tif: it has no page 4, only 3; ask for") }, "\(run.errors)")
            #expect(
                try manifest(folder).images.map { "\($0.page ?? 0) \($0.status)" } == ["2 done", "3 done", "4 failed"])
            let photo = try predict(folder, "--page", "7", from: "in/photo.png")
            #expect(photo.status == 1)
            #expect(
                photo.errors.contains {
                    $0.hasSuffix("photo.png: it has no page 7, only 1; ask for pages that it has, or leave it out")
                })
            // A stack that is cut off in its last page: what is wrong with one page is said of it, and the others are done.
            var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder["in/stack.tif"])))
            let before = bytes.count - 2 - 10 * 12 - 4  // the last directory
            bytes.replaceSubrange(before + 2 + 5 * 12 + 8..<before + 2 + 5 * 12 + 12, with: [255, 255, 255, 0])
            try AtomicFile.write(bytes, to: folder["in/stack.tif"])
            let damaged = try predict(folder, "--page", "all", from: "in/stack.tif")
            #expect(damaged.status == 1 && damaged.errors.contains { $0.hasSuffix("(page 3)") }, "\(damaged.errors)")
            #expect(try manifest(folder).images.map(\.status) == [.done, .done, .failed])
            // A directory that leads nowhere: no page can be counted.
            bytes.removeLast(60)
            try AtomicFile.write(bytes, to: folder["in/stack.tif"])
            let cut = try predict(folder, "--page", "all")
            #expect(
                cut.status == 1 && cut.errors.contains { $0.contains("stack.tif: cannot decode: ") }, "\(cut.errors)")
            #expect(try manifest(folder).images.map(\.status) == [.failed, .done, .failed])
        }

        /// Read row by row, and with the photo below the mask.
        @Test func tilesAndOverlays() throws {
            let folder = try workshop()
            let (whole, tiled) = (["--page", "all", "--format", "index,overlay"], ["--tile"])
            for (out, options) in [("out", whole), ("tiled", whole + tiled)] {
                let run = try Program(
                    arguments: ["predict", folder["in/stack.tif"], "-m", folder["model.h5"], "-o", folder[out]]
                        + options)
                #expect(run.status == 0, "\(run.errors)")
            }
            for name in ["stack.page2.overlay.png", "stack.page3.png"] {
                #expect(try FileSystem.read(folder["out/" + name]) == FileSystem.read(folder["tiled/" + name]))
            }
            #expect(try decodeImage(folder["out/stack.page3.overlay.png"]).width == 52)
        }
    #endif
}

extension Set<String> {
    fileprivate func mapped(to folder: Scratch) -> Set<String> { Set(map { folder["in/" + $0] }) }
}
