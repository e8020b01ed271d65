import Foundation

extension Segmenter {
    /// A photo of many, and what became of it.
    public struct BatchResult: Sendable {
        /// The file.
        public let path: String
        public let result: Result<SegmentedPhoto, BEiTSegError>
    }

    /// Segments the photos of many files, in their order; one that cannot be read does not end the others.
    ///
    /// ```swift
    /// for await photo in segmenter.segment(paths) {
    ///     switch photo.result {
    ///     case .success(let mask): print(photo.path, mask.areas.first?.name ?? "")
    ///     case .failure(let error): print(error)
    ///     }
    /// }
    /// ```
    ///
    /// Work is done on a thread of its own, a photo ahead of the one who asks: results that nobody takes do not pile up
    /// in memory. Leaving the loop ends the work after the photo of the moment.
    ///
    /// - Parameters:
    ///   - paths: the files.
    ///   - options: how photos are shown to the model.
    public func segment(_ paths: [String], _ options: SegmentationOptions = .init()) -> SegmentedPhotos {
        SegmentedPhotos(segmenter: self, paths: paths, options: options)
    }
}

/// The photos of a batch with their masks, one after another.
public struct SegmentedPhotos: AsyncSequence, Sendable {
    public typealias Element = Segmenter.BatchResult
    let segmenter: Segmenter
    let paths: [String]
    let options: SegmentationOptions

    public func makeAsyncIterator() -> Iterator { Iterator(photos: self) }

    public struct Iterator: AsyncIteratorProtocol {
        private let photos: SegmentedPhotos
        private var place = 0
        /// The photo at `place`, under way.
        private var upcoming: Task<Segmenter.BatchResult, Never>?

        init(photos: SegmentedPhotos) { self.photos = photos }

        public mutating func next() async -> Segmenter.BatchResult? {
            guard place < photos.paths.count, !Task.isCancelled else { return nil }
            let current = upcoming ?? start(place)
            let result = await current.value
            place += 1
            upcoming = place < photos.paths.count ? start(place) : nil
            return result
        }

        private func start(_ place: Int) -> Task<Segmenter.BatchResult, Never> {
            let (segmenter, options, path) = (photos.segmenter, photos.options, photos.paths[place])
            return Task {
                await withCheckedContinuation { continuation in
                    // The arithmetic takes seconds; the threads of Swift's tasks are for short work.
                    DispatchQueue.global().async {
                        let result = Result { () throws(BEiTSegError) in try segmenter.segment(path, options) }
                        continuation.resume(returning: Segmenter.BatchResult(path: path, result: result))
                    }
                }
            }
        }
    }
}
