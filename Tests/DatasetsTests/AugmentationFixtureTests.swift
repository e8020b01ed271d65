import BEiTImageIO
import BEiTTensorCore
import Foundation
import Testing

@testable import BEiTDatasets

/// Against OpenCV, colorsys and mmsegmentation's formulas; see `scripts/make-augmentation-fixtures.py`.
private func fixture<Value: Decodable>(_ name: String) throws -> Value {
    let url = try #require(Bundle.module.url(forResource: "Fixtures/" + name, withExtension: "json"))
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(Value.self, from: Data(contentsOf: url))
}

@Suite struct PhotometricTests {
    private struct Values: Decodable {
        struct Case: Decodable {
            var brightness, contrast, saturation: Float?
            var hue: Int?
            var contrastFirst: Bool
            var result: [UInt8]
        }
        var colors, hsv, hsvIn, rgbOut, image: [UInt8]
        var colorsysHsv, colorsysRgb: [[Double]]
        var cases: [Case]
    }

    @Test func hueAndSaturationAreOpenCVs() throws {
        let values: Values = try fixture("photometric")
        let found = RGBImage(width: values.colors.count / 3, height: 1, pixels: values.colors).hsv
        #expect(found.flatMap { [$0.hue, $0.saturation, $0.value] } == values.hsv)
        for (color, exact) in zip(found, values.colorsysHsv) where exact[1] > 0 {
            let turn = abs(Double(color.hue) / 180 - exact[0])
            #expect(min(turn, 1 - turn) * 180 < 0.55 && abs(Double(color.saturation) - 255 * exact[1]) < 0.55)
        }
    }

    @Test func everyHueGoesBackAsColorsysSays() throws {
        let values: Values = try fixture("photometric")
        var image = RGBImage(
            width: values.hsvIn.count / 3, height: 1, pixels: [UInt8](repeating: 9, count: values.hsvIn.count))
        var index = 0
        image.changeHSV {
            $0 = HSVColor(
                hue: values.hsvIn[index], saturation: values.hsvIn[index + 1], value: values.hsvIn[index + 2])
            index += 3
        }
        for (found, exact) in zip(image.pixels, values.colorsysRgb.joined()) {
            #expect(abs(Double(found) - 255 * exact) < 0.51)
        }
        // Single precision may round a half the other way.
        #expect(zip(image.pixels, values.rgbOut).allSatisfy { abs(Int($0) - Int($1)) <= 1 })
    }

    @Test func eachChangeIsMmsegmentations() throws {
        let values: Values = try fixture("photometric")
        for (number, wanted) in values.cases.enumerated() {
            var image = RGBImage(width: 7, height: 5, pixels: values.image)
            PhotometricDistortion.Change(
                brightness: wanted.brightness, contrast: wanted.contrast, saturation: wanted.saturation,
                hue: wanted.hue.map { ($0 + 180) % 180 }, contrastFirst: wanted.contrastFirst
            ).apply(to: &image)
            let off = zip(image.pixels, wanted.result).filter { abs(Int($0) - Int($1)) > 1 }
            #expect(off.isEmpty && image.pixels.count == wanted.result.count, "case \(number): \(off.prefix(5))")
        }
    }

    @Test func changesAreDrawnFromTheirRanges() {
        var generator = Philox(seed: 11)
        let draws = (0..<4000).map { _ in PhotometricDistortion().draw(&generator) }
        func check(_ values: [Float?], _ range: ClosedRange<Float>) {
            let drawn = values.compactMap { $0 }
            #expect(abs(drawn.count - 2000) < 150)
            let width = range.upperBound - range.lowerBound
            #expect(drawn.allSatisfy(range.contains))
            #expect(abs((drawn.min() ?? 9) - range.lowerBound) < 0.03 * width)
            #expect(abs((drawn.max() ?? 9) - range.upperBound) < 0.03 * width)
        }
        check(draws.map(\.brightness), -32...32)
        check(draws.map(\.contrast), 0.5...1.5)
        check(draws.map(\.saturation), 0.5...1.5)
        // randint(-18, 18) leaves its upper end out.
        check(draws.map { $0.hue.map { Float($0 > 90 ? $0 - 180 : $0) } }, -18...17)
        #expect(abs(draws.filter(\.contrastFirst).count - 2000) < 150)
    }
}

@Suite struct ScaleCropTests {
    private struct Values: Decodable {
        struct Mask: Decodable {
            var labels: [UInt16]
            var varied: Bool
        }
        var sizes: [[Double]]
        var masks: [Mask]
    }

    @Test func sizesAreMmsegmentations() throws {
        let values: Values = try fixture("scale-crop")
        for row in values.sizes {
            let size = ScaleCrop.size(
                width: Int(row[0]), height: Int(row[1]), base: Int(row[2]), ratio: Float(row[3]))
            #expect(size.width == Int(row[4]) && size.height == Int(row[5]), "\(row)")
        }
    }

