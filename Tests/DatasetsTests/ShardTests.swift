import BEiTFiles
import BEiTImageIO
import BEiTTensorCore
import Foundation
import Testing

@testable import BEiTDatasets

/// Data sets in tar shards: what a path stands for, the sets that come of it, and packing.
@Suite struct ShardTests {
    private func shard(_ set: GeneratedSet, _ path: String, _ members: [(name: String, bytes: [UInt8])]) throws {
        let writer = try TarWriter(set.path + "/" + path)
        for member in members { try writer.add(member.name, member.bytes) }
        try writer.finish()
    }

    private func photo(_ number: Int, width: Int = 6) throws -> [UInt8] {
        try encodePNG(
            RGBImage(
                width: width, height: 5, pixels: (0..<width * 15).map { UInt8(truncatingIfNeeded: $0 * 3 + number) }))
    }

    private func mask(_ value: UInt16, width: Int = 6) throws -> [UInt8] {
        let values = (0..<width * 5).map { $0 % 2 == 0 ? value : 0 }
        return try encodePNG(IndexMask(width: width, height: 5, values: values))
    }

    private func pack(_ set: GeneratedSet, _ name: String, size: Int = 4, seed: UInt64? = nil, to: String) throws
        -> [String]
    {
        var limit = ShardSize()
        limit.samples = size
        let source = try ShardSource(DatasetOptions([set.path + "/" + name]))
        let writer = try ShardWriter(
            source, to: set.path + "/" + to, size: limit, seed: seed, sources: [set.path + "/" + name])
        _ = try writer.run(threads: 2, progress: { _ in }) { Issue.record("\($0): \($1)") }
        return try FileSystem.names(in: set.path + "/" + to)
    }

    @Test func pathsStandForShards() throws {
        let set = try GeneratedSet()
        for name in ["train-008.tar", "train-009.tar", "train-010.tar", "val-000.tar"] {
            try shard(set, "s/" + name, [])
        }
        try set.write("", to: "s/notes.txt")
        func names(_ pattern: String) throws -> [String]? {
            try Shards(set.path + "/" + pattern)?.paths.map(\.lastName)
        }
        #expect(try names("s") == ["train-008.tar", "train-009.tar", "train-010.tar", "val-000.tar"])
        #expect(try names("s/train-{008..010}.tar") == ["train-008.tar", "train-009.tar", "train-010.tar"])
        #expect(try names("s/{val,train}-*0.tar") == ["val-000.tar", "train-010.tar"])
        #expect(try names("s/train-0?[89].tar") == ["train-008.tar", "train-009.tar"])
        #expect(try names("s/val-000.tar") == ["val-000.tar"])
        #expect(try names("s/notes.txt") == nil && names("nowhere") == nil)
        for (pattern, text) in [
            ("s/train-{008..011}.tar", "train-011.tar: there is no such file"), ("s/x*.tar", "no file has such a name"),
            ("s/*", "no .tar file"), ("s/{0..99999999}.tar", "no file has such a name"),
            ("s/{0..999999}{0..9}.tar", "more than 1000000 names"),
        ] {
            let error = #expect(throws: FileError.self) { try names(pattern) }
            #expect(error?.description.contains(text) == true, "\(error?.description ?? "")")
        }
        #expect(Shards.split(of: "x/val/0.tar") == .val && Shards.split(of: "a/imagenet-train-001.tar") == .train)
        #expect(Shards.split(of: "valley-trainer.tar") == nil && Shards.split(of: "s/validation_7.tar") == .val)
    }

