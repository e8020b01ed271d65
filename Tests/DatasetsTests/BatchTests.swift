import BEiTImageIO
import BEiTTensorCore
import Foundation
import Synchronization
import Testing

@testable import BEiTDatasets

@Suite struct AugmentationTests {
    /// Blocks of one colour each; the red channel is the class times 100.
    private func picture() -> (RGBImage, IndexMask) {
        let (width, height) = (60, 45)
        let classes = (0..<width * height).map { UInt16($0 % width / 20 + $0 / width / 15) % 3 }
        let pixels = classes.flatMap { [UInt8(truncatingIfNeeded: $0 * 100), 7, 9] as [UInt8] }
        return (
            RGBImage(width: width, height: height, pixels: pixels),
            IndexMask(width: width, height: height, values: classes)
        )
    }

    @Test func maskFollowsPhoto() {
        let (image, mask) = picture()
        var augmentation = Augmentation()
        augmentation.colorJitter = 0
        for place in 0..<20 {
            var generator = RandomStream.augmentation.generator(seed: 3, place)
            let result = augmentation(image, mask, height: 32, width: 24, &generator)
            #expect(result.image.width == 24 && result.mask.height == 32)
            let reds = stride(from: 0, to: result.image.pixels.count, by: 3).map { result.image.pixels[$0] }
            // Where bilinear resizing mixed nothing in, the colour is the class's.
            let pure = zip(reds, result.mask.values).filter { $0.0 % 100 == 0 }
            #expect(pure.count > reds.count / 2)
            let wrong = pure.filter { $0.0 != UInt8($0.1) * 100 }
            // 200 and 0 can mix to 100 along a border; nowhere else.
            #expect(wrong.count <= 32, "\(wrong.count) of \(pure.count) in place \(place)")
        }
    }

    @Test func dependsOnSeedAndPlaceAlone() {
        let (image, mask) = picture()
        func make(_ seed: UInt64, _ place: Int) -> (RGBImage, IndexMask) {
            var generator = RandomStream.augmentation.generator(seed: seed, place)
            return Augmentation()(image, mask, height: 16, width: 16, &generator)
        }
        #expect(make(1, 2) == make(1, 2))
        #expect(make(1, 2) != make(1, 3))
        #expect(make(1, 2) != make(2, 2))
    }

    @Test func extremeShapesAreCropped() {
        for (width, height) in [(300, 2), (1, 200), (1, 1)] {
            let image = RGBImage(
                width: width, height: height, pixels: [UInt8](repeating: 50, count: width * height * 3))
            let mask = IndexMask(width: width, height: height, values: [UInt16](repeating: 1, count: width * height))
            var generator = RandomStream.augmentation.generator(seed: 0, 0)
            let result = Augmentation()(image, mask, height: 8, width: 8, &generator)
            #expect(result.mask.values == [UInt16](repeating: 1, count: 64))
        }
    }
}

@Suite struct RectangleMixingTests {
    /// Every pixel holds the number of its image and place, and so does its label.
    private func batch(_ count: Int, height: Int, width: Int) -> (pixels: Tensor, labels: [Int32]) {
        let area = height * width
        let labels = (0..<count * area).map(Int32.init)
        let pixels = Tensor(uninitialized: [count, 3, height, width])
        for (pixel, label) in labels.enumerated() {
            let (image, place) = pixel.quotientAndRemainder(dividingBy: area)
            for plane in 0..<3 { pixels.pointer[(image * 3 + plane) * area + place] = Float(label) + Float(plane) / 4 }
        }
        return (pixels, labels)
    }