    @Test func aPartOfNearlyOneClassIsDrawnAgain() throws {
        let values: Values = try fixture("scale-crop")
        for mask in values.masks {
            let labels = mask.labels.map { $0 == 255 ? LabelMap.void : $0 }
            #expect(
                ScaleCrop().isVaried(IndexMask(width: 20, height: 5, values: labels)) == mask.varied, "\(mask.labels)")
        }
        // All of one class but a corner, which 5.5 % of the places see enough of: 46 % in eleven draws.
        var mask = IndexMask(width: 60, height: 60, values: [UInt16](repeating: 0, count: 3600))
        for i in mask.values.indices where i % 60 >= 40 && i / 60 >= 40 { mask.values[i] = 1 }
        func seen(_ share: Float) -> Int {
            var crop = ScaleCrop()
            crop.largestShare = share
            return (0..<200).filter { seed in
                var generator = Philox(seed: UInt64(seed))
                let box = crop.crop(mask, height: 30, width: 30, &generator)
                return ScaleCrop().isVaried(mask.cropped(x: box.x, y: box.y, width: 30, height: 30))
            }.count
        }
        #expect((1...30).contains(seen(1)))
        #expect((65...120).contains(seen(0.75)))
    }

    /// Blocks of one colour each; the red channel is the class times 100.
    private func picture(width: Int, height: Int) -> (RGBImage, IndexMask) {
        let classes = (0..<width * height).map { UInt16($0 % width / 20 + $0 / width / 15) % 3 }
        let pixels = classes.flatMap { [UInt8(truncatingIfNeeded: $0 * 100), 7, 9] as [UInt8] }
        return (
            RGBImage(width: width, height: height, pixels: pixels),
            IndexMask(width: width, height: height, values: classes)
        )
    }

    @Test func maskFollowsPhotoAndNothingIsLarger() {
        let (image, mask) = picture(width: 90, height: 61)
        var augmentation = Augmentation()
        (augmentation.crop, augmentation.colorJitter) = (.scale, 0)
        var sizes: Set<[Int]> = []
        for place in 0..<40 {
            var generator = RandomStream.augmentation.generator(seed: 3, place)
            let result = augmentation(image, mask, height: 32, width: 24, &generator)
            #expect(result.image.width == result.mask.width && result.image.height == result.mask.height)
            #expect(result.image.width <= 24 && result.image.height <= 32)
            sizes.insert([result.image.width, result.image.height])
            let reds = stride(from: 0, to: result.image.pixels.count, by: 3).map { result.image.pixels[$0] }
            let wrong = zip(reds, result.mask.values).filter { $0.0 % 100 == 0 && $0.0 != UInt8($0.1) * 100 }
            #expect(wrong.count <= reds.count / 20, "\(wrong.count) of \(reds.count) in place \(place)")
            var again = RandomStream.augmentation.generator(seed: 3, place)
            #expect(augmentation(image, mask, height: 32, width: 24, &again) == result)
        }
        #expect(sizes.count > 3 && sizes.contains([24, 32]))
    }

    @Test func whatACropLeavesEmptyIsMeanColorAndVoid() throws {
        let set = try GeneratedSet.folders([0])
        let dataset = try SegmentationDataset(DatasetOptions([set.path]))
        let batches = SegmentationBatches(
            LabelledFiles(dataset, try dataset.images(.train).pairs), size: [16, 12],
            scaling: PixelScaling(mean: [0.5, 0.4, 0.3], std: [0.2, 0.2, 0.2]), BackgroundLabels(classes: 2)
        ) { _ in }
        var augmentation = Augmentation()
        (augmentation.crop, augmentation.scaleCrop) = (.scale, ScaleCrop())
        augmentation.scaleCrop?.scale = [0.5, 0.5]  // 7 × 5 pixels become 8 × 6
        let batch = try batches.training([(0, 4)], seed: 1, augmentation)
        for (index, label) in batch.labels.enumerated() {
            let inside = index % 12 < 8 && index / 12 < 6
            #expect(label == (inside ? 0 : Int32(LabelMap.void)))
            let pixel: [Float] = (0..<3).map { batch.pixels.pointer[$0 * 192 + index] }
            #expect(pixel.allSatisfy { $0 == 0 } == !inside)
        }
    }
}

@Suite struct FormerSettingsTests {
    @Test func settingsOfFormerCheckpointsAreRead() throws {
        let json = """
            {"folders": ["a", "b"], "ignoreIndex": 7, "reducesZeroLabel": false, "labelMap": "map.txt"}
            """
        let options = try JSONDecoder().decode(DatasetOptions.self, from: Data(json.utf8))
        #expect(options.folders == ["a", "b"] && options.ignoreIndex == 7 && options.labelMaps == ["map.txt"])
        #expect(options.labelMap(0) == "map.txt" && options.labelMap(1) == "map.txt")
        let augmentation = try JSONDecoder().decode(
            Augmentation.self,
            from: Data(#"{"area": [0.25, 1], "aspect": [0.75, 1.25], "flip": 0.5, "colorJitter": 0.4}"#.utf8))
        #expect(augmentation.crop == nil && augmentation.photometric == nil && augmentation.problem == nil)
    }

    @Test func settingsComeBackAsTheyWere() throws {
        var options = DatasetOptions(["a", "b"])
        options.labelMaps = [nil, "b.map"]
        let again = try JSONDecoder().decode(DatasetOptions.self, from: JSONEncoder().encode(options))
        #expect(again == options)
    }
}
