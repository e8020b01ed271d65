#if MPI
    import BEiTFiles
    import CBEiTMPIShim
    import Foundation
    import Synchronization

    /// The numbers of a run's queues, on the first rank. There is one queue at a time; the next one has the next serial.
    final class NumberServer: Sendable {
        private struct State {
            var serial = 0
            var left = ArraySlice<Int>()
            var takenElsewhere = 0
        }
        private let state = Mutex(State())

        /// Whether somebody may ask.
        var isOpen: Bool { state.withLock { $0.serial > 0 } }
        var takenElsewhere: Int { state.withLock { $0.takenElsewhere } }

        func open(_ serial: Int, _ numbers: [Int]) {
            state.withLock { $0 = State(serial: serial, left: numbers[...]) }
        }

        /// What this rank gets of the queue of that serial.
        func next(_ serial: Int) -> Int? { state.withLock { $0.serial == serial ? $0.left.popFirst() : nil } }

        func close() { state.withLock { $0.left = [] } }

        /// What another rank gets that asks for a number; nil where this rank has not come as far as that queue.
        func answer(_ request: NumberRequest) -> Int64? {
            state.withLock { state in
                guard request.serial <= state.serial else { return nil }
                guard request.serial == state.serial else { return NumberRequest.none }
                if request.closes { state.left = [] }
                guard let number = state.left.popFirst() else { return NumberRequest.none }
                state.takenElsewhere += 1
                return Int64(number)
            }
        }
    }

    /// What a rank asks the first one.
    struct NumberRequest {
        /// For a number where none is left.
        static let none: Int64 = -1

        var serial: Int
        /// Whether nobody is to get any more.
        var closes = false

        init(serial: Int, closes: Bool = false) { (self.serial, self.closes) = (serial, closes) }

        init(code: Int64) { (serial, closes) = (Int(code >> 1), code & 1 == 1) }

        var code: Int64 { Int64(serial) << 1 | (closes ? 1 : 0) }
    }

    /// The queue as the first rank has it.
    struct ServedNumbers: NumberQueue {
        let server: NumberServer
        let serial: Int

        func next() -> Int? { server.next(serial) }
        func close() { server.close() }
        var takenElsewhere: Int { server.takenElsewhere }
    }

    /// The queue as the others have it: they ask for each number.
    final class RemoteNumbers: NumberQueue {
        private let serial: Int
        /// One asks at a time, so that answers do not meet.
        private let turn = Mutex(())

        init(serial: Int) { self.serial = serial }

        var takenElsewhere: Int { 0 }

        func next() throws -> Int? {
            let number = try ask(NumberRequest(serial: serial))
            return number < 0 ? nil : Int(number)
        }

        func close() throws { _ = try ask(NumberRequest(serial: serial, closes: true)) }

        private func ask(_ request: NumberRequest) throws -> Int64 {
            try turn.withLock { _ in
                // The question, and room for the answer. Where none comes the memory stays: MPI may write to it later.
                let words = UnsafeMutablePointer<Int64>.allocate(capacity: Pulse.messageWords + 1)
                Pulse.Message.question(request).write(to: words)
                let answer = words + Pulse.messageWords
                let receiving = try Transfer { beitseg_mpi_receive(Int32(beitseg_mpi_numbers), answer, 8, 0, $0) }
                try Transfer.wait([try Pulse.send(words, to: 0), receiving])
                defer { words.deallocate() }
                return answer.pointee
            }
        }
    }
#endif
