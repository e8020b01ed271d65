import BEiTFiles
import BEiTImageIO
import Foundation
import Synchronization
import Testing

@testable import BEiTDatasets

@Suite struct ImageLoopTests {
    private func loop(
        _ count: Int, batch: Int = 1, prepare: @escaping @Sendable (Int) throws -> Int = { 10 * $0 }
    ) -> ImageLoop<Int> {
        ImageLoop(count, batch: batch, threads: 2, cost: { _ in 1 }, prepare: prepare)
    }

    @Test(arguments: [1, 2, 3, 7, 20]) func whatCannotBeReadIsLeftOutInOrder(_ batch: Int) throws {
        var (taken, sizes, failed, progress): ([Int], [Int], [Int], [Int]) = ([], [], [], [])
        let loop = loop(7, batch: batch) {
            switch $0 {
            case 2: throw ImageError(path: "c", .unknownFormat)
            case 3: throw FileError.system("d", doing: "open", code: EACCES)
            case 5: throw DatasetError(.invalid, path: "e", reason: "of another size")
            default: return 10 * $0
            }
        }
        try loop.run(progress: { progress.append($0) }) { index, _ in
            failed.append(index)
        } batches: { items in
            sizes.append(items.count)
            taken += items.map(\.index)
            #expect(items.allSatisfy { $0.item == 10 * $0.index })
        }
        #expect(taken == [0, 1, 4, 6] && failed == [2, 3, 5])
        #expect(sizes.allSatisfy { 1...batch ~= $0 })
        #expect(progress == Array(stride(from: 0, to: 7, by: batch)) + [7])
    }

    @Test(
        arguments: [
            FileError.system("a", doing: "read", code: EIO), FileError.system("a", doing: "open", code: EMFILE),
            OutsideClasses(path: "a", reason: ""), CancellationError(),
        ] as [any Error]) func whatWouldMeetAllEndsTheLoop(_ error: any Error)
    {
        var done = 0
        #expect(throws: (any Error).self) {
            let loop = loop(9) { if $0 == 4 { throw error } else { $0 } }
            try loop.run(failed: { _, _ in Issue.record("told as one image's") }) { _, _ in done += 1 }
        }
        #expect(done == 4)
    }

    @Test func aSignalEndsTheLoop() async {
        await #expect(processExitsWith: .exitCode(3)) {
            let stop = #expect(throws: Interruption.Stop.self) {
                try Interruption.noting(patience: Interruption.short) {
                    try ImageLoop(9, cost: { _ in 1 }, prepare: { $0 }).run(failed: { _, _ in }) { index, _ in
                        if index == 3 { kill(getpid(), SIGTERM) }
                        while index == 3, Interruption.signal == nil { usleep(1000) }
                        #expect(index <= 3)
                    }
                }
            }
            #expect(stop?.description == "interrupted after 4 of 9 images" && stop?.exitStatus == 128 + SIGTERM)
            exit(stop == nil ? 1 : 3)
        }
    }
}

@Suite struct LabelledSourceTests {
    /// A photo that its Exif turns, beside a mask that lies as the photo is stored: seen upright, and as stored.
    @Test(arguments: 1...8, [MaskOrientation.upright, .bothStored]) func photosLieAsTheirMasks(
        _ number: Int, _ orientation: MaskOrientation
    ) throws {
        let set = try GeneratedSet.folders([0])
        try PNGWithExif.write(
            width: 7, height: 5, orientation: UInt8(number), to: set.path + "/images/train/a.png")
        var options = DatasetOptions([set.path])
        options.orientation = orientation
        let dataset = try SegmentationDataset(options)
        let photos = LabelledFiles(dataset, try dataset.images(.train).pairs)
        #expect(photos.count == 1 && photos.name(0).lastName == "a.png" && photos.files.count == 2)
        let (header, photo, mask) = (try photos.header(0), try photos.decode(0), try photos.mask(0))
        let liesOnItsSide = number > 4 && orientation == .upright
        #expect((photo.width, photo.height) == (liesOnItsSide ? (5, 7) : (7, 5)))
        #expect((header.width, header.height) == (photo.width, photo.height))
        #expect((mask.width, mask.height) == (photo.width, photo.height))
    }
}
