import ArgumentParser
import BEiTFiles
import BEiTImageIO
import BEiTPrediction
import Logging

/// The photos that a command works on.
struct PhotoArguments: ParsableArguments {
    @Argument(
        help:
            "An image, a folder, a .txt list of images, - for a list on standard input, or .tar shards ('shards/*-{000..099}.tar')."
    )
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
        for note in found.notes { log.warning("\(note)") }
        return found.images
    }
}

/// How a command reads images.
struct ReadingOptions: ParsableArguments {
    @Flag(help: "Decode a damaged JPEG as far as its data go, with a warning, instead of leaving it out.")
    var allowDamaged = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Values of samples that are black and white: auto, full, percentile, or LOW,HIGH such as 0,4095 (default: as the model has learned, else auto).",
            valueName: "range"), transform: Self.range)
    var range: ImageReading.Range?

    @Option(
        help: ArgumentHelp(
            "Bands that are red, green and blue, such as 4,3,2, or one for grey; auto: as the file says (default: as the model has learned, else auto).",
            valueName: "bands"), transform: Self.bands)
    var bands: Bands?

    @Option(
        help: ArgumentHelp(
            "The page of TIFFs of several, counted from 1; predict also takes 2-5 and all (default: 1).",
            valueName: "page"), transform: Self.page)
    var page: PageSelection?

    /// Bands by their numbers; none: as the file says.
    struct Bands { var numbers: [Int] }

    private static func range(_ text: String) throws -> ImageReading.Range {
        guard let range = ImageReading.Range(rawValue: text) else {
            throw ValidationError("\(text) is none of auto, full and percentile, and no LOW,HIGH such as 0,4095")
        }
        if let problem = range.problem { throw ValidationError(problem) }
        return range
    }

    private static func bands(_ text: String) throws -> Bands {
        if text == "auto" { return Bands(numbers: []) }
        // What is no number is no band, as 0 is none.
        let numbers = text.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
        if let problem = ImageReading.problem(ofBands: numbers) { throw ValidationError(problem) }
        return Bands(numbers: numbers)
    }

    private static func page(_ text: String) throws -> PageSelection {
        guard let page = PageSelection(text) else {
            throw ValidationError(
                "\(text) is no page such as 2, no range such as 2-5, and not all; pages are counted from 1")
        }
        return page
    }

    /// What is said of how images are read; of several pages nothing.
    var choice: ReadingChoice {
        var choice = ReadingChoice()
        (choice.range, choice.bands) = (range, bands?.numbers)
        if case .one(let number) = page { choice.page = number }
        return choice
    }

    /// What changes results, as it was typed.
    func given() -> String {
        let bands = bands.map { $0.numbers.isEmpty ? "auto" : $0.numbers.map(String.init).joined(separator: ",") }
        var parts = [range.map { "--range \($0.rawValue)" }, bands.map { "--bands \($0)" }]
        // Of several pages each has results of its own.
        if case .one(let number) = page { parts.append("--page \(number)") }
        return parts.compactMap { $0 }.joined(separator: " ")
    }

    /// Takes effect on all images that this process reads.
    func apply(_ log: Logger) {
        guard allowDamaged else { return }
        DamagedImages.standard = DamagedImages { error in
            guard case .damaged(let why) = error.reason else { return }
            // Of several processes only the one that reads it knows.
            Console.write("beit-seg: warning: \(error.path.shown): is damaged: \(why); decoded as far as it goes")
        }
    }
}

/// A command that reads images.
protocol ImageCommand: Command {
    var reading: ReadingOptions { get }
    /// Whether several pages of a file are several images to it.
    static var takesSeveralPages: Bool { get }
}

extension ImageCommand {
    static var takesSeveralPages: Bool { false }

    /// Throws `ValidationError` for pages that the command has no use for.
    func beginReading() throws {
        switch reading.page {
        case nil, .one: break
        case .range, .all:
            guard Self.takesSeveralPages else {
                throw ValidationError("--page takes one page here; predict alone takes several of a file")
            }
        }
        reading.apply(log)
    }

    /// Does work on many images: its progress is shown, and a signal lets it bring its files in order.
    /// - Parameter count: of the images, where they are known.
    func working<Result>(
        on count: Int? = nil, quiet: Bool = false, _ work: (ImageProgress) throws -> Result
    ) throws -> Result {
        let progress = ImageProgress(quiet: common.quiet || quiet || Launch.isSpokenFor, of: count)
        defer { progress.end() }
        return try Interruption.noting(patience: Interruption.short) { try work(progress) }
    }
}
