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
        /// On the first rank, what others ask for numbers.
        private let server: NumberServer
        private let isOver = Atomic(false), hasEnded = Atomic(false)

        init(rank: Int, size: Int, _ server: NumberServer) {
            (self.rank, self.server) = (rank, server)
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

        /// Of a message.
        static let messageWords = 2

        /// What a rank says.
        enum Message {
            case alive
            /// The last one.
            case over
            case question(NumberRequest)

            init(_ words: UnsafePointer<Int64>) {
                self = words[0] == 0 ? .alive : words[0] == 1 ? .over : .question(NumberRequest(code: words[1]))
            }

            func write(to words: UnsafeMutablePointer<Int64>) {
                (words[0], words[1]) =
                    switch self {
                    case .alive: (0, 0)
                    case .over: (1, 0)
                    case .question(let request): (2, request.code)
                    }
            }
        }

        /// Starts to send a message, which has to stay where it is until then.
        static func send(_ message: UnsafePointer<Int64>, to rank: Int) throws -> Transfer {
            try Transfer {
                beitseg_mpi_send(Int32(beitseg_mpi_pulse), message, Int32(8 * messageWords), Int32(rank), $0)
            }
        }

        /// One of the others, as this thread knows it.
        private struct Other {
            let rank: Int
            /// What is sent and received, and the answer to a question.
            private let (sent, received, answer):
                (
                    UnsafeMutablePointer<Int64>, UnsafeMutablePointer<Int64>, UnsafeMutablePointer<Int64>
                )
            private var sending: Transfer?, receiving: Transfer?, answering: Transfer?
            private var question: NumberRequest?
            private var heard = ContinuousClock.now
            private var hasSaidOver = false, isOver = false

            init(_ rank: Int) throws {
                self.rank = rank
                let words = UnsafeMutablePointer<Int64>.allocate(capacity: 2 * messageWords + 1)
                (sent, received, answer) = (words, words + messageWords, words + 2 * messageWords)
                receiving = try receive()
            }

            /// Whether nothing is to be sent or to come any more.
            var hasEnded: Bool { hasSaidOver && isOver && sending == nil && answering == nil }

            private func receive() throws -> Transfer {
                try Transfer {
                    beitseg_mpi_receive(
                        Int32(beitseg_mpi_pulse), received, Int32(8 * messageWords), Int32(rank), $0)
                }
            }

            mutating func beat(isEnding: Bool, isDue: Bool) throws {
                if let transfer = sending, try transfer.isDone() { sending = nil }
                guard sending == nil, !hasSaidOver, isEnding || isDue else { return }
                (isEnding ? Message.over : .alive).write(to: sent)
                hasSaidOver = isEnding
                sending = try Pulse.send(sent, to: rank)
            }

            /// - Returns: for how long nothing has come.
            mutating func hear() throws -> Duration {
                guard let transfer = receiving else { return .zero }
                guard try transfer.isDone() else { return .now - heard }
                heard = .now
                receiving = nil
                switch Message(received) {
                case .alive: receiving = try receive()
                case .over: isOver = true
                case .question(let request):
                    question = request
                    receiving = try receive()
                }
                return .zero
            }

            mutating func reply(_ server: NumberServer) throws {
                if let transfer = answering, try transfer.isDone() { answering = nil }
                guard answering == nil, let request = question, let number = server.answer(request) else { return }
                question = nil
                answer.pointee = number
                answering = try Transfer {
                    beitseg_mpi_send(Int32(beitseg_mpi_numbers), answer, 8, Int32(rank), $0)
                }
            }
        }

        private func run() throws {
            var others = try others.map(Other.init)
            var next = ContinuousClock.now
            while true {
                let now = ContinuousClock.now, isEnding = isOver.load(ordering: .relaxed)
                for index in others.indices {
                    try others[index].beat(isEnding: isEnding, isDue: now >= next)
                    if try others[index].hear() > Self.silence {
                        end("process \(others[index].rank) has not been heard of for \(Self.silence)")
                    }
                    try others[index].reply(server)
                }
                if now >= next { next = now + Self.beat }
                if isEnding, others.allSatisfy(\.hasEnded) { return }
                // Those who ask for numbers wait for them.
                usleep(isEnding || server.isOpen ? 1000 : 100_000)
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
