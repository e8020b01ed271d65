import BEiTFiles
import Foundation

/// The terminal behind standard error, if one is there.
enum Terminal {
    static let isThere = isatty(STDERR_FILENO) != 0

    /// Its width now; 80 where it does not say.
    static var columns: Int {
        var size = winsize()
        let isKnown = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        return isKnown ? Int(size.ws_col) : 80
    }

    /// Back to the line's beginning, and away with what is on it: a progress bar, or the `^C` of an interruption.
    static let clearing = "\r\u{1B}[K"

    /// A bar and a text on one line of `columns`, whatever its width. What does not fit is left out: the text's end, and
    /// half of the bar or all of it where the line is narrow. Some columns stay free for the `^C` of an interruption.
    static func bar(_ share: Double, _ text: String, columns: Int) -> String {
        let room = max(1, columns - 4)
        let length = room >= 76 ? 20 : room >= 60 ? 10 : 0
        let filled = Int(Double(length) * min(max(share, 0), 1))
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: length - filled)
        let shown = text.truncated(toColumns: room - (length > 0 ? length + 1 : 0))
        return length > 0 ? bar + " " + shown : shown
    }
}