    @Test func labelsGoWithTheirPixels() {
        let (count, height, width) = (5, 9, 12)
        var (shares, generator) = ([Double](), Philox(seed: 4))
        for _ in 0..<50 {
            var (pixels, labels) = batch(count, height: height, width: width)
            let before = labels
            BatchMixing.exchangeRectangles(pixels, &labels, alpha: 1, &generator)
            for (pixel, label) in labels.enumerated() {
                let (image, place) = pixel.quotientAndRemainder(dividingBy: height * width)
                for plane in 0..<3 {
                    let value = pixels.pointer[(image * 3 + plane) * height * width + place]
                    #expect(value == Float(label) + Float(plane) / 4)
                }
                let from = Int(label) / (height * width)
                #expect(Int(label) % (height * width) == place && (from == image || from == count - 1 - image))
            }
            #expect(labels.sorted() == before)
            let strangers = zip(labels, before).prefix(height * width).count { $0 != $1 }
            shares.append(Double(strangers) / Double(height * width))
        }
        // The shares are even over 0…1, less what reaches over the border.
        #expect(shares.contains { $0 < 0.1 } && shares.contains { $0 > 0.6 })
        #expect(0.2..<0.5 ~= shares.reduce(0, +) / 50)
    }
}

@Suite struct SamplerTests {
    @Test func everyEpochShowsEveryImageOnce() {
        let sampler = Sampler(seed: 5, SetProportions(7), batch: 3)
        let shown = (0..<7).flatMap { sampler.batch($0) }
        #expect(shown.map(\.place) == Array(0..<21))
        let epochs = (0..<3).map { epoch in shown[epoch * 7..<epoch * 7 + 7].map(\.image) }
        for epoch in epochs { #expect(epoch.sorted() == Array(0..<7)) }
        #expect(epochs[0] != epochs[1] && epochs[1] != epochs[2])
    }
}

/// Photos of several sets in proportions of their own.
@Suite struct SetProportionsTests {
    /// The sets of the photos that are drawn.
    private func sets(_ counts: [Int], _ shown: [(image: Int, place: Int)]) -> [Int] {
        let ends = counts.indices.map { counts[...$0].reduce(0, +) }
        return shown.map { drawn in ends.firstIndex { drawn.image < $0 } ?? -1 }
    }

    @Test(arguments: [[3, 1, 1], [0.2, 5, 1], [1, 1, 1], [0.37, 0.21, 0.9]] as [[Float]])
    func anyStretchHasThem(_ weights: [Float]) {
        let counts = [4, 9, 2]
        let sampler = Sampler(seed: 3, SetProportions(counts, weights), batch: 5)
        let drawn = sets(counts, (0..<200).flatMap { sampler.batch($0) })
        for first in [0, 1, 17, 500] {
            for length in [5, 40, 499] {
                for (set, weight) in weights.enumerated() {
                    let found = Float(drawn[first..<first + length].count { $0 == set })
                    #expect(abs(found - Float(length) * weight / weights.reduce(0, +)) <= 2)
                }
            }
        }
        if weights == [3, 1, 1] { #expect(drawn.prefix(10) == [0, 0, 1, 2, 0, 0, 0, 1, 2, 0]) }
    }

    @Test func eachSetIsWalkedThroughInOrdersOfItsOwn() {
        let counts = [4, 9, 2]
        let sampler = Sampler(seed: 3, SetProportions(counts, [3, 1, 1]), batch: 5)
        let images = (0..<60).flatMap { sampler.batch($0) }.map(\.image)
        for (set, range) in [0..<4, 4..<13, 13..<15].enumerated() {
            let shown = images.filter(range.contains)
            let passes = stride(from: 0, to: shown.count - range.count, by: range.count).map {
                Array(shown[$0..<$0 + range.count])
            }
            #expect(passes.allSatisfy { $0.sorted() == Array(range) }, "\(set)")
            #expect(Set(passes).count > 1)
        }
    }

    /// What a run that is resumed asks for first is what it would have been shown; far into a run as well.
    @Test(arguments: [[3, 1, 1], [0.37, 0.21, 0.9]] as [[Float]]) func aPlaceAloneSaysWhatIsDrawn(_ weights: [Float]) {
        let proportions = SetProportions([4, 9, 2], weights)
        let all = proportions.draws(0..<1000)
        for place in [0, 1, 2, 3, 7, 500, 997] {
            let some = proportions.draws(place..<place + 3)
            #expect(some.elementsEqual(all[place..<place + 3]) { $0 == $1 })
        }
        let far = proportions.draws(1_000_000_000..<1_000_000_010),
            next = proportions.draws(1_000_000_005..<1_000_000_010)
        #expect(far.suffix(5).elementsEqual(next) { $0 == $1 })
    }

    @Test func theCheckSaysHowOftenPhotosAreSeen() {
        #expect(
            SetProportions([60, 0, 20], [3, 2, 1]).lines(["a", "b", "c"]) == [
                "a: 60 photos, 75.0 % of what is drawn, each 1.00 times an epoch",
                "c: 20 photos, 25.0 % of what is drawn, each 1.00 times an epoch",
            ])
    }

