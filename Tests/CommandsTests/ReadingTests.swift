import BEiTCheckpoints
import BEiTFiles
import BEiTHDF5
import BEiTImageIO
import BEiTPrediction
import Foundation
import Testing

/// `--range`, `--bands` and `--page`: what is wrong is said before anything is read.
@Suite struct ReadingUsageTests {
    @Test(
        arguments: [
            ("--range 5,5", "the range 5,5 is not a value that becomes black and a larger one"),
            ("--range 9,-9", "the range 9,-9 is not a value"), ("--range nan,1", "the range nan,1 is not"),
            ("--range 0,inf", "the range 0,inf is not"), ("--range 0,1e-320", "is not a value"),
            ("--range -1e308,1e308", "is not a value"),
            ("--range 4095", "4095 is none of auto, full and percentile"),
            ("--range 1,2,3", "1,2,3 is none of auto"), ("--range bright", "bright is none of auto"),
            ("--bands 0", "bands are counted from 1"), ("--bands 1,2", "bands 1,2 are not three numbers"),
            ("--bands 4,3,2,1", "bands 4,3,2,1 are not three numbers"), ("--bands -1", "bands"),
            ("--bands x", "or one for grey"), ("--bands 1,,2", "bands 1,0,2 are not"),
            ("--bands 70000", "bands 70000 are not"),
            ("--page 0", "0 is no page such as 2, no range such as 2-5, and not all"),
            ("--page two", "two is no page"), ("--page 99999999999999999999", "is no page"),
        ])
    func whatMakesNoSenseIsRefused(_ option: String, _ message: String) throws {
        let words = option.split(separator: " ", maxSplits: 1).map(String.init)
        for command in [["predict", "a.tif"], ["finetune", "--data", "a", "-o", "b"]] {
            let run = try Program(arguments: command + [words.joined(separator: "=")])
            #expect(run.status == 64 && run.errors.count == 1, "\(run.errors)")
            #expect(run.errors.first?.contains(message) == true, "\(run.errors)")
        }
    }

    @Test(arguments: [
        ("finetune --resume run --range full", "leave out --range"),
        ("pretrain --resume run --bands auto", "leave out --bands"),
        ("tokenizer train --resume run --page 2", "leave out --page"),
        ("export m.h5 -o n.h5 --range full", "--range is about the photos of --calibrate"),
        ("eval --miou --predictions a --masks b --bands 1", "--range, --bands and --page are about photos"),
    ])
    func whereTheyHaveNoMeaningTheyAreRefused(_ line: String, _ message: String) throws {
        let run = try Program(arguments: line.split(separator: " ").map(String.init))
        #expect(run.status == 64 && run.errors.first?.contains(message) == true, "\(run.errors)")
    }

    /// A negative number behind the option is its value.
    @Test func rangesMayBeNegative() throws {
        let run = try Program("predict", "/no/such.tif", "--range", "-100,100")
        #expect(run.status == 66, "\(run.errors)")
    }
}

/// What a model says of reading goes through `import`, and can be said there.
@Suite struct ImportedReadingTests {
    @Test func importKeepsAndChangesIt() throws {
        let folder = try Scratch()
        try SmallModel.save(to: folder["own.h5"], sharesBackground: true, range: .between(0, 4095))
        func imported(_ name: String, _ options: String...) throws -> Preprocessing {
            let run = try Program(arguments: ["import", folder["own.h5"], "-o", folder[name]] + options)
            #expect(run.status == 0, "\(run.errors)")
            return try Checkpoint.describe(folder[name]).preprocessing
        }
        #expect(try imported("same.h5") == Checkpoint.describe(folder["own.h5"]).preprocessing)
        let changed = try imported(
            "changed.h5", "--set", "preprocessing.range=full", "--set", "preprocessing.bands=3,2,1")
        #expect(changed.range == .full && changed.bands == [3, 2, 1] && changed.sharesBackground == true)
        let run = try Program(
            "import", folder["own.h5"], "-o", folder["no.h5"], "--set", "preprocessing.bands=1,2")
        #expect(run.status != 0 && run.errors.last?.contains("bands 1,2 are not three") == true, "\(run.errors)")
    }
}

