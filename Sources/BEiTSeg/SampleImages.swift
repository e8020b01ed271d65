import BEiTFiles
import Foundation

/// The labelled photos that ship with beit-seg, found from any working directory.
package enum SampleImages {
    /// `samples/` beside the package that the executable was built in, or `share/beit-seg/samples/` of its prefix.
    package static func folder(executable: String = DefaultModel.executablePath) throws(FileError) -> String {
        let candidates = DefaultModel.candidates(executable: executable).map {
            URL(fileURLWithPath: $0).deletingLastPathComponent().deletingLastPathComponent()
                .appendingPathComponent("samples").path
        }
        let found = candidates.first { FileManager.default.fileExists(atPath: $0 + "/images") }
        guard let found else {
            throw FileError(
                .missing, path: "samples",
                reason: "not found beside the program; name a data set, or photos and masks")
        }
        return found
    }
}
