import BEiTFiles
import BEiTImageIO

/// What a look at every photo and mask of a data set finds, for people who want to know it before they train.
package struct DatasetSurvey: Sendable {
    /// A split, or all photos where there are none.
    package struct Split: Sendable {
        package var name: String?
        package var pairs: [LabelledImage]
        /// Photos that were read with their masks.
        package var read = 0
        /// Photos of each size, the most frequent first.
        package var sizes: [(width: Int, height: Int, images: Int)] = []
        /// Of each class, and void ones.
        package var pixels: [Int]
        package var void = 0
        /// Photos that each class is on.
        package var images: [Int]

        /// Of the pixels that count.
        package func share(of index: Int) -> Double {
            Double(pixels[index]) / Double(max(1, pixels.reduce(0, +)))
        }
    }

    /// Two photos that should not be on two sides.
    package struct Twins: Sendable, Equatable {
        package var first, second: String
        /// Of `first` and `second`; nil where photos are not divided.
        package var splits: [String]?
        /// Bits in which their hashes differ; nil for the same file.
        package var distance: Int?
    }

    package struct Failure: Sendable {
        package var image, reason: String
    }

    package let classes: [LabelClass]
    package private(set) var splits: [Split]
    /// Between splits; where there are none, among all photos. The same files first.
    package private(set) var twins: [Twins] = []
    package private(set) var failed: [Failure] = []
    /// What was decided about names, values and shapes, and what is odd about them.
    package private(set) var notes: [LabelNote]
    /// How the classes and label values came about, a line a data set.
    package let mapping: [String]
    private var hashes: [[PictureHash?]]

    private struct Look: Sendable {
        var size: (width: Int, height: Int)
        /// Of each class, and void ones.
        var pixels: [Int]
        var hash: PictureHash?
    }

    /// Reads all photos, small, and all masks.
    ///
    /// - Parameter failed: hears of each photo that cannot be read, or whose mask cannot.
    /// - Throws: ``DatasetError`` where there are none, `Interruption.Stop`, and what would meet all photos.
    package init(
        _ dataset: SegmentationDataset, _ parts: [SetWriter.Part], threads: Int, progress: (_ done: Int) -> Void,
        failed report: (Failure) -> Void
    ) throws {
        (classes, mapping) = (dataset.classes, dataset.mapping)
        let count = dataset.classes.count
        splits = parts.map {
            Split(
                name: $0.split, pairs: $0.pairs, pixels: [Int](repeating: 0, count: count),
                images: [Int](repeating: 0, count: count))
        }
        hashes = parts.map { Array(repeating: nil, count: $0.pairs.count) }
        notes = []
        let items = parts.indices.flatMap { part in parts[part].pairs.indices.map { (part: part, place: $0) } }
        let page = dataset.reading.page
        let cost = { @Sendable in
            2 * decodedBytes(parts[items[$0].part].pairs[items[$0].place].image, page: page)
        }
        let loop = ImageLoop(items.count, threads: threads, cost: cost, size: { (_: Look) in 0 }) { index in
            try Self.look(parts[items[index].part].pairs[items[index].place], dataset)
        }
        var sizes: [[[Int]: Int]] = parts.map { _ in [:] }
        try loop.run(progress: progress) { index, error in
            let failure = Failure(image: parts[items[index].part].pairs[items[index].place].image, reason: "\(error)")
            failed.append(failure)
            report(failure)
        } _: { index, look in
            let (part, place) = items[index]
            sizes[part][[look.size.width, look.size.height], default: 0] += 1
            splits[part].add(look.pixels)
            hashes[part][place] = look.hash
        }
        for part in splits.indices {
            splits[part].sizes = sizes[part].sorted {
                ($1.value, $0.key[0], $0.key[1]) < ($0.value, $1.key[0], $1.key[1])
            }
            .map { ($0.key[0], $0.key[1], $0.value) }
        }
        notes = parts.flatMap(\.remarks) + dataset.notes
        let same = try sameFiles()
        twins = same + alike(besides: Set(same.map(\.second)))
    }

    private static func look(_ pair: LabelledImage, _ dataset: SegmentationDataset) throws -> Look {
        let mask = try dataset.loadMaskAlone(pair)
        let photo = try decodeImage(pair.image, as: dataset.reading, shrinkingTo: 64)
        let count = dataset.classes.count
        var pixels = [Int](repeating: 0, count: count + 1)
        for value in mask.values { pixels[min(Int(value), count)] += 1 }
        return Look(size: (mask.width, mask.height), pixels: pixels, hash: PictureHash(photo))
    }

    // MARK: Twins

    /// Whether two places are to be told apart: on two sides, or anywhere where there are no sides.
    private func areApart(_ a: Int, _ b: Int) -> Bool { splits.count == 1 || a != b }

    private func twins(_ a: (part: Int, place: Int), _ b: (part: Int, place: Int), _ distance: Int?) -> Twins {
        let names = splits.count > 1 ? [splits[a.part].name ?? "", splits[b.part].name ?? ""] : nil
        return Twins(
            first: splits[a.part].pairs[a.place].image, second: splits[b.part].pairs[b.place].image, splits: names,
            distance: distance)
    }

    /// Photos of the same bytes: only those of one length are read.
    private func sameFiles() throws -> [Twins] {
        var lengths: [Int: [(part: Int, place: Int)]] = [:]
        for part in splits.indices {
            for (place, pair) in splits[part].pairs.enumerated() {
                guard let size = FileSystem.status(of: pair.image)?.size else { continue }
                lengths[size, default: []].append((part, place))
            }
        }
        var result: [Twins] = []
        for (_, places) in lengths.sorted(by: { $0.key < $1.key }) where places.count > 1 {
            var known: [String: [(part: Int, place: Int)]] = [:]
            for place in places {
                let digest = try SHA256.hexDigest(ofFile: splits[place.part].pairs[place.place].image)
                if let other = known[digest]?.first(where: { areApart($0.part, place.part) }) {
                    result.append(twins(other, place, nil))
                }
                known[digest, default: []].append(place)
            }
        }
        return result
    }

    /// Photos that look alike, but for those of the same bytes.
    private func alike(besides same: Set<String>) -> [Twins] {
        var (index, places): (HashIndex, [(part: Int, place: Int)]) = (HashIndex(), [])
        var result: [Twins] = []
        for part in splits.indices {
            for (place, hash) in hashes[part].enumerated() {
                guard let hash, !same.contains(splits[part].pairs[place].image) else { continue }
                let near = index.add(hash).map { places[$0] }.filter { areApart($0.part, part) }
                let distance = { (other: (part: Int, place: Int)) in
                    hashes[other.part][other.place]?.distance(to: hash) ?? 0
                }
                if let nearest = near.min(by: { distance($0) < distance($1) }) {
                    result.append(twins(nearest, (part, place), distance(nearest)))
                }
                places.append((part, place))
            }
        }
        return result
    }

    // MARK: Oddities

    /// What may be a mistake, a line each.
    package var oddities: [String] {
        splits.flatMap { split -> [String] in
            let place = split.name.map { " in \($0)" } ?? ""
            let absent = classes.indices.filter { split.pixels[$0] == 0 }.map { classes[$0].name }
            let rare = classes.indices.filter { split.pixels[$0] > 0 && split.share(of: $0) < 0.0005 }
            let all = split.void + split.pixels.reduce(0, +)
            let small = split.sizes.filter { min($0.width, $0.height) < 64 }.reduce(0) { $0 + $1.images }
            var lines: [String] = []
            if !absent.isEmpty { lines.append("no pixel of \(absent.joined(separator: ", "))\(place)") }
            for index in rare {
                lines.append(
                    "\(classes[index].name) has less than 0.05 % of the pixels\(place), on "
                        + split.images[index].counted("photo"))
            }
            if all > 0, 2 * split.void > all {
                lines.append("more than half of the pixels\(place) are void, which teaches nothing")
            }
            if small > 0 { lines.append("\(small.counted("photo"))\(place) with a side below 64 pixels") }
            return lines
        } + leakLines
    }

    private var leakLines: [String] {
        [(twins.filter { $0.distance == nil }, "the same file"), (twins.filter { $0.distance != nil }, "look alike")]
            .compactMap { found, what in
                guard let first = found.first else { return nil }
                let pairs = found.count.counted("pair")
                let verb = what == "the same file" ? "are \(what)" : what
                let place = first.splits == nil ? "" : " and are on two sides"
                return
                    "\(pairs) of photos \(verb)\(place), the first are \(first.first.shown) and \(first.second.shown)"
            }
    }
}

extension DatasetSurvey.Split {
    /// Adds a photo's pixels: of each class, and void ones.
    fileprivate mutating func add(_ counts: [Int]) {
        read += 1
        void += counts[pixels.count]
        for index in pixels.indices {
            pixels[index] += counts[index]
            if counts[index] > 0 { images[index] += 1 }
        }
    }
}
