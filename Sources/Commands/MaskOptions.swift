import ArgumentParser
import BEiTDatasets

extension DatasetLayout: ExpressibleByArgument {}
extension MaskOrientation: ExpressibleByArgument {}

extension DatasetSplit: ExpressibleByArgument {
    package init?(argument: String) {
        guard !argument.isEmpty else { return nil }
        self.init(rawValue: argument)
    }
}

/// What a pixel is that no shape of an annotation covers.
enum UnlabelledPixels: String, ExpressibleByArgument, CaseIterable { case background, void }

/// How masks are found and read: of all commands with labelled photos.
struct MaskOptions: ParsableArguments {
    @Option(help: "How the data lies in its folder (default: found by the folders that are there).")
    var layout: DatasetLayout?

    @Option(
        help: ArgumentHelp(
            "The value of pixels that do not count, as the file has it (default: 255).", valueName: "value"))
    var ignoreIndex: Int?

    @Flag(help: "Masks hold 0 for void and n for class n - 1 (ADE20K's layout does so by itself).")
    var reduceZeroLabel = false

    @Flag(help: "Masks of two classes: 0 is the first, 255 (or 1) the second.")
    var binary = false

    @Option(
        help: ArgumentHelp(
            "What the names of masks end in beyond those of their photos, such as _mask (default: found where all end alike).",
            valueName: "text"))
    var maskSuffix: String?

    @Option(
        help: """
            How masks lie whose photo its Exif turns, where sizes do not tell: upright (default); stored as the photo is, and turned \
            with it; both-stored: neither is turned.
            """)
    var maskOrientation: MaskOrientation?

    @Option(
        help: ArgumentHelp(
            "The share of the training photos that is held out where a data set has no val, by a hash of their names.",
            valueName: "share"))
    var validation: Double?

    @Option(
        help: ArgumentHelp(
            "Where the photos of annotations lie (default: beside them, or below their folder).", valueName: "folder"))
    var photos: String?

    @Option(help: "What pixels of annotated photos are that no shape covers: background (default), or void.")
    var unlabelled: UnlabelledPixels?

    var isGiven: Bool {
        layout != nil || ignoreIndex != nil || reduceZeroLabel || binary || maskSuffix != nil
            || maskOrientation != nil || validation != nil || photos != nil || unlabelled != nil
    }

    func validate() throws {
        if let ignoreIndex, !(0...65_535).contains(ignoreIndex) {
            throw ValidationError("--ignore-index \(ignoreIndex) is not 0 to 65535")
        }
        if let problem = rules.problem { throw ValidationError("--binary: \(problem)") }
        if let validation, !(0..<1 ~= validation) {
            throw ValidationError("--validation \(validation) is not from 0 to below 1")
        }
    }

    var rules: LabelRules {
        var rules = LabelRules()
        (rules.ignoreIndex, rules.reducesZeroLabel, rules.isBinary) = (ignoreIndex, reduceZeroLabel, binary)
        (rules.maskSuffix, rules.orientation) = (maskSuffix, maskOrientation ?? .upright)
        return rules
    }

    func apply(to options: inout DatasetOptions) {
        (options.layout, options.ignoreIndex) = (layout, ignoreIndex)
        (options.reducesZeroLabel, options.isBinary) = (reduceZeroLabel, binary)
        (options.maskSuffix, options.orientation) = (maskSuffix, maskOrientation ?? .upright)
        options.validationShare = validation ?? 0
        (options.annotations.photos, options.annotations.unlabelledIsVoid) = (photos, unlabelled == .void)
    }
}
