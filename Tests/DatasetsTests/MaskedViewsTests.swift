import Files
import Foundation
import ImageIO
import TensorCore
import Testing

@testable import Datasets

/// Photos in a folder that goes away with the test.
private final class Album {
    let path = NSTemporaryDirectory() + "beit-seg-" + UUID().uuidString

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// A smooth picture, different for each seed and at each place.
    func add(_ name: String, seed: Int = 0, width: Int = 90, height: Int = 60) throws {
        let pixels = (0..<3 * width * height).map { index -> UInt8 in
            let (x, y) = (Double(index / 3 % width), Double(index / 3 / width))
            let wave = sin(x / 17 + Double(seed)) + cos(y / 13 + Double(index % 3)) + x / Double(width)
            return UInt8(40 * wave + 110)
        }
        try writePNG(RGBImage(width: width, height: height, pixels: pixels), to: path + "/" + name)
    }

    func views(_ change: (inout Augmentation) -> Void = { _ in }) throws -> MaskedViews {
        var augmentation = MaskedViews.augmentation
        change(&augmentation)
        return MaskedViews(
            try UnlabelledPhotos([path]).paths, size: [48, 32], tokenSize: [24, 16],
            scaling: PixelScaling(mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]),
            masking: MaskGenerator(rows: 6, columns: 4), augmentation: augmentation, seed: 5)
    }
}

@Suite struct MaskedViewsTests {
    /// Colours, mirror image and crop are common to both; they differ in size and filter alone.
    @Test func bothViewsShowTheSameCrop() throws {
        let album = Album()
        for index in 0..<4 { try album.add("\(index).png", seed: index) }
        let batch = try album.views().training((0..<16).map { ($0 % 4, $0) })
        #expect(batch.pixels.shape == [16, 3, 48, 32] && batch.mask.count == 16 * 24)
        for (index, view) in batch.tokenViews.enumerated() {
            #expect((view.width, view.height) == (16, 24))
            let large = batch.pixels.rows(index..<index + 1).values
            var difference = 0.0
            for place in 0..<16 * 24 {
                let (x, y) = (place % 16, place / 16)
                for channel in 0..<3 {
                    let four = [(0, 0), (0, 1), (1, 0), (1, 1)].map { dy, dx in
                        large[(channel * 48 + 2 * y + dy) * 32 + 2 * x + dx]
                    }
                    let mean = Double(four.reduce(0, +)) / 4 * 127.5 + 127.5
                    difference += abs(mean - Double(view.pixels[3 * place + channel])) / (16 * 24 * 3)
                }
            }
            #expect(difference < 3, "view \(index): \(difference)")
        }
    }

    /// Without augmentation the views are the resized photo: bicubic and, for the tokenizer, Lanczos.
    @Test func sizesAndFiltersAreThoseOfTheAuthors() throws {
        let album = Album()
        try album.add("a.png", width: 70, height: 105)
        let views = try album.views {
            ($0.area, $0.aspect, $0.flip, $0.colorJitter) = ([1, 1], [2.0 / 3, 2.0 / 3], 0, 0)
        }
        let photo = try decodeImage(views.photos[0])
        for batch in [try views.training([(0, 0)]), try views.validation(0..<1)] {
            #expect(batch.tokenViews == [photo.resized(width: 16, height: 24, filter: .lanczos)])
            let want = photo.resized(width: 32, height: 48, filter: .bicubic)
            let found = batch.pixels.values
            for place in 0..<32 * 48 {
                for channel in 0..<3 {
                    let value = (Float(want.pixels[3 * place + channel]) / 255 - 0.5) / 0.5
                    #expect(abs(found[channel * 32 * 48 + place] - value) < 1e-6)
                }
            }
        }
    }

    @Test func aViewDependsOnSeedAndPlaceAlone() throws {
        let album = Album()
        for index in 0..<3 { try album.add("\(index).png", seed: index) }
        let views = try album.views()
        let together = try views.training([(0, 7), (1, 8), (0, 9)]), alone = try views.training([(1, 8)])
        #expect(together.tokenViews[1] == alone.tokenViews[0])
        #expect(Array(together.mask[24..<48]) == alone.mask)
        #expect(together.tokenViews[0] != together.tokenViews[2])
        let fixed = try (views.validation(0..<3), views.validation(1..<2))
        #expect(fixed.0.tokenViews[1] == fixed.1.tokenViews[0] && Array(fixed.0.mask[24..<48]) == fixed.1.mask)
    }

    @Test func damagedPhotosAreNamedAndLeftOut() throws {
        let album = Album()
        for index in 0..<30 { try album.add("p\(100 + index).png", seed: index) }
        try AtomicFile.write("no picture", to: album.path + "/bad.jpg")
        let photos = try UnlabelledPhotos([album.path])
        #expect(photos.paths.count == 30 && photos.unreadable.count == 1)
        #expect(photos.lines.contains { $0.hasPrefix("warning: left out: \(album.path)/bad.jpg") }, "\(photos.lines)")
        try photos.verdict()
        for name in ["worse.png", "worst.png"] { try AtomicFile.write("", to: album.path + "/" + name) }
        let error = #expect(throws: DatasetError.self) { try UnlabelledPhotos([album.path]).verdict() }
        #expect(error?.exitStatus == 65)
    }

    /// A header may be whole where the pixels are not: the next photo takes the place.
    @Test func aPhotoThatCannotBeDecodedIsReplaced() throws {
        let album = Album()
        for index in 0..<3 { try album.add("\(index).png", seed: index) }
        let whole = try Data(contentsOf: URL(fileURLWithPath: album.path + "/1.png"))
        try AtomicFile.write([UInt8](whole.prefix(whole.count / 2)), to: album.path + "/1.png")
        let views = try album.views()
        #expect(views.photos.count == 3)
        let batch = try views.training([(1, 4), (0, 5)])
        #expect(batch.images.map { ($0 as NSString).lastPathComponent } == ["2.png", "0.png"])
        #expect(batch.replaced.count == 1 && batch.replaced[0].contains("1.png"))
        #expect(batch.tokenViews[0] == (try views.training([(2, 4)]).tokenViews[0]))
    }

    @Test func photosAreDividedOnce() throws {
        let album = Album()
        for index in 0..<20 { try album.add("\(index).png", width: 8, height: 8) }
        let photos = try UnlabelledPhotos([album.path])
        let split = photos.split(holdingOut: 0.2, seed: 1)
        #expect(split.heldOut.count == 4 && Set(split.training + split.heldOut) == Set(photos.paths))
        #expect(split.heldOut == photos.split(holdingOut: 0.2, seed: 1).heldOut)
        #expect(split.heldOut != photos.split(holdingOut: 0.2, seed: 2).heldOut)
        #expect(photos.split(holdingOut: 0.001, seed: 1).heldOut.count == 1)
        #expect(photos.split(holdingOut: 0, seed: 1).heldOut.isEmpty)
    }

    /// Masks are pictures too, but not photos.
    @Test func aLabelledSetGivesItsTrainingPhotos() throws {
        let album = Album()
        for name in ["images/train/a.png", "images/val/b.png", "masks/train/a.png", "masks/val/b.png"] {
            try album.add(name, width: 8, height: 8)
        }
        #expect(try UnlabelledPhotos([album.path]).names == ["a.png"])
        let error = #expect(throws: FileError.self) { try UnlabelledPhotos([album.path + "/none"]) }
        #expect(error?.exitStatus == 66)
    }
}
