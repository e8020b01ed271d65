import ArgumentParser
import BEiTFiles
import BEiTImageIO
import BEiTPrediction
import Logging

/// The photos that a command works on.
struct PhotoArguments: ParsableArguments {
    @Argument(help: "An image, a folder, a .txt list of images, or - for a list on standard input.")
    var paths: [String]

    func validate() throws {
        if paths.isEmpty { throw ValidationError("name an image, a folder, a .txt list, or -") }
    }

    /// Finds them, and says what is left out.
    func find(excluding output: String? = nil, flat: Bool = false, _ log: Logger) throws -> [InputImage] {
        let found = try InputImages(paths, excluding: output, flat: flat)
        if let text = found.leftOut.description {
            log.log(level: found.leftOut.hasImages ? .warning : .info, "\(text)")
        }
        return found.images
    }
}

/// How a command reads images.
struct ReadingOptions: ParsableArguments {
    @Flag(help: "Decode a damaged JPEG as far as its data go, with a warning, instead of leaving it out.")
    var allowDamaged = false

    /// Takes effect on all images that this process reads.
    func apply(_ log: Logger) {
        guard allowDamaged else { return }
        DamagedImages.standard = DamagedImages { error in
            guard case .damaged(let why) = error.reason else { return }
            log.warning("\(error.path.shown): is damaged: \(why); decoded as far as it goes")
        }
    }
}

/// A command that reads images.
protocol ImageCommand: Command {
    var reading: ReadingOptions { get }
}

extension ImageCommand {
    /// Does work on many images: its progress is shown, and a signal lets it bring its files in order.
    /// - Parameter count: of the images, where they are known.
    func working<Result>(
        on count: Int? = nil, quiet: Bool = false, _ work: (ImageProgress) throws -> Result
    ) throws -> Result {
        let progress = ImageProgress(quiet: common.quiet || quiet, of: count)
        defer { progress.end() }
        return try Interruption.noting(patience: Interruption.short) { try work(progress) }
    }
}
