import BEiTFiles
import BEiTImageIO
import BEiTModels
import BEiTOps

/// How an image becomes the pixels of the model; the JSON `preprocessing`.
package struct Preprocessing: Codable, Equatable, Sendable {
    /// Per channel, for pixels in 0…1: the model receives (pixel − mean) / std.
    package var mean, std: [Float]
    /// Height and width in pixels.
    package var size: [Int]
    /// The name of a `ResizeFilter`.
    package var resize: String
    /// The share of a photo's shorter side that a classifier sees; nil for the usual one.
    package var cropShare: Double?
    /// Whether label 0 of the data that it learned from is void, and label 1 its first class (ADE20K).
    package var reduceZeroLabel: Bool?
    /// Whether it learned from several data sets, of which one may label what is background in another: there it may name its
    /// other classes. Nil for no.
    package var sharesBackground: Bool?
    /// How the samples of its images became RGB, where that was not the usual way: which of their values are black and
    /// white, and which bands are red, green and blue.
    package var range: ImageReading.Range?
    package var bands: [Int]?

    /// Of ImageNet's photos.
    package static let imageNetMean: [Float] = [0.485, 0.456, 0.406], imageNetStd: [Float] = [0.229, 0.224, 0.225]

    enum CodingKeys: String, CodingKey {
        case mean, std, size, resize, range, bands
        case cropShare = "crop_share"
        case reduceZeroLabel = "reduce_zero_label"
        case sharesBackground = "shared_background"
    }

    /// The authors' pre-training on ImageNet-22K: mean and deviation 0.5.
    package init(
        mean: [Float] = [0.5, 0.5, 0.5], std: [Float] = [0.5, 0.5, 0.5], size: [Int], resize: String = "bilinear"
    ) {
        (self.mean, self.std, self.size, self.resize) = (mean, std, size, resize)
    }

    /// Of the dVAE: φ(x) = 0.8·x + 0.1 as (x − mean) / std. Its authors and BEiT's resize with Lanczos' filter.
    package static func tokenizer(size: [Int]) -> Preprocessing {
        Preprocessing(
            mean: [-0.125, -0.125, -0.125], std: [1.25, 1.25, 1.25], size: size, resize: "lanczos")
    }

    /// How the images of the model are read; the page is none of its affairs.
    package var reading: ImageReading {
        get {
            var reading = ImageReading()
            (reading.range, reading.bands) = (range ?? .auto, bands)
            return reading
        }
        set { (range, bands) = (newValue.range == .auto ? nil : newValue.range, newValue.bands) }
    }

    /// What makes it impossible, in one sentence; nil if nothing does. The bounds are far beyond what any model has, and
    /// keep pixels finite.
    var problem: String? {
        if mean.count != 3 || !mean.allSatisfy({ abs($0) <= 1e6 }) {
            return "mean \(mean) is not three numbers of the size of pixels"
        }
        if std.count != 3 || !std.allSatisfy({ $0 >= 1e-6 && $0 <= 1e6 }) {
            return "std \(std) is not three numbers above 0 of the size of pixels"
        }
        if ResizeFilter(rawValue: resize) == nil {
            let known = ResizeFilter.allCases.map(\.rawValue).joined(separator: ", ")
            return "resize \(resize.debugDescription) is none of \(known)"
        }
        if let cropShare, !(cropShare > 0 && cropShare <= 1) {
            return "crop_share is \(cropShare), and must be above 0 and at most 1"
        }
        if size.count != 2 || !size.allSatisfy({ (1...1 << 15).contains($0) }) {
            return "size \(size) is not a height and a width in pixels"
        }
        return reading.problem
    }
}

/// Where a model comes from; the JSON `provenance`.
package struct Provenance: Codable, Equatable, Sendable {
    /// Of beit-seg.
    package var version: String
    /// The command that made the file, as it was typed.
    package var command: String
    package var seed: UInt64?
    /// Folders and files that it learned from.
    package var data: [String]?
    /// SHA-256 of the file that it started from, in hexadecimal.
    package var parentSHA256: String?
    /// The same of the tokenizer whose visual words a model predicts.
    package var tokenizerSHA256: String?
    package var metrics: [String: Double]?

    package init(
        version: String = beitSegVersion, command: String, seed: UInt64? = nil, data: [String]? = nil,
        parentSHA256: String? = nil, tokenizerSHA256: String? = nil, metrics: [String: Double]? = nil
    ) {
        (self.version, self.command, self.seed, self.data) = (version, command, seed, data)
        (self.parentSHA256, self.tokenizerSHA256, self.metrics) = (parentSHA256, tokenizerSHA256, metrics)
    }

    enum CodingKeys: String, CodingKey {
        case version, command, seed, data, metrics
        case parentSHA256 = "parent_sha256"
        case tokenizerSHA256 = "tokenizer_sha256"
    }
}

package let beitSegVersion = "0.1.0"

/// All that a checkpoint says of its model beside the weights.
package struct ModelDescription: Sendable {
    package var task: ModelTask
    package var configuration: ModelConfiguration
    /// In the order of the logits; empty for models without classes.
    package var classes: [LabelClass]
    package var preprocessing: Preprocessing
    package var provenance: Provenance
    /// What a model that was read for inference multiplies with.
    package var precision = Precision.fp32

    package init(
        task: ModelTask, configuration: ModelConfiguration, classes: [LabelClass], preprocessing: Preprocessing,
        provenance: Provenance
    ) {
        (self.task, self.configuration, self.classes) = (task, configuration, classes)
        (self.preprocessing, self.provenance) = (preprocessing, provenance)
    }

    /// What contradicts itself, in one sentence; nil if nothing does.
    var problem: String? {
        if let problem = configuration.problem { return "config: \(problem)" }
        if configuration.task != task { return "task: it says \(task.rawValue), but config describes another" }
        if let problem = preprocessing.problem { return "preprocessing: \(problem)" }
        if let size = configuration.backbone?.imageSize, size != preprocessing.size {
            return "preprocessing: size \(preprocessing.size) is not the image_size \(size) of config"
        }
        let wanted = configuration.decoder?.classes ?? configuration.classifier?.classes ?? 0
        if classes.count != wanted { return "classes: there are \(classes.count) where config says \(wanted)" }
        if let index = classes.firstIndex(where: { $0.name.isEmpty }) { return "classes: class \(index) has no name" }
        return task == .segmentation ? sharedName : nil
    }

    /// Masks and scores tell classes by their names. Lists for classification may have one twice (ImageNet's cranes).
    private var sharedName: String? {
        var first: [String: Int] = [:]
        for (index, info) in classes.enumerated() {
            if let other = first.updateValue(index, forKey: info.name) {
                return
                    "classes: class \(other) and class \(index) are both named \(info.name.shown); give each its own name"
            }
        }
        return nil
    }
}
