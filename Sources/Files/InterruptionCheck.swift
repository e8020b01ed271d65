extension Interruption {
    /// Thrown where work stops because a signal came.
    package struct Stop: ExitStatus, Equatable {
        package let signal: Int32
        package var description: String { "interrupted" }
        package var exitStatus: Int32 { 128 + signal }

        package init(signal: Int32) { self.signal = signal }
    }

    /// Throws ``Stop`` where a signal has been noted.
    package static func check() throws(Stop) {
        if let signal { throw Stop(signal: signal) }
    }
}
