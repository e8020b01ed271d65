extension Interruption {
    /// Thrown where work stops because a signal came.
    package struct Stop: ExitStatus, Equatable {
        package let signal: Int32
        /// How far the work had come: `after 3 of 20 images`.
        package let progress: String?

        package var description: String { ["interrupted", progress].compactMap { $0 }.joined(separator: " ") }
        package var exitStatus: Int32 { 128 + signal }

        package init(signal: Int32, progress: String? = nil) { (self.signal, self.progress) = (signal, progress) }
    }

    /// Throws ``Stop`` where a signal has been noted.
    package static func check() throws(Stop) {
        if let signal { throw Stop(signal: signal) }
    }
}
