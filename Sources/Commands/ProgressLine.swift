import BEiTFiles
import Foundation

/// Progress on standard error: a bar that renews itself on a terminal, elsewhere a plain line now and then.
final class ProgressLine {
    private let quiet: Bool
    private var lastLine: ContinuousClock.Instant?
    /// Time between two plain lines, and between two renewals of the bar.
    private static let (pause, renewal) = (Duration.seconds(20), Duration.milliseconds(100))

    /// - Parameter patient: whether the first plain line waits for its time, as for what may be over before.
    init(quiet: Bool, patient: Bool = true) {
        self.quiet = quiet
        lastLine = patient ? .now : nil
    }

    /// - Parameters:
    ///   - share: of the whole, 0…1.
    ///   - text: what stands behind the bar, or in the plain line.
    func show(_ share: Double, _ text: @autoclosure () -> String) {
        let pause = Terminal.isThere ? Self.renewal : Self.pause
        guard !quiet, lastLine.map({ .now - $0 > pause }) ?? true else { return }
        lastLine = .now
        guard Terminal.isThere else { return Console.write(text()) }
        Console.renew(Terminal.bar(share, text().shown, columns: Terminal.columns))
    }

    /// A message that stays.
    func say(_ text: String) {
        if !quiet { Console.write(text) }
    }

    /// Makes room for what comes behind it.
    func clear() {
        if Terminal.isThere && !quiet { Console.renew("") }
    }

    static func time(_ seconds: Double) -> String {
        guard seconds.isFinite else { return "?" }
        let seconds = Int(min(seconds.rounded(), 1e9))
        if seconds < 120 { return "\(seconds) s" }
        return seconds < 7200 ? "\(seconds / 60) min" : String(format: "%.1f h", Double(seconds) / 3600)
    }
}

/// Progress over images, told from any thread.
final class ImageProgress: @unchecked Sendable {
    private let line: ProgressLine
    private let start = ContinuousClock.now
    private let lock = NSLock()
    private var (done, failed) = (0, 0)
    /// How many images there are; nil while nobody has said so.
    private var all: Int?
    /// Of the image in work.
    private var share = 0.0

    init(quiet: Bool, of all: Int? = nil) {
        line = ProgressLine(quiet: quiet)
        self.all = all
    }

    /// Notes an image.
    /// - Parameters:
    ///   - done: how many of all have come.
    ///   - error: why it failed; shown in a line of its own.
    func note(done: Int, of all: Int, error: String? = nil) {
        lock.withLock {
            (self.done, self.all, share) = (done, all, 0)
            if let error { tell(error) }
            show()
        }
    }

    /// Notes that so many images of a set whose size is known are done.
    func note(done: Int) {
        lock.withLock {
            (self.done, share) = (done, 0)
            show()
        }
    }

    /// Notes why an image failed, which is counted elsewhere.
    func fail(_ error: String) { lock.withLock { tell(error) } }

    private func tell(_ error: String) {
        failed += 1
        Console.error(error)
    }

    /// Notes how far the image in work has come, 0…1.
    func note(share: Double) {
        lock.withLock {
            self.share = share
            show()
        }
    }

    private func show() {
        let all = all ?? done + 1
        let came = min(Double(all), Double(done) + share)
        let rate = came / ((ContinuousClock.now - start) / .seconds(1))
        let count =
            share > 0
            ? String(format: "%d/%d images, the next %.0f %%", done, all, 100 * share) : "\(done)/\(all) images"
        let lost = failed > 0 ? ", \(failed) failed" : ""
        line.show(
            came / Double(max(1, all)),
            count + String(format: "  %.\(rate < 1 ? 3 : 1)f images/s  ", rate)
                + ProgressLine.time((Double(all) - came) / rate) + " left" + lost)
    }

    func end() { lock.withLock { line.clear() } }
}
