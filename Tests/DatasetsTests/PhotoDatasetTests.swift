import BEiTImageIO
import BEiTTensorCore
import Foundation
import Synchronization
import Testing

@testable import BEiTDatasets

/// Photos without labels: listing, division, damaged files, batches.
@Suite struct PhotoDatasetTests {
    private func names(_ paths: some Sequence<String>) -> [String] { paths.map { ($0 as NSString).lastPathComponent } }

    private func photos(_ count: Int) throws -> GeneratedSet {
        let set = try GeneratedSet()
        for index in 0..<count { try set.photo("p/\(index % 3)/\(index).png", width: 9 + index % 4, height: 8) }
        return set
    }

    @Test func aShareIsHeldOutAndStaysSo() throws {
        let set = try photos(200)
        var options = PhotoOptions([set.path + "/p"])
        options.validationShare = 0.2
        let all = try PhotoDataset(options)
        #expect(all.training.count + all.validation.count == 200)
        #expect(20...60 ~= all.validation.count)
        #expect(Set(all.training).isDisjoint(with: all.validation))
        // Others go; those that stay keep their side. A larger share holds out more of the same.
        try FileManager.default.removeItem(atPath: set.path + "/p/0")
        let fewer = try PhotoDataset(options)
        #expect(Set(fewer.validation).isSubset(of: all.validation))
        #expect(Set(fewer.training).isSubset(of: all.training))
        #expect(fewer.fingerprint != all.fingerprint)
        options.validationShare = 0.4
        #expect(Set(fewer.validation).isSubset(of: try PhotoDataset(options).validation))
    }

    @Test func aFewPhotosStillHaveOneHeldOut() throws {
        let set = try photos(3)
        var options = PhotoOptions([set.path + "/p"])
        #expect(try PhotoDataset(options).validation.count == 1)
        options.validationShare = 0
        #expect(try PhotoDataset(options).validation.isEmpty)
    }

    @Test func whereThereIsAFolderValItIsHeldOut() throws {
        let set = try photos(20)
        try set.photo("p/val/cat/x.png")
        // The same photos by another way do not count twice.
        let found = try PhotoDataset(PhotoOptions([set.path + "/p", set.path + "/p/1"]))
        #expect(names(found.validation) == ["x.png"] && found.training.count == 20)
    }

    @Test func masksAndTheRunsOwnPicturesAreNoPhotos() throws {
        let set = try GeneratedSet.folders()
        try set.photo("images/train/run/sheet.png")
        let found = try PhotoDataset(PhotoOptions([set.path]), excluding: set.path + "/images/train/run")
        #expect(found.training == [set.path + "/images/train/a.png"])
        #expect(found.validation == [set.path + "/images/val/a.png"])
        #expect(found.lines.contains { $0.contains("2 masks and other pictures are left out") }, "\(found.lines)")
    }

    @Test func unreadablePhotosAreNamedAndLeftOut() throws {
        let set = try photos(60)
        try set.write("no picture", to: "p/0/bad.jpg")
        let found = try PhotoDataset(PhotoOptions([set.path + "/p"]))
        #expect(found.training.count + found.validation.count == 60)
        #expect(found.unreadable.count == 1 && found.lines.contains { $0.contains("/p/0/bad.jpg: ") })
        for index in 0..<6 { try set.write("no picture", to: "p/0/bad\(index).jpg") }
        let error = #expect(throws: DatasetError.self) { try PhotoDataset(PhotoOptions([set.path + "/p"])) }
        #expect(error?.exitStatus == 65 && error?.reason.contains("7 of 67 photos") == true)
    }

    private func batches(_ paths: some Sequence<String>, warn: @escaping @Sendable (String) -> Void = { _ in })
        -> PhotoBatches
    {
        let scaling = PixelScaling(mean: [-0.125, -0.125, -0.125], std: [1.25, 1.25, 1.25])
        return PhotoBatches(PhotoPaths(paths), size: [6, 4], scaling: scaling, filter: .lanczos, warn: warn)
    }

    @Test func aPhotosCropDependsOnItsPlaceAlone() throws {
        let set = try photos(5)
        let paths = try PhotoDataset(PhotoOptions([set.path + "/p"])).training
        let all = batches(paths)
        let two = try all.training([(1, 10), (0, 11)], seed: 3, Augmentation())
        let one = try all.training([(0, 11)], seed: 3, Augmentation())
        #expect(two.pixels.shape == [2, 6, 4, 3] && two.images == [paths[1], paths[0]])
        #expect(two.pixels.rows(1..<2).values == one.pixels.values)
        #expect(try all.training([(0, 12)], seed: 3, Augmentation()).pixels.values != one.pixels.values)
        #expect(try all.training([(0, 11)], seed: 4, Augmentation()).pixels.values != one.pixels.values)
    }

    @Test func validationSeesTheMiddleInMappedPixels() throws {
        let set = try photos(1)
        let path = set.path + "/p/0/0.png"
        let pixels = try batches([path]).validation([0]).pixels
        let view = try decodeImage(path).central(height: 6, width: 4, filter: .lanczos)
        for (value, pixel) in zip(pixels.values, view.pixels) {
            #expect(abs(value - (0.8 * Float(pixel) / 255 + 0.1)) < 1e-6)
        }
    }

    @Test func aPhotoThatProvesDamagedIsReplacedByTheNext() throws {
        let set = try photos(30)
        var paths = (0..<30).map { set.path + "/p/\($0 % 3)/\($0).png" }
        let data = try Data(contentsOf: URL(fileURLWithPath: paths[4]))
        try data.prefix(data.count - 30).write(to: URL(fileURLWithPath: paths[4]))
        let warnings = Mutex<[String]>([])
        let all = batches(paths) { text in warnings.withLock { $0.append(text) } }
        let batch = try all.training([(4, 0), (4, 1)], seed: 0, Augmentation())
        #expect(batch.images == [paths[5], paths[5]])
        #expect(warnings.withLock { $0.count == 1 && $0[0].contains(paths[4]) })
        paths = [paths[4]]
        #expect(throws: DatasetError.self) { try batches(paths).validation([0]) }
    }
}