    /// Photos packed in their order are the folder's, held out by the same draw.
    @Test func photosOfShardsAreThoseOfTheFolder() throws {
        let set = try GeneratedSet()
        for index in 0..<23 { try set.photo("p/\(index % 3)/\(index).png", width: 9 + index % 4, height: 8) }
        #expect(try pack(set, "p", to: "s") == (0..<6).map { String(format: "shard-%06d.tar", $0) })
        var options = PhotoOptions([set.path + "/p"])
        options.validationShare = 0.3
        let files = try PhotoDataset(options)
        options.folders = [set.path + "/s"]
        let shards = try PhotoDataset(options)
        #expect(shards.fingerprint == files.fingerprint && files.validation.count > 2)
        for (file, member) in [(files.training, shards.training), (files.validation, shards.validation)] {
            #expect(file.map(\.lastName) == member.map(\.lastName))
            for (a, b) in zip(file, member) { #expect(try decodeImage(a) == decodeImage(b)) }
        }
        #expect(PhotoPaths(shards.training).files == (0..<6).map { set.path + String(format: "/s/shard-%06d.tar", $0) })
        #expect(shards.training.stretches.count == 6 && files.training.stretches.count == files.training.count)
        // A shard twice is one; a pattern is the folder.
        options.folders = [set.path + "/s/*.tar", set.path + "/s/shard-000000.tar"]
        #expect(try PhotoDataset(options).training == shards.training)
    }

    @Test func damagedMembersAreNamedAndTheRestGoesOn() throws {
        let set = try GeneratedSet()
        var members = try (0..<30).map { ("\($0).png", try photo($0)) }
        members[3].1 = Array("no picture".utf8)
        try shard(set, "train-0.tar", members)
        try shard(set, "val-0.tar", [("v.png", try photo(1))])
        let whole = try FileSystem.read(set.path + "/train-0.tar")
        try AtomicFile.write(Array(whole.dropLast(1024 + 480)), to: set.path + "/train-0.tar")
        let found = try PhotoDataset(PhotoOptions([set.path]))
        #expect(found.training.count == 28 && found.validation.map(\.lastName) == ["val-0.tar:v.png"])
        #expect(found.unreadable.contains { $0.contains("train-0.tar:3.png: it is no image") }, "\(found.unreadable)")
        #expect(found.unreadable.contains { $0.contains("train-0.tar:29.png: the archive ends within it") })
        // A decoder does not read into the next member.
        try shard(set, "cut.tar", [("a.png", Array(try photo(1).dropLast(20))), ("b.png", try photo(2))])
        #expect(throws: ImageError.self) { try decodeImage(set.path + "/cut.tar:a.png") }
        #expect(throws: FileError.self) { try decodeImage(set.path + "/cut.tar:c.png") }
    }

    @Test func everyFormatIsReadInAShard() throws {
        let set = try GeneratedSet()
        let picture = RGBImage(width: 40, height: 30, pixels: (0..<3600).map { UInt8(truncatingIfNeeded: $0 * 7) })
        try writePNG(picture, to: set.path + "/a.png")
        var files = [(name: String, bytes: [UInt8])]()
        files.append(("x/a.png", try FileSystem.read(set.path + "/a.png")))
        files.append(("x/b.jpg", try encodeJPEG(picture, quality: 90)))
        files.append(("x/c.ppm", Array("P6 40 30 255\n".utf8) + picture.pixels))
        try shard(set, "a.tar", files)
        for file in files {
            try AtomicFile.write(file.bytes, to: set.path + "/" + file.name)
            #expect(try decodeImage(set.path + "/a.tar:" + file.name) == decodeImage(set.path + "/" + file.name))
        }
    }

    /// More shards than may be open at a time, read here and there.
    @Test func manyShardsNeedFewDescriptors() throws {
        let set = try GeneratedSet()
        for index in 0..<80 { try shard(set, "s-\(index).tar", [("a\(index).png", try photo(index))]) }
        let found = try PhotoDataset(PhotoOptions([set.path]))
        let all = Array(found.training) + Array(found.validation)
        for path in all + all { _ = try decodeImage(path) }
        let open = try FileSystem.names(in: "/proc/self/fd").compactMap { FileSystem.realPath("/proc/self/fd/" + $0) }
        #expect(open.count { $0.hasPrefix(FileSystem.realPath(set.path) ?? "?") } <= 32)
    }

    // MARK: Labels

    @Test func masksOfShardsAreThoseOfTheFolder() throws {
        let set = try GeneratedSet()
        try set.write("sky 0 0 255\ngrass 0 255 0\n", to: "d/classes.txt")
        for (split, count) in [("train", 7), ("val", 3)] {
            for index in 0..<count {
                try set.photo("d/images/\(split)/\(index).png")
                try set.mask("d/masks/\(split)/\(index).png", [0, 1, 255])
            }
        }
        #expect(
            try pack(set, "d", to: "s") == ["classes.txt", "train-000000.tar", "train-000001.tar", "val-000000.tar"])
        let (folder, shards) = (
            try SegmentationDataset(DatasetOptions([set.path + "/d"])),
            try SegmentationDataset(DatasetOptions([set.path + "/s"]))
        )
        #expect(shards.classes == folder.classes && shards.splits.map(\.rawValue) == ["train", "val"])
        for split in DatasetSplit.allCases {
            let (a, b) = (try folder.images(split).pairs, try shards.images(split).pairs)
            #expect(
                a.map(\.image.lastName.stem)
                    == b.map { ($0.image.split(separator: ":").last.map(String.init) ?? "").stem })
            for (a, b) in zip(a, b) { #expect(try folder.loadMask(a) == shards.loadMask(b)) }
        }
        #expect(try DataCheck(shards).trainingPixels == DataCheck(folder).trainingPixels)
        try FileManager.default.removeItem(atPath: set.path + "/s/classes.txt")
        let error = #expect(throws: DatasetError.self) { try SegmentationDataset(DatasetOptions([set.path + "/s"])) }
        #expect(error?.exitStatus == 66 && error?.reason.contains("no list of the classes") == true)
    }

