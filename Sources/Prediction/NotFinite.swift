import BEiTDatasets
import BEiTFiles

/// A model's output that is NaN or infinite, from which nothing can be said.
package struct NotFinite: ExitStatus {
    /// The photo, where it is known.
    package var path: String?

    package var exitStatus: Int32 { 65 }

    package var description: String {
        (path.map { "\($0.shown): " } ?? "")
            + "the model's output is not finite (NaN or infinite); take another checkpoint, or leave the photo out"
    }
}

extension ImageLoop {
    /// As ``run(progress:failed:batches:)``, for a model whose output may turn out not to be finite.
    ///
    /// - Parameters:
    ///   - model: its file.
    ///   - photos: what the loop runs over.
    ///   - body: gives back the numbers of the photos for which the output is not finite; these count as failed.
    /// - Throws: also ``PredictionError/neverFinite(model:)``, where it is finite for no photo.
    package func run(
        of model: String, _ photos: some PhotoSource, progress: (_ done: Int) -> Void,
        failed: (_ index: Int, any Error) throws -> Void, _ body: ([(index: Int, item: Item)]) throws -> [Int]
    ) throws {
        var (finite, notFinite) = (0, 0)
        try run(progress: progress, failed: failed) { batch in
            let without = try body(batch)
            (finite, notFinite) = (finite + batch.count - without.count, notFinite + without.count)
            for index in without { try failed(index, NotFinite(path: photos.name(index))) }
        }
        if finite == 0, notFinite > 0 { throw PredictionError.neverFinite(model: model) }
    }
}
