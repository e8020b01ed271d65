import Foundation

/// Progress on standard error: a bar that renews itself on a terminal, elsewhere a plain line now and then.
final class ProgressLine {
    private let quiet: Bool
    private let isTerminal = isatty(STDERR_FILENO) != 0
    private var lastLine: ContinuousClock.Instant?
    /// Time between two plain lines, and between two renewals of the bar.
    private static let (pause, renewal) = (Duration.seconds(20), Duration.milliseconds(100))

    /// - Parameter patient: whether the first plain line waits for its time, as for what may be over before.
    init(quiet: Bool, patient: Bool = true) {
        self.quiet = quiet
        lastLine = patient ? .now : nil
    }

    /// - Parameter text: what stands behind the bar, or in the plain line.
    func show(_ done: Int, of all: Int, _ text: @autoclosure () -> String) {
        let pause = isTerminal ? Self.renewal : Self.pause
        guard !quiet, lastLine.map({ .now - $0 > pause }) ?? true else { return }
        lastLine = .now
        guard isTerminal else { return Console.write(text()) }
        let filled = 20 * min(done, all) / max(1, all)
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 20 - filled)
        Console.emit("\r\u{1B}[K\(bar) \(text().shown)")
    }

    /// A message that stays.
    func say(_ text: String) {
        guard !quiet else { return }
        clear()
        Console.write(text)
    }

    /// Makes room for a message or the end.
    func clear() {
        if isTerminal && !quiet { Console.emit("\r\u{1B}[K") }
    }

    static func time(_ seconds: Double) -> String {
        guard seconds.isFinite else { return "?" }
        let seconds = Int(seconds.rounded())
        if seconds < 120 { return "\(seconds) s" }
        return seconds < 7200 ? "\(seconds / 60) min" : String(format: "%.1f h", Double(seconds) / 3600)
    }
}

/// Progress over images, told from any thread.
final class ImageProgress: @unchecked Sendable {
    private let line: ProgressLine
    private let start = ContinuousClock.now
    private let lock = NSLock()
    private var (done, left, failed) = (0, 1, 0)
    /// What was said of the images that are done.
    private var text = ""

    init(quiet: Bool) { line = ProgressLine(quiet: quiet) }

    /// Notes an image.
    /// - Parameters:
    ///   - left: how many are to come.
    ///   - error: why it failed; shown in a line of its own.
    func note(left: Int, error: String? = nil) {
        lock.withLock {
            done += 1
            self.left = left
            if let error {
                failed += 1
                line.clear()
                Console.error(error)
            }
            let rate = Double(done) / ((ContinuousClock.now - start) / .seconds(1))
            text = String(
                format: "%d/%d images  %.1f images/s  %@ left%@", done, done + left, rate,
                ProgressLine.time(Double(left) / rate), failed > 0 ? ", \(failed) failed" : "")
            line.show(done, of: done + left, text)
        }
    }

    /// Notes which share of the present image is done, 0…1; an image of a few windows goes without.
    func note(share: Double) {
        lock.withLock {
            guard share > 0, share < 1 else { return }
            line.show(
                Int(1000 * (Double(done) + share)), of: 1000 * (done + left),
                String(format: "%@%.0f %% of the next image", text.isEmpty ? "" : text + "  ", 100 * share))
        }
    }

    func end() { lock.withLock { line.clear() } }
}