    /// Masks whose values are no class indices come into shards as class indices.
    @Test func masksOfOtherValuesAreDrawnAnew() throws {
        let set = try GeneratedSet()
        try set.write(
            "Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t0\t0\t0\t0\twall\n2\t0\t0\t0\t0\ttree\n", to: "d/objectInfo150.txt"
        )
        for split in ["training", "validation"] {
            try set.photo("d/images/\(split)/a.jpg.png")
            try set.mask("d/annotations/\(split)/a.jpg.png", [0, 1, 2])
        }
        _ = try pack(set, "d", to: "s")
        let (folder, shards) = (
            try SegmentationDataset(DatasetOptions([set.path + "/d"])),
            try SegmentationDataset(DatasetOptions([set.path + "/s"]))
        )
        let (a, b) = (try folder.images(.train).pairs, try shards.images(.train).pairs)
        #expect(b[0].image.hasSuffix(":a_jpg.png") && b[0].mask.hasSuffix(":a_jpg.seg.png"))
        #expect(try folder.loadMask(a[0]).values == shards.loadMask(b[0]).values)
    }

    @Test func aMaskMayHaveItsPhotosName() throws {
        let set = try GeneratedSet()
        let jpeg = try encodeJPEG(RGBImage(width: 6, height: 5, pixels: [UInt8](repeating: 90, count: 90)), quality: 90)
        try set.write("a\nb\n", to: "classes.txt")
        try shard(
            set, "train.tar",
            [
                ("x/1.jpg", jpeg), ("x/1.png", try mask(1)), ("x/2.JPG", jpeg), ("x/2.seg.png", try mask(1)),
                ("x/3.jpg", jpeg),
            ])
        let found = try SegmentationDataset(DatasetOptions([set.path])).images(.train)
        #expect(found.pairs.map { $0.mask.lastName } == ["1.png", "2.seg.png"])
        #expect(found.incomplete.map(\.lastName) == ["3.jpg"])
        // Without labels the masks are no photos.
        #expect(try PhotoDataset(PhotoOptions([set.path])).training.count == 2)
    }

    @Test func classesOfShardsAreThoseOfTheFolders() throws {
        let set = try GeneratedSet()
        for split in ["train", "val"] {
            for (name, count) in [("dog", 3), ("ant", 2), ("cat", 4)] {
                for index in 0..<count { try set.photo("d/\(split)/\(name)/\(index).png", width: 7 + index) }
            }
        }
        _ = try pack(set, "d", to: "s")
        let (folders, shards) = (
            try ClassFolders([set.path + "/d"], DatasetSplit.allCases),
            try ClassFolders([set.path + "/s"], DatasetSplit.allCases)
        )
        #expect(shards.classes == ["ant", "cat", "dog"] && shards.classes == folders.classes)
        #expect(shards.images(.train).map(\.label) == folders.images(.train).map(\.label))
        #expect(shards.fingerprint == folders.fingerprint && shards.counts(.val) == [2, 4, 3])
    }

