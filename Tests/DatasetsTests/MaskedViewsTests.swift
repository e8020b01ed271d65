import BEiTFiles
import BEiTImageIO
import BEiTTensorCore
import Foundation
import Synchronization
import Testing

@testable import BEiTDatasets

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

    /// - Parameter change: of the augmentation; nil for none.
    func views(
        _ change: ((inout Augmentation) -> Void)? = { _ in }, warn: @escaping @Sendable (String) -> Void = { _ in }
    ) throws -> MaskedViews {
        var augmentation = MaskedViews.augmentation
        change?(&augmentation)
        var photos = PhotoOptions([path])
        photos.validationShare = 0
        return MaskedViews(
            PhotoPaths(try PhotoDataset(photos).training), size: [48, 32],
            tokenView: MaskedViews.TokenView(size: [24, 16], filter: .lanczos),
            scaling: PixelScaling(mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]),
            masking: MaskGenerator(rows: 6, columns: 4), augmentation: change == nil ? nil : augmentation, seed: 5,
            warn: warn)
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
        let views = try album.views({
            ($0.area, $0.aspect, $0.flip, $0.colorJitter) = ([1, 1], [2.0 / 3, 2.0 / 3], 0, 0)
        })
        let photo = try decodeImage(views.photos.name(0))
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

    /// What a cache of tokens has: the central part, as it is; the mask is another one each time.
    @Test func withoutAugmentationTheCentreIsShown() throws {
        let album = Album()
        try album.add("a.png", width: 90, height: 60)
        let views = try album.views(nil), photo = try decodeImage(views.photos.name(0))
        let batch = try views.training([(0, 3), (0, 4)])
        let centre = photo.resized(
            width: 16, height: 24, filter: .lanczos, box: Rectangle(x: 25, y: 0, width: 40, height: 60))
        #expect(batch.tokenViews == [centre, centre])
        #expect(Array(batch.mask[..<24]) != Array(batch.mask[24...]))
        #expect(batch.pixels.rows(0..<1).values == batch.pixels.rows(1..<2).values)
    }

    /// A header may be whole where the pixels are not: the next photo takes the place.
    @Test func aPhotoThatCannotBeDecodedIsReplaced() throws {
        let album = Album()
        for index in 0..<3 { try album.add("\(index).png", seed: index) }
        let whole = try Data(contentsOf: URL(fileURLWithPath: album.path + "/1.png"))
        try AtomicFile.write([UInt8](whole.prefix(whole.count / 2)), to: album.path + "/1.png")
        let warnings = Mutex<[String]>([])
        let views = try album.views(warn: { text in warnings.withLock { $0.append(text) } })
        #expect(views.photos.count == 3)
        let batch = try views.training([(1, 4), (0, 5), (1, 6)])
        #expect(batch.images.map { ($0 as NSString).lastPathComponent } == ["2.png", "0.png", "2.png"])
        #expect(warnings.withLock { $0.count == 1 && $0[0].contains("1.png") })
        #expect(batch.tokenViews[0] == (try views.training([(2, 4)]).tokenViews[0]))
    }
}