    @Test func whatCannotBeIsSaid() {
        #expect(SetProportions.problem([1, 2], sets: 2) == nil)
        #expect(SetProportions.problem([1], sets: 1)?.contains("several data sets") == true)
        #expect(SetProportions.problem([1, 2], sets: 3)?.contains("1,2: 2 numbers for 3 data sets") == true)
        for bad: Float in [0, -1, .nan, .infinity] {
            #expect(SetProportions.problem([1, bad], sets: 2)?.contains("each must be from") == true)
        }
    }
}

@Suite struct PrefetcherTests {
    private struct Broken: Error {}

    @Test(arguments: [1, 2, 5]) func keepsTheOrder(_ threads: Int) throws {
        let items = Prefetcher(3..<40, ahead: 4, threads: threads) { number in
            usleep(UInt32(number * 7919 % 13) * 100)
            return number
        }
        var taken: [Int] = []
        while let item = try items.next() { taken.append(item) }
        #expect(taken == Array(3..<40))
    }

    @Test func staysABoundedNumberAhead() throws {
        let furthest = Atomic<Int>(0)
        let items = Prefetcher(0..<100, ahead: 3, threads: 2) { number in
            furthest.max(number, ordering: .relaxed)
            return number
        }
        _ = try items.next()
        for _ in 0..<10_000 where furthest.load(ordering: .relaxed) < 3 { usleep(1000) }
        usleep(50_000)  // time in which it could go too far
        #expect(furthest.load(ordering: .relaxed) == 3)
    }

    /// Budget 100: two of 50 go together, one of 60 alone, one of 1000 too; what a finished item keeps counts until the
    /// next is taken.
    @Test(arguments: [(50, 50, 2), (60, 60, 1), (1000, 1000, 1), (60, 0, 0), (100, 30, 0), (0, 0, 8)])
    func staysWithinABudgetOfBytes(_ cost: Int, _ kept: Int, inUse: Int) throws {
        let made = Atomic<Int>(0)
        let items = Prefetcher(
            0..<20, ahead: 7, budget: 100, cost: { _ in cost }, size: { _ in kept }, threads: 3
        ) { number in
            made.add(1, ordering: .relaxed)
            return number
        }
        for number in 0..<12 {
            #expect(try items.next() == number)
            if kept < cost { continue }
            let expected = number + inUse
            for _ in 0..<2000 where made.load(ordering: .relaxed) < expected { usleep(1000) }
            usleep(10_000)  // time in which it could go too far
            #expect(made.load(ordering: .relaxed) == expected)
        }
        while try items.next() != nil {}
        #expect(made.load(ordering: .relaxed) == 20)
    }

    @Test func oneThatIsNotWantedAnyMoreEnds() throws {
        var items: Prefetcher<Int>? = Prefetcher(0..<9, ahead: 7, budget: 1, cost: { _ in 5 }, threads: 3) { $0 }
        weak var former = items
        #expect(try items?.next() == 0)
        items = nil
        #expect(former == nil)
    }

    @Test func anErrorComesInItsTurn() throws {
        let items = Prefetcher(0..<5, ahead: 5, threads: 2) { number in
            if number == 2 { throw Broken() }
            return number
        }
        #expect(try items.next() == 0)
        #expect(try items.next() == 1)
        #expect(throws: Broken.self) { try items.next() }
    }
}
