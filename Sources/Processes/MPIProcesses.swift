#if MPI
    import BEiTFiles
    import BEiTTensorCore
    import CBEiTMPIShim
    import Foundation

    /// The processes that `mpirun` or `srun` has started.
    package final class MPIProcesses: Communicator, @unchecked Sendable {
        package let rank: Int, size: Int, neighbours: Int
        /// Whether all ranks live.
        private let pulse: Pulse?
        /// On the first rank, what all take from; and which queue of the run it is.
        private let server = NumberServer()
        private var queues = 0

        /// Finds the others. To be called once, by the thread that works.
        ///
        /// - Parameter expected: how many the launcher says there are.
        /// - Throws: ``MPIFailure`` where they do not find each other.
        package init(expected: Int) throws(MPIFailure) {
            var (rank, size, neighbours, concurrent) = (Int32(0), Int32(0), Int32(0), Int32(0))
            try MPIFailure.check(beitseg_mpi_start(&rank, &size, &neighbours, &concurrent))
            (self.rank, self.size, self.neighbours) = (Int(rank), Int(size), Int(neighbours))
            guard size == expected else {
                throw MPIFailure(
                    "the launcher has started \(expected) processes, of which this one finds \(size): start them with the mpirun "
                        + "of the MPI library that beit-seg is built with (srun: --mpi=pmix)", exitStatus: 64)
            }
            pulse = concurrent != 0 ? Pulse(rank: self.rank, size: self.size, server) : nil
            pulse?.start()
        }

        /// Bytes that go with their number into one exchange of fixed length.
        private static let small = 504

        package func gather(_ bytes: [UInt8]) throws -> [[UInt8]] {
            let slot = Self.small + 8
            var own = [UInt8](repeating: 0, count: slot)
            withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { own.replaceSubrange(0..<8, with: $0) }
            if bytes.count <= Self.small { own.replaceSubrange(8..<8 + bytes.count, with: bytes) }
            let all = try exchange(own, into: slot * size) { beitseg_mpi_gather($0, Int32(slot), $1, $2) }
            let counts = (0..<size).map { rank in
                all[rank * slot..<rank * slot + 8].reversed().reduce(0) { $0 << 8 | Int($1) }
            }
            guard counts.contains(where: { $0 > Self.small }) else {
                return counts.enumerated().map { Array(all[$0 * slot + 8..<$0 * slot + 8 + $1]) }
            }
            let starts = counts.indices.map { counts[..<$0].reduce(0, +) }
            guard let total = starts.last.map({ $0 + counts[size - 1] }), total < 1 << 31 else {
                throw MPIFailure("the processes have more to tell than a message holds")
            }
            let (lengths, places) = (counts.map(Int32.init), starts.map(Int32.init))
            let parts = try exchange(bytes, into: total) { beitseg_mpi_gather_parts($0, $1, lengths, places, $2) }
            return zip(starts, counts).map { Array(parts[$0..<$0 + $1]) }
        }

        /// - Returns: `count` bytes, once `start` and what it has started have written them.
        private func exchange(
            _ own: [UInt8], into count: Int,
            _ start: (UnsafeRawPointer, UnsafeMutableRawPointer, UnsafeMutablePointer<OpaquePointer?>) -> Int32
        ) throws -> [UInt8] {
            // MPI reads and writes after the call; where it never ends, the memory stays.
            let sent = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, own.count), alignment: 64)
            let received = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, count), alignment: 64)
            sent.copyBytes(from: own)
            guard let from = UnsafeRawPointer(sent.baseAddress), let into = received.baseAddress else { return [] }
            try Transfer.wait([try Transfer { start(from, into, $0) }])
            defer {
                sent.deallocate()
                received.deallocate()
            }
            return Array(received.prefix(count))
        }

        package func queue(_ numbers: [Int]) throws -> any NumberQueue {
            guard pulse != nil else {
                // Nobody can ask while others compute, so each has its part from the beginning.
                let all = try fromFirst { numbers }
                return DealtNumbers(stride(from: rank, to: all.count, by: size).map { all[$0] })
            }
            queues += 1
            guard isFirst else { return RemoteNumbers(serial: queues) }
            server.open(queues, numbers)
            return ServedNumbers(server: server, serial: queues)
        }

        /// Floats of a slice that are under way together.
        private static let stretch = 1 << 18
        /// What others send: two stretches, one that is added while the next one comes.
        private lazy var arrivals = [0, 1].map { _ in
            UnsafeMutablePointer<Float>.allocate(capacity: Self.stretch * size)
        }

        package func collect(
            _ part: Tensor?, count: Int, givers: Int, _ take: (Range<Int>, [UnsafePointer<Float>]) -> Void
        ) throws {
            let slices = (0..<size).map { slice(of: count, rank: $0) }
            let longest = slices.map(\.count).max() ?? 0
            let stretches = stride(from: 0, to: longest, by: Self.stretch).map { $0..<min(longest, $0 + Self.stretch) }
            var waiting: [Transfer] = []
            for index in 0...stretches.count {
                let arrived = waiting
                waiting = index < stretches.count ? try start(part, slices, stretches[index], givers, index % 2) : []
                guard index > 0 else { continue }
                try Transfer.wait(arrived)
                let range = slices[rank].part(stretches[index - 1])
                guard !range.isEmpty else { continue }
                let pieces = (0..<givers).map { giver -> UnsafePointer<Float> in
                    if giver == rank, let part { return UnsafePointer(part.pointer + range.lowerBound) }
                    return UnsafePointer(arrivals[(index - 1) % 2] + giver * Self.stretch)
                }
                take(range, pieces)
            }
        }

        /// Sends a stretch of each other rank's slice, and receives one of its own from each giver.
        private func start(
            _ part: Tensor?, _ slices: [Range<Int>], _ stretch: Range<Int>, _ givers: Int, _ buffer: Int
        ) throws(MPIFailure) -> [Transfer] {
            var transfers: [Transfer] = []
            let (own, channel, width) = (slices[rank].part(stretch), Int32(beitseg_mpi_work), 4)
            for giver in 0..<givers where giver != rank && !own.isEmpty {
                let target = arrivals[buffer] + giver * Self.stretch
                transfers.append(
                    try Transfer {
                        beitseg_mpi_receive(channel, target, Int32(own.count * width), Int32(giver), $0)
                    })
            }
            guard let part else { return transfers }
            for step in 1..<max(2, size) {  // not all to the same one at a time
                let other = (rank + step) % size, piece = slices[other].part(stretch)
                guard other != rank, !piece.isEmpty else { continue }
                transfers.append(
                    try Transfer {
                        beitseg_mpi_send(
                            channel, part.pointer + piece.lowerBound, Int32(piece.count * width), Int32(other), $0)
                    })
            }
            return transfers
        }

        package func spread(_ total: Tensor) throws {
            let slices = (0..<size).map { slice(of: total.count, rank: $0) }
            // MPI may read the counts as long as it sends.
            let counts = UnsafeMutablePointer<Int32>.allocate(capacity: 2 * size)
            for (index, slice) in slices.enumerated() {
                (counts[index], counts[size + index]) = (Int32(slice.count), Int32(slice.lowerBound))
            }
            try Transfer.wait([try Transfer { beitseg_mpi_spread(total.pointer, counts, counts + size, $0) }])
            counts.deallocate()
        }

        package func startSum(_ total: Tensor, _ range: Range<Int>) throws -> any SumUnderWay {
            MPISum(
                try Transfer { beitseg_mpi_sum(total.pointer + range.lowerBound, Int32(range.count), $0) }, of: total)
        }

        /// Ends MPI once all ranks have come here, and says whether they have within half a minute. Where they have not,
        /// something has failed on this one alone, or the others have met something else.
        package func finish() -> Bool {
            let deadline = ContinuousClock.now + .seconds(30)
            do {
                let barrier = try Transfer { beitseg_mpi_barrier(Int32(beitseg_mpi_end), $0) }
                try Transfer.wait([barrier], until: deadline)
            } catch { return false }
            pulse?.stop()
            return beitseg_mpi_finish() == 0
        }

        /// Ends all ranks.
        package func abort(_ status: Int32) { beitseg_mpi_abort(status) }
    }

    private final class MPISum: SumUnderWay {
        private let transfer: Transfer
        /// Keeps its memory.
        private let total: Tensor
        private var isDone = false

        init(_ transfer: Transfer, of total: Tensor) { (self.transfer, self.total) = (transfer, total) }

        func progress() throws { if !isDone { isDone = try transfer.isDone() } }

        func finish() throws {
            if !isDone { try Transfer.wait([transfer]) }
            isDone = true
        }
    }

    extension Range<Int> {
        /// What `stretch`, counted from the beginning of this range, has of it.
        fileprivate func part(_ stretch: Range<Int>) -> Range<Int> {
            let start = Swift.min(upperBound, lowerBound + stretch.lowerBound)
            return start..<Swift.max(start, Swift.min(upperBound, lowerBound + stretch.upperBound))
        }
    }
#endif
