#if MPI
    import BEiTFiles
    import CBEiTMPIShim
    import Foundation
    import Synchronization

    /// Finds out that a rank has gone without a word, because its machine or the link to it has: MPI itself would wait for
    /// ever. Every rank tells the first one every few seconds that it lives, and hears the same from it. A rank that computes
    /// for long still has its pulse.
    final class Pulse: Sendable {
        private static let beat = Duration.seconds(2)
        /// As long as a machine may hang without being given up.
        private static let silence = Duration.seconds(40)

        private let rank: Int
        /// The ranks that this one hears of.
        private let others: [Int]
        private let isOver = Atomic(false), hasEnded = Atomic(false)

        init(rank: Int, size: Int) {
            self.rank = rank
            others = rank == 0 ? Array(1..<max(1, size)) : [0]
        }

        func start() {
            let thread = Thread { [self] in
                do { try run() } catch { if !isOver.load(ordering: .relaxed) { end("\(error)") } }
                hasEnded.store(true, ordering: .releasing)
            }
            thread.name = "beit-seg pulse"
            thread.start()
        }

        /// Returns once nothing is under way any more.
        func stop() {
            isOver.store(true, ordering: .relaxed)
            for _ in 0..<3000 where !hasEnded.load(ordering: .acquiring) { usleep(1000) }
        }

        /// What a beat says.
        private enum Message: UInt8 { case alive = 1, over }

        private func run() throws {
            let channel = Int32(beitseg_mpi_pulse)
            // One byte for each of the others, out and in.
            let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: 2 * others.count)
            var heard = others.map { _ in ContinuousClock.now }
            var (sending, receiving) = ([Transfer?](repeating: nil, count: others.count), [Transfer?]())
            var isOverThere = others.map { _ in false }, hasSaid = isOverThere
            for (index, other) in others.enumerated() {
                receiving.append(
                    try Transfer { beitseg_mpi_receive(channel, bytes + others.count + index, 1, Int32(other), $0) })
            }
            var next = ContinuousClock.now
            while true {
                let now = ContinuousClock.now, isEnding = isOver.load(ordering: .relaxed)
                for (index, other) in others.enumerated() {
                    if let transfer = sending[index], try transfer.isDone() { sending[index] = nil }
                    if sending[index] == nil, !hasSaid[index], isEnding || now >= next {
                        bytes[index] = (isEnding ? Message.over : .alive).rawValue
                        hasSaid[index] = isEnding
                        sending[index] = try Transfer { beitseg_mpi_send(channel, bytes + index, 1, Int32(other), $0) }
                    }
                    guard let transfer = receiving[index] else { continue }
                    if try transfer.isDone() {
                        heard[index] = now
                        isOverThere[index] = bytes[others.count + index] == Message.over.rawValue
                        receiving[index] =
                            isOverThere[index]
                            ? nil
                            : try Transfer {
                                beitseg_mpi_receive(channel, bytes + others.count + index, 1, Int32(other), $0)
                            }
                    } else if now - heard[index] > Self.silence {
                        end("process \(other) has not been heard of for \(Self.silence)")
                    }
                }
                if now >= next { next = now + Self.beat }
                let isQuiet = sending.allSatisfy { $0 == nil }
                if isEnding, isQuiet, hasSaid.allSatisfy(\.self), isOverThere.allSatisfy(\.self) { return }
                usleep(isEnding ? 1000 : 100_000)
            }
        }

        /// Ends this process, and with it the run.
        private func end(_ reason: String) -> Never {
            var name = [CChar](repeating: 0, count: 256)
            beitseg_mpi_machine(&name, name.count)
            let machine = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let line =
                "beit-seg: process \(rank) on \(machine): \(reason): its machine or the link to it is gone; go on from the "
                + "last checkpoint, with any number of processes\n"
            _ = Array(line.utf8).withUnsafeBytes { writeAll($0, to: STDERR_FILENO) }
            endWithoutLeftovers(74)
        }
    }
#endif
