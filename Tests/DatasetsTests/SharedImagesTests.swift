import BEiTFiles
import BEiTImageIO
import BEiTProcesses
import BEiTTeams
import Foundation
import Synchronization
import Testing

@testable import BEiTDatasets

/// Images that several processes share, which are threads here.
@Suite struct SharedImagesTests {
    /// What each member of a team hears, and who has read what.
    private func work(
        _ count: Int, by size: Int, stretch: Int = 512, batch: Int = 1, paths: [String] = [],
        prepare: @escaping @Sendable (Int) throws -> Int = { 10 * $0 }
    ) -> (heard: [Result<[String], any Error>], read: [[Int]]) {
        let read = Mutex<[[Int]]>(Array(repeating: [], count: size))
        let heard = ThreadTeam(size).run { team in
            var heard: [String] = []
            let images = SharedImages(count, by: team, stretch: stretch) { $0 < paths.count ? paths[$0] : nil }
            try images.run { share, found in
                let loop = ImageLoop(share, batch: batch, threads: 2, cost: { _ in 1 }) { number in
                    read.withLock { $0[team.rank].append(number) }
                    usleep(UInt32(number * 37 % 5) * 300)
                    return try prepare(number)
                }
                try loop.run(failed: { try found($0, Outcome<Int>.failed(reason: "\($1)")) }) { items in
                    for (number, item) in items { try found(number, .done(item)) }
                }
            } _: { number, outcome in
                switch outcome {
                case .done(let item): heard.append("\(number): \(item)")
                case .failed(let reason): heard.append("\(number): \(reason)")
                }
            }
            return heard
        }
        return (heard, read.withLock { $0 })
    }

    @Test(arguments: [1, 2, 3, 5], [(97, 512, 1), (97, 4, 3), (3, 1, 1), (0, 9, 1)])
    func allHearOfEachImageOnceAndInOrder(_ size: Int, _ form: (count: Int, stretch: Int, batch: Int)) throws {
        let damage: @Sendable (Int) throws -> Int = {
            if $0 % 7 == 3 { throw ImageError(path: "\($0).png", .unknownFormat) }
            return 10 * $0
        }
        let (heard, read) = work(form.count, by: size, stretch: form.stretch, batch: form.batch, prepare: damage)
        let expected = (0..<form.count).map { number in
            number % 7 == 3
                ? "\(number): \(ImageError(path: "\(number).png", .unknownFormat))" : "\(number): \(10 * number)"
        }
        for one in heard {
            let found = try one.get()
            // One process hears of what cannot be read as soon as it is known, before the rest of a batch.
            #expect(size == 1 ? found.sorted() == expected.sorted() : found == expected)
        }
        #expect(read.joined().sorted() == Array(0..<form.count))
    }

    /// Whoever is slow takes fewer.
    @Test func eachTakesTheNextAsItHasTime() throws {
        let counts = ThreadTeam(2).run { team in
            var own = 0
            try SharedImages(60, by: team) { _ in nil }.run { share, found in
                try ImageLoop(share, cost: { _ in 1 }, prepare: { $0 }).run(failed: { _, _ in }) { number, _ in
                    if team.rank == 1 { usleep(50_000) } else { usleep(2_000) }
                    own += 1
                    try found(number, number)
                }
            } _: { _, _ in
            }
            return own
        }
        let (quick, slow) = (try counts[0].get(), try counts[1].get())
        #expect(quick + slow == 60 && slow < 20)
    }

    @Test func theLargestComeFirst() throws {
        let folder = FileManager.default.temporaryDirectory.path + "/shared-\(UUID())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let sizes = [3, 900, 20, 900, 1, 400]
        let paths = try sizes.enumerated().map { number, size in
            let path = "\(folder)/\(number)"
            try Data(count: size).write(to: URL(fileURLWithPath: path))
            return path
        }
        let results = ThreadTeam(2).run { team in
            let begun = Mutex<[Int]>([])
            try SharedImages(sizes.count, by: team, path: { paths[$0] }).run { share, found in
                let loop = ImageLoop(share, cost: { _ in 1 }) { number in
                    begun.withLock { $0.append(number) }
                    return number
                }
                try loop.run(failed: { _, _ in }) { number, _ in
                    usleep(20_000)
                    try found(number, number)
                }
            } _: { _, _ in
            }
            return begun.withLock { $0 }
        }
        let begun = try results.map { try $0.get() }
        let order = [1, 3, 5, 2, 0, 4]
        // Each takes what comes next in the order of all.
        for own in begun { #expect(own == order.filter(own.contains)) }
        #expect(begun.joined().sorted() == Array(0..<6))
    }

    /// What ends the work on one ends it on all, soon.
    @Test(arguments: [1, 2, 4]) func whatMeetsOneEndsAll(_ size: Int) throws {
        let (heard, read) = work(4000, by: size, stretch: 4000) {
            if $0 == 20 { throw FileError.system("d", doing: "read", code: EIO) }
            usleep(1000)
            return $0
        }
        for one in heard { #expect(throws: (any Error).self) { try one.get() } }
        let reasons = heard.map { result in
            do { return "\(try result.get().count)" } catch { return "\(error)" }
        }
        #expect(reasons.allSatisfy { $0.contains("d:") })
        #expect(read.joined().count < 1000)
    }

    @Test func allMustSeeTheSame() throws {
        let results = ThreadTeam(3).run { team in
            let images = SharedImages(2, by: team) { "\($0)" + (team.rank == 2 ? "x" : "") }
            try images.run { _, found in
                try found(0, 0)
            } _: { _, _ in
            }
        }
        for result in results { #expect(throws: OtherImages(rank: 2)) { try result.get() } }
    }
}