    @Test func labelsAreNumbersNamesOrJSON() throws {
        let set = try GeneratedSet()
        let bytes = try photo(1)
        func classes(_ labels: [(ending: String, text: String)], list: String? = nil) throws -> ClassFolders {
            let place = "s\(UInt32.random(in: 0...(.max)))"
            if let list { try set.write(list, to: place + "/classes.txt") }
            let members = labels.enumerated().flatMap { index, label in
                [("\(index).png", bytes), ("\(index).\(label.ending)", Array(label.text.utf8))]
            }
            try shard(set, place + "/a.tar", members)
            return try ClassFolders([set.path + "/" + place], DatasetSplit.allCases)
        }
        let listed = try classes([("cls", "1"), ("cls", " dog\n"), ("json", "{\"label\": 0}")], list: "dog\nbee\n")
        #expect(listed.classes == ["dog", "bee"] && listed.images(.train).map(\.label) == [1, 0, 0])
        let numbers = try classes([("cls", "10"), ("cls", "9"), ("json", "{\"cls\": 2}")])
        #expect(numbers.classes == ["2", "9", "10"] && numbers.images(.train).map(\.label) == [2, 1, 0])
        #expect(try classes([("cls", "b"), ("cls", "a")]).classes == ["a", "b"])
        for (label, text) in [("2", "is none of the 2"), ("cow", "a.tar:0.cls: its class cow is none")] {
            let error = #expect(throws: DatasetError.self) { try classes([("cls", label)], list: "dog\nbee\n") }
            #expect(error?.description.contains(text) == true, "\(error?.description ?? "")")
        }
        #expect(throws: DatasetError.self) { try classes([("txt", "1")]) }
    }

    // MARK: Packing

    @Test func theSameSeedPacksTheSameBytes() throws {
        let set = try GeneratedSet()
        for index in 0..<11 { try set.photo("p/\(index).png", width: 6 + index) }
        try set.write("no picture", to: "p/bad.png")
        func contents(_ folder: String, seed: UInt64) throws -> ([String], [[UInt8]]) {
            var (failed, limit) = ([String](), ShardSize())
            limit.samples = 4
            let source = try ShardSource(DatasetOptions([set.path + "/p"]))
            let writer = try ShardWriter(source, to: set.path + "/" + folder, size: limit, seed: seed, sources: [])
            let written = try writer.run(threads: 2, progress: { _ in }) { path, _ in failed.append(path.lastName) }
            #expect(failed == ["bad.png"] && written[0].samples == 11 && written[0].shards == 3)
            let names = try FileSystem.names(in: set.path + "/" + folder)
            return (names, try names.map { try FileSystem.read(set.path + "/" + folder + "/" + $0) })
        }
        let (first, second, other) = (
            try contents("a", seed: 1), try contents("b", seed: 1), try contents("c", seed: 2)
        )
        #expect(first.0 == second.0 && first.1 == second.1 && first.1 != other.1)
        #expect(throws: FileError.self) { try contents("a", seed: 1) }
        #expect(
            ShardWriter.keys(["a/x.1.png", "a/x.1.jpg", "a/x_1.png", ".b.c.jpg"]) == [
                "a/x_1", "a/x_1_jpg", "a/x_1_png", "_b_c",
            ])
    }

    // MARK: The shuffle buffer

    @Test func theBufferReadsShardsInTheirOrder() throws {
        let stretches = [0..<40, 40..<90, 90..<100, 100..<160]
        var generator = Philox(seed: 3)
        let buffer = ShuffleBuffer(10, stretches)
        let order = buffer.order(of: 0..<160, &generator)
        #expect(order.sorted() == Array(0..<160))
        // Whatever comes has come into the buffer: after n draws that is what stood among the first n + 10.
        var again = Philox(seed: 3)
        let read = again.permutation(4).flatMap { Array(stretches[$0]) }
        for (place, photo) in order.enumerated() { #expect(read.prefix(place + 11).contains(photo)) }
        #expect(order != read && zip(order, read).contains { $0 != $1 })
        // One set of two: its own photos, counted from its first.
        var third = Philox(seed: 4)
        #expect(buffer.order(of: 90..<160, &third).sorted() == Array(0..<70))
        let sampler = Sampler(seed: 5, SetProportions(160), batch: 16, buffer: buffer)
        let epochs = (0..<20).map { sampler.batch($0).map(\.image) }
        #expect(Set(epochs[..<10].joined()).count == 160 && Set(epochs[10...].joined()).count == 160)
        #expect(epochs[..<10].elementsEqual(epochs[10...]) == false)
        // Any batch is made from its number alone.
        #expect(Sampler(seed: 5, SetProportions(160), batch: 16, buffer: buffer).batch(13).map(\.image) == epochs[13])
    }
}
