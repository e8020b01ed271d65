import BEiTDatasets
import BEiTFiles
import BEiTProcesses

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

extension PhotoSource {
    /// Shows the photos to a model, some together; the processes of a run share them (``SharedImages``).
    ///
    /// - Parameters:
    ///   - model: its file.
    ///   - view: makes what the model sees of a photo, on any thread.
    ///   - bytes: of a view.
    ///   - progress, failed: as of `ImageLoop`, on the process that has the photo; failed is also one for which the model's
    ///     output is not finite.
    ///   - answer: what is to be known of each photo; nil where the output is not finite.
    ///   - take: hears of all photos, on all processes; see ``SharedImages/run(_:_:)``.
    /// - Throws: what the others throw; ``PredictionError/neverFinite(model:)``, where the output is finite for no photo.
    package func show<View: Sendable, Found: Codable & Sendable>(
        to model: String, by team: any Communicator, batch: Int = 1, threads: Int = 1,
        view: @escaping @Sendable (Int) throws -> View, bytes: @escaping @Sendable (View) -> Int,
        progress: (_ done: Int) -> Void = { _ in }, failed: (_ index: Int, any Error) -> Void,
        answer: ([(index: Int, item: View)]) throws -> [Found?],
        take: (_ index: Int, Outcome<Found>) throws -> Void
    ) throws {
        var (finite, notFinite) = (0, 0)
        try SharedImages(count, by: team, path: path).run { share, found in
            func fail(_ index: Int, _ error: any Error) throws {
                failed(index, error)
                try found(index, Shown(outcome: .failed(reason: "\(error)"), isNotFinite: error is NotFinite))
            }
            let loop = ImageLoop(
                share, batch: batch, threads: threads, cost: { decodedBytes($0) }, size: bytes, prepare: view)
            try loop.run(progress: progress, failed: fail) { views in
                for (one, answer) in zip(views, try answer(views)) {
                    if let answer {
                        try found(one.index, Shown(outcome: .done(answer), isNotFinite: false))
                    } else {
                        try fail(one.index, NotFinite(path: name(one.index)))
                    }
                }
            }
        } _: { (index, shown: Shown<Found>) in
            if case .done = shown.outcome { finite += 1 }
            if shown.isNotFinite { notFinite += 1 }
            try take(index, shown.outcome)
        }
        if finite == 0, notFinite > 0 { throw PredictionError.neverFinite(model: model) }
    }
}

private struct Shown<Found: Codable & Sendable>: Codable {
    var outcome: Outcome<Found>
    var isNotFinite: Bool
}
