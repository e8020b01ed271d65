#if MPI
    import BEiTFiles
    import CBEiTMPIShim
    import Foundation

    /// What MPI has refused or lost.
    package struct MPIFailure: ExitStatus {
        package let description: String
        package let exitStatus: Int32

        init(_ description: String, exitStatus: Int32 = 74) {
            (self.description, self.exitStatus) = (description, exitStatus)
        }

        /// Throws where `code` is an error.
        static func check(_ code: Int32) throws(MPIFailure) {
            guard code != 0 else { return }
            var text = [CChar](repeating: 0, count: 512)
            beitseg_mpi_reason(code, &text, text.count)
            let reason = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw MPIFailure("the processes lost each other: \(reason)")
        }
    }

    /// A transfer between processes that goes on by itself while somebody asks for its end.
    struct Transfer {
        private let handle: OpaquePointer

        /// - Parameter start: one of the shim's calls that start something.
        init(_ start: (UnsafeMutablePointer<OpaquePointer?>) -> Int32) throws(MPIFailure) {
            var handle: OpaquePointer?
            try MPIFailure.check(start(&handle))
            guard let handle else { throw MPIFailure("the processes lost each other: nothing was started") }
            self.handle = handle
        }

        /// Whether it has ended; not to be asked after that.
        func isDone() throws(MPIFailure) -> Bool {
            var done: Int32 = 0
            try MPIFailure.check(beitseg_mpi_test(handle, &done))
            return done != 0
        }

        /// How long others may keep a process waiting that has been told to end.
        private static let patience = Duration.milliseconds(300)
        /// How long it looks without a pause: about as long as a small message takes.
        private static let spin = Duration.microseconds(200)

        /// Waits until all have ended.
        ///
        /// - Parameter deadline: throws ``Late`` then.
        /// - Throws: `Interruption.Stop` where a signal is noted and the others do not come for a while.
        static func wait(_ transfers: [Transfer], until deadline: ContinuousClock.Instant? = nil) throws {
            var open = transfers
            let start = ContinuousClock.now
            var told: (signal: Int32, since: ContinuousClock.Instant)?
            while true {
                var left: [Transfer] = []
                for transfer in open where try !transfer.isDone() { left.append(transfer) }
                open = left
                if open.isEmpty { return }
                let now = ContinuousClock.now
                if let deadline {
                    if now > deadline { throw Late() }
                } else if let (signal, since) = told {
                    if now - since > patience { throw Interruption.Stop(signal: signal) }
                } else if let signal = Interruption.signal {
                    told = (signal, now)
                }
                if now - start > spin { usleep(50) }
            }
        }

        struct Late: Error {}
    }
#endif