#if TIFF
    /// Images of more than 8 bits, of other bands and of several pages, as commands read them.
    @Suite struct ReadingTests {
        private func manifest(_ folder: Scratch, _ out: String = "out") throws -> PredictionManifest {
            let data = try Data(contentsOf: URL(fileURLWithPath: folder["\(out)/predictions.json"]))
            return try JSONDecoder().decode(PredictionManifest.self, from: data)
        }

        /// The mask of a photo by some reading.
        private func mask(_ folder: Scratch, _ photo: String, _ options: String...) throws -> [UInt16] {
            try? FileManager.default.removeItem(atPath: folder["out"])
            let run = try Program(
                arguments: [
                    "predict", folder[photo], "-m", folder["model.h5"], "-o", folder["out"], "--format", "index",
                ]
                    + options)
            #expect(run.status == 0, "\(run.errors)")
            return try decodeMask(folder["out/" + photo.stem + ".png"]).values
        }

        /// A drone's five bands and a PNG of three of them by a range: the same picture.
        @Test func predictTakesBandsAndARange() throws {
            let folder = try Scratch()
            try SmallModel.save(to: folder["model.h5"])
            let picture = SmallModel.picture(60, 50, seed: 4), places = 0..<60 * 50
            let samples = places.flatMap { pixel -> [UInt16] in
                let rgb = picture.pixels[3 * pixel..<3 * pixel + 3].map { 100 + 10 * UInt16($0) }
                return [9, rgb[2], rgb[1], rgb[0], UInt16(pixel)]
            }
            try SampleTIFF(pages: [.init(width: 60, height: 50, bands: 5, samples: samples)])
                .write(to: folder["drone.tif"])
            try writePNG(picture, to: folder["rgb.png"])
            let wanted = try mask(folder, "rgb.png")
            #expect(Set(wanted).count > 1)
            #expect(try mask(folder, "drone.tif", "--bands", "4,3,2", "--range", "100,2650") == wanted)
            #expect(try manifest(folder).options == "--range 100,2650 --bands 4,3,2")
            #expect(try mask(folder, "drone.tif") != wanted)
            #expect(
                try mask(folder, "drone.tif", "--bands", "4,3,2", "--range", "100,2650", "--tile", "--slide")
                    == mask(folder, "rgb.png", "--slide"))
            // Results of another reading are not taken for these.
            let other = try Program(
                "predict", folder["drone.tif"], "-m", folder["model.h5"], "-o", folder["out"], "--bands", "1",
                "--resume")
            #expect(other.status == 64, "\(other.errors)")
            let absent = try Program(
                "predict", folder["drone.tif"], "-m", folder["model.h5"], "-o", folder["absent"], "--bands", "6")
            #expect(absent.status == 1)
            #expect(absent.errors.contains { $0.contains("it has no band 6 but 5 bands") }, "\(absent.errors)")
        }

        /// 12 bits of a microscope in files of 16; the squares of one brightness are a class.
        private func microscope(_ folder: Scratch, _ split: String, _ count: Int, page: Int = 1) throws {
            for index in 0..<count {
                let values = (0..<32 * 48).map { ($0 % 48 / 16 + $0 / 48 / 16 + index) % 2 == 0 }
                let photo = SampleTIFF.Page(width: 48, height: 32, samples: values.map { $0 ? 3000 : 1000 })
                let pages = (1..<page).map { _ in
                    SampleTIFF.Page(width: 8, height: 8, samples: .init(repeating: 9, count: 64))
                }
                try SampleTIFF(pages: pages + [photo]).write(to: folder["data/images/\(split)/\(index).tif"])
                try writePNG(
                    IndexMask(width: 48, height: 32, values: values.map { $0 ? 1 : 0 }),
                    to: folder["data/masks/\(split)/\(index).png"])
            }
            try AtomicFile.write("dark 0 0 0\nbright 255 0 0\n", to: folder["data/classes.txt"])
        }

        private let training = [
            "--set", "backbone.width=12", "--set", "backbone.depth=1", "--set", "backbone.heads=3", "--set",
            "decoder.channels=8,4", "--set", "decoder.norm_groups=2", "--size", "32x48", "--batch", "2", "--steps", "2",
        ]

        /// What a run is told of reading it records; it goes on with it, and its model reads so from then on.
        @Test func aTrainingRecordsWhatItIsTold() throws {
            let folder = try Scratch()
            try microscope(folder, "train", 3, page: 2)
            try microscope(folder, "val", 1, page: 2)
            let run = try Program(
                arguments: ["finetune", "--data", folder["data"], "-o", folder["run"]] + training
                    + ["--range", "0,4095", "--bands", "1", "--page", "2"])
            #expect(run.status == 0, "\(run.errors)")
            #expect(run.errors.contains { $0.contains("images are read with range 0,4095, bands 1, page 2") })
            let recorded = try Checkpoint.describe(folder["run/best.h5"]).preprocessing
            #expect(recorded.range == .between(0, 4095) && recorded.bands == [1])
            let config = try String(contentsOfFile: folder["run/config.json"], encoding: .utf8)
            #expect(config.contains("\"page\" : 2"), "\(config)")
            let inspected = try Program("inspect", folder["run/best.h5"])
            #expect(inspected.output.contains("range 0,4095, bands 1\n"), "\(inspected.output)")
            // Two steps and two more are four.
            for (name, steps) in [("whole", "4"), ("more", "2")] {
                let run = try Program(
                    arguments: ["finetune", "--data", folder["data"], "-o", folder[name], "-q"] + training.dropLast()
                        + [steps, "--range", "0,4095", "--bands", "1", "--page", "2", "--schedule", "constant"])
                #expect(run.status == 0, "\(run.errors)")
            }
            let resumed = try Program("finetune", "--resume", folder["more"], "--steps", "4", "-q")
            #expect(resumed.status == 0, "\(resumed.errors)")
            let weights = try ["whole", "more"].map { name in
                try Checkpoint.load(folder[name + "/last.h5"], for: .learning).model.module.parameters
                    .map(\.parameter.value.values)
            }
            #expect(weights[0] == weights[1])
            try theModelReadsSo(folder)
        }

        private func theModelReadsSo(_ folder: Scratch) throws {
            try SampleTIFF(pages: [.grey(60, 50, seed: 1)]).write(to: folder["a.tif"])
            try FileManager.default.copyItem(atPath: folder["run/best.h5"], toPath: folder["model.h5"])
            let (file, grey) = try (decodeImage(folder["a.tif"]), SampleTIFF.Page.grey(60, 50, seed: 1))
            try writePNG(
                RGBImage(
                    width: 60, height: 50,
                    pixels: grey.samples.flatMap { [UInt8](repeating: UInt8(Double($0) * 255 / 4095 + 0.5), count: 3) }),
                to: folder["seen.png"])
            try writePNG(file, to: folder["percentile.png"])
            // Of the two pictures the PNGs have 8 bits already.
            func confidence(_ photo: String, _ options: String...) throws -> [UInt16] {
                let run = try Program(
                    arguments: [
                        "predict", folder[photo], "-m", folder["model.h5"], "-o", folder["c"], "--format", "confidence",
                    ]
                        + options)
                #expect(run.status == 0, "\(run.errors)")
                return try decodeMask(folder["c/" + photo.stem + ".confidence.png"]).values
            }
            let seen = try confidence("seen.png", "--range", "full", "--bands", "auto")
            #expect(try confidence("a.tif") == seen)
            let stretched = try confidence("percentile.png", "--range", "full")
            #expect(stretched != seen)
            #expect(try confidence("a.tif", "--range", "auto") == stretched)
            // A start hands its reading on.
            let next = try Program(
                arguments: ["finetune", "--data", folder["data"], "-o", folder["next"], "--init", folder["model.h5"]]
                    + ["--batch", "2", "--steps", "1", "--page", "2", "--bands", "auto"])
            #expect(next.status == 0, "\(next.errors)")
            let preprocessing = try Checkpoint.describe(folder["next/last.h5"]).preprocessing
            #expect(preprocessing.range == .between(0, 4095) && preprocessing.bands == nil)
        }

        private struct Scores: Decodable {
            struct Comparison: Decodable, Equatable { let miou, other_miou: Double }
            let miou: Double, comparison: Comparison?
        }

        @Test func evalReadsAsTheModelDoes() throws {
            let folder = try Scratch()
            try microscope(folder, "val", 2, page: 2)
            for (name, range) in [("auto", nil), ("wide", ImageReading.Range.between(0, 65535))] {
                try SmallModel.save(to: folder[name + ".h5"], names: ["dark", "bright", "c", "d", "e"], range: range)
            }
            // What is as usual is not said.
            let said = try ["auto", "wide"].map { try HDF5Reader(folder[$0 + ".h5"]).attribute("preprocessing") ?? "" }
            #expect(!said[0].contains("range") && !said[0].contains("bands") && said[1].contains(#""range":"0,65535""#))
            func score(_ options: String...) throws -> String {
                let run = try Program(
                    arguments: ["eval", "--miou", "--json", "--data", folder["data"], "--page", "2"] + options)
                #expect(run.status == 0, "\(run.errors)")
                return run.output
            }
            let (auto, wide) = try (score("-m", folder["auto.h5"]), score("-m", folder["wide.h5"]))
            #expect(auto != wide)
            #expect(try score("-m", folder["auto.h5"], "--range", "0,65535") == wide)
            #expect(try score("-m", folder["wide.h5"], "--range", "auto") == auto)
            // Each of two models reads in its own way.
            let both = try score("-m", folder["auto.h5"], "--compare", folder["wide.h5"])
            let scores = try [both, auto, wide].map { try JSONDecoder().decode(Scores.self, from: Data($0.utf8)) }
            #expect(scores[0].comparison == .init(miou: scores[1].miou, other_miou: scores[2].miou))
            let first = try Program("eval", "--miou", "--data", folder["data"], "-m", folder["auto.h5"])
            #expect(first.status == 1, "\(first.errors)")  // the first page is of another size than the mask
            let none = try Program("eval", "--miou", "--data", folder["data"], "-m", folder["auto.h5"], "--page", "3")
            #expect(none.errors.contains { $0.contains("it has no page 3, only 2; ask for") }, "\(none.errors)")
        }

        /// A cache says how its photos were read, and a run from it reads them so.
        @Test func tokensAreOfOneReading() throws {
            let folder = try Scratch()
            for index in 0..<6 {
                try SampleTIFF(pages: [.grey(40, 40, seed: UInt64(index))]).write(to: folder["photos/\(index).tif"])
            }
            let trained = try Program(
                arguments: [
                    "tokenizer", "train", "--data", folder["photos"], "-o", folder["t"], "--preset", "tiny", "-q",
                ]
                    + ["--set", "tokenizer.hidden=4", "--set", "tokenizer.vocabulary=16", "--set"]
                    + [
                        "tokenizer.code_width=4", "--set", "tokenizer.blocks=1", "--size", "16", "--batch", "2",
                        "--steps",
                    ]
                    + ["1", "--range", "0,4095"])
            #expect(trained.status == 0, "\(trained.errors)")
            let tokenizer = folder["t/last.h5"]
            #expect(try Checkpoint.describe(tokenizer).preprocessing.range == .between(0, 4095))
            func encode(_ name: String, _ options: String...) throws -> TokenCache.Reader {
                let run = try Program(
                    arguments: ["tokenizer", "encode", "-m", tokenizer, folder["photos"], "-o", folder[name], "-q"]
                        + options)
                #expect(run.status == 0, "\(run.errors)")
                return try TokenCache.Reader(folder[name])
            }
            let own = try encode("own.h5"), full = try encode("full.h5", "--range", "full")
            #expect(own.description.reading.range == .between(0, 4095) && full.description.reading.range == .full)
            #expect(try own.tokens(0..<6) != full.tokens(0..<6))
            #expect(try Program("inspect", folder["own.h5"]).output.contains("16×16 pixels (range 0,4095)"))
            let pretrain =
                ["pretrain", "--data", folder["photos"], "--set", "backbone.width=12", "--set", "backbone.depth=1"]
                + ["--set", "backbone.heads=3", "--size", "32", "--batch", "2", "--steps", "1", "-q"]
            let refused = try Program(
                arguments: pretrain + ["--tokens", folder["own.h5"], "-o", folder["no"], "--range", "full"])
            #expect(
                refused.status == 64
                    && refused.errors.last?.contains("read with range 0,4095: leave out --range") == true,
                "\(refused.errors)")
            for (name, source) in [
                ("cached", ["--tokens", folder["full.h5"]]), ("direct", ["--tokenizer", tokenizer]),
            ] {
                let run = try Program(
                    arguments: pretrain + source + ["-o", folder[name]]
                        + (name == "direct" ? ["--token-size", "16"] : []))
                #expect(run.status == 0, "\(run.errors)")
            }
            #expect(try Checkpoint.describe(folder["cached/last.h5"]).preprocessing.range == .full)
            #expect(try Checkpoint.describe(folder["direct/last.h5"]).preprocessing.range == .between(0, 4095))
            let elbo = try ["--range=full", "--range=0,4095"].map { option in
                let run = try Program(
                    "elbo", folder["photos"], "--tokenizer", tokenizer, "-m", folder["direct/last.h5"], "--json", option
                )
                #expect(run.status == 0, "\(run.errors)")
                return run.output
            }
            #expect(elbo[0] != elbo[1])
            let same = try Program(
                "elbo", folder["photos"], "--tokenizer", tokenizer, "-m", folder["direct/last.h5"], "--json")
            #expect(same.output == elbo[1])
        }

        /// Class folders and a classifier; calibration.
        @Test func classifiersAndCalibration() throws {
            let folder = try Scratch()
            for (index, name) in ["train/a", "train/b", "val/a", "val/b"].enumerated() {
                for number in 0..<2 {
                    try SampleTIFF(pages: [.grey(40, 40, seed: UInt64(2 * index + number))])
                        .write(to: folder["set/\(name)/\(number).tif"])
                }
            }
            let run = try Program(
                arguments: ["finetune", "--task", "classification", "--data", folder["set"], "-o", folder["run"], "-q"]
                    + ["--set", "backbone.width=12", "--set", "backbone.depth=1", "--set", "backbone.heads=3"]
                    + ["--size", "32", "--batch", "2", "--steps", "1", "--range", "0,4095"])
            #expect(run.status == 0, "\(run.errors)")
            let model = folder["run/last.h5"]
            #expect(try Checkpoint.describe(model).preprocessing.range == .between(0, 4095))
            func output(_ words: [String], _ options: String...) throws -> String {
                let run = try Program(arguments: words + ["-m", model, "--json"] + options)
                #expect(run.status == 0, "\(run.errors)")
                return run.output
            }
            let classify = ["classify", folder["set/val"]]
            let own = try output(classify)
            #expect(try output(classify, "--range", "0,4095") == own)
            #expect(try output(classify, "--range", "0,60000") != own)
            let top = ["eval", "--top1", "--data", folder["set"]]
            #expect(try output(top, "--range", "0,4095") == output(top))
            let calibrated = try [["--range", "0,4095"], [], ["--bands", "2"]].enumerated().map { index, options in
                try Program(
                    arguments: ["export", model, "-o", folder["\(index).h5"], "--as", "int8", "--calibrate"]
                        + [folder["set/val"]] + options)
            }
            #expect(calibrated.map(\.status) == [0, 0, 65], "\(calibrated.map(\.errors))")
            #expect(calibrated[2].errors.contains { $0.contains("it has no band 2 but 1 band") })
        }
    }
#endif
