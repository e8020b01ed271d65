import BEiTReports
import Foundation

extension LogLine {
    /// The lines of the log at `path`; none where it cannot be read.
    static func read(_ path: String) -> [LogLine] {
        lines(of: (try? String(contentsOfFile: path, encoding: .utf8)) ?? "", file: path)
    }
}
