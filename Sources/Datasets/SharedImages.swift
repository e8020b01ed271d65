import BEiTFiles
import BEiTProcesses
import Synchronization

/// The images of a run that this process is to take: all, or those that it draws from a queue.
package struct ImageShare: Sendable {
    /// How many there are at most, and in the whole run.
    let count, total: Int
    /// How many the run has had before.
    private let before: Int
    private let queue: (any NumberQueue)?

    /// All of `count` images, by their numbers.
    package init(_ count: Int) { (self.count, total, before, queue) = (count, count, 0, nil) }

    fileprivate init(_ queue: any NumberQueue, _ range: Range<Int>, of total: Int) {
        (self.queue, count, before, self.total) = (queue, range.count, range.lowerBound, total)
    }

    /// How many of the run's images are done or in somebody's hands, where this process has taken `own` of this share.
    func done(_ own: Int) -> Int { before + own + takenElsewhere }

    /// Images of this share that others have taken.
    package var takenElsewhere: Int { queue?.takenElsewhere ?? 0 }

    /// The images for items that are made one after another, on any threads.
    func draws() -> Draws { Draws(queue) }

    final class Draws: Sendable {
        private struct State {
            /// By item.
            var drawn: [Int: Int] = [:]
            var next = 0
            var isOver = false
        }
        private let queue: (any NumberQueue)?
        private let state = Mutex(State())

        fileprivate init(_ queue: (any NumberQueue)?) { self.queue = queue }

        /// The number of an image for an item; nil where none is left. Items get theirs in their order: behind one without an
        /// image there is none that has one.
        func image(_ item: Int) throws -> Int? {
            guard let queue else { return item }
            return try state.withLock { state in
                while state.next <= item, !state.isOver {
                    guard let image = try queue.next() else {
                        state.isOver = true
                        break
                    }
                    state.drawn[state.next] = image
                    state.next += 1
                }
                return state.drawn[item]
            }
        }

        func forget(_ item: Int) { _ = state.withLock { $0.drawn.removeValue(forKey: item) } }
    }
}

/// What became of an image.
package enum Outcome<Value: Codable & Sendable>: Codable, Sendable {
    case done(Value)
    case failed(reason: String)
}

/// The images of a run that several processes share: each takes the next one as soon as it has time, the large ones first.
package struct SharedImages {
    private let count: Int
    private let team: any Communicator
    private let stretch: Int
    private let path: (Int) -> String?

    /// - Parameters:
    ///   - stretch: images for each process after which they tell each other what has come of them.
    ///   - path: of each image, for the length of its file.
    package init(
        _ count: Int, by team: any Communicator, stretch: Int = 512, path: @escaping (Int) -> String?
    ) {
        (self.count, self.team, self.stretch, self.path) = (count, team, stretch * team.size, path)
    }

    /// Works through the images. One process hears of each as it is done; several hear of those of all, some hundreds at a
    /// time, in the order of their numbers.
    ///
    /// - Parameters:
    ///   - work: does a share of them, and says what has come of each image.
    ///   - take: hears of all images, on all processes.
    /// - Throws: on all what `work` or `take` has thrown on one.
    package func run<Found: Codable>(
        _ work: (ImageShare, _ found: (Int, Found) throws -> Void) throws -> Void,
        _ take: (Int, Found) throws -> Void
    ) throws {
        guard team.size > 1 else {
            return try withoutActuallyEscaping(take) { take in try work(ImageShare(count)) { try take($0, $1) } }
        }
        try team.requireSameImages((0..<count).lazy.map { path($0) ?? "" })
        for start in stride(from: 0, to: count, by: stretch) {
            let range = start..<min(count, start + stretch)
            let found: [Numbered<Found>] = try share(range, work)
            try team.agree { for one in found { try take(one.image, one.found) } }
        }
    }

    private struct Numbered<Found: Codable>: Codable {
        var image: Int
        var found: Found
    }

    /// What all processes have found, in the order of the images.
    private func share<Found: Codable>(
        _ range: Range<Int>, _ work: (ImageShare, (Int, Found) throws -> Void) throws -> Void
    ) throws -> [Numbered<Found>] {
        let queue = try team.queue(team.isFirst ? largestFirst(range) : [])
        let parts = try team.exchangeValues {
            var own: [Numbered<Found>] = []
            do {
                try work(ImageShare(queue, range, of: count)) { own.append(Numbered(image: $0, found: $1)) }
            } catch {
                try? queue.close()  // the others need not go on
                throw error
            }
            return own
        }
        let found = parts.joined().sorted { $0.image < $1.image }
        precondition(found.map(\.image) == Array(range), "images that nobody or two processes have taken")
        return found
    }

    private func largestFirst(_ range: Range<Int>) -> [Int] {
        let sizes = range.map { path($0).map(Self.bytes) ?? 0 }
        return range.sorted { (sizes[$1 - range.lowerBound], $0) < (sizes[$0 - range.lowerBound], $1) }
    }

    /// Of a file or a member of an archive; 0 where it is not there, which is found out when it is opened.
    private static func bytes(_ path: String) -> Int {
        if let member = try? TarArchive.find(path) { return member.size }
        return FileSystem.status(of: path)?.size ?? 0
    }
}

extension Communicator {
    /// Throws ``OtherImages`` unless all processes have found the same.
    package func requireSameImages(_ paths: some Sequence<String>) throws {
        guard size > 1 else { return }
        var digest = SHA256()
        for path in paths { (Array(path.utf8) + [0]).withUnsafeBytes { digest.update($0) } }
        if let rank = try firstDifference(digest.finish()) { throw OtherImages(rank: rank) }
    }
}

/// Processes that do not see the same images.
package struct OtherImages: ExitStatus, Equatable {
    let rank: Int
    package var exitStatus: Int32 { 65 }
    package var description: String {
        "process \(rank) has found other images than process 0; see to it that all see the same folders, and that nothing "
            + "changes them meanwhile, and start again"
    }
}
