import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTModels
import BEiTOps
import BEiTTensorCore

/// A segmentation network as windows see it.
package struct WindowNetwork {
    package let size: WindowSize
    /// K.
    package let classes: Int
    let scaling: PixelScaling
    /// How photos are brought to a size.
    package let filter: ResizeFilter
    /// How the samples of an image become RGB, where nobody says otherwise.
    package let reading: ImageReading
    /// `[B, 3, H, W]`, normalised → maps `[B, h, w, C]`, h and w whole multiples of the window's patches. Where windows
    /// overlap their maps are averaged: what follows is linear.
    let maps: (Tensor) -> Tensor
    /// C.
    let channels: Int
    /// `[1, rows, w, C]` of maps → logits `[1, rows, w, K]`; nil where the maps are logits.
    let classifier: ((Tensor) -> Tensor)?

    package init(
        size: WindowSize, classes: Int, scaling: PixelScaling, filter: ResizeFilter = .bilinear,
        logits: @escaping (Tensor) -> Tensor
    ) {
        (self.size, self.classes, self.scaling, self.filter) = (size, classes, scaling, filter)
        reading = ImageReading()
        (maps, channels, classifier) = (logits, classes, nil)
    }

    package init(_ segmenter: Segmenter, _ description: ModelDescription) {
        let (backbone, last) = (segmenter.backbone.configuration, segmenter.decoder.classifier)
        size = WindowSize(patch: backbone.patchSize, rows: backbone.gridHeight, columns: backbone.gridWidth)
        classes = description.classes.count
        scaling = PixelScaling(mean: description.preprocessing.mean, std: description.preprocessing.std)
        (filter, reading) = (description.preprocessing.filter, description.preprocessing.reading)
        // Of logits and what they are made of, the thinner one is kept and averaged.
        if last.inputs < last.outputs {
            (maps, channels) = ({ segmenter.map(Variable($0), Tape(.inference)).value }, last.inputs)
            classifier = { last(Variable($0), Tape(.inference)).value }
        } else {
            (maps, channels) = ({ segmenter(Variable($0), Tape(.inference)).value }, last.outputs)
            classifier = nil
        }
    }
}

/// A segmentation model of a file.
package struct SegmentationModel {
    package let network: WindowNetwork
    package let description: ModelDescription
    /// The file.
    package let path: String

    package var classes: [LabelClass] { description.classes }

    /// - Parameters:
    ///   - size: height and width in pixels of the pictures that it is to take; nil for those of the file.
    ///   - precision: what it computes with; nil for what suits the file.
    /// - Throws: ``CheckpointError``, `HDF5Error`.
    package init(_ path: String, size: [Int]? = nil, precision: Precision? = nil) throws {
        let (model, description) = try Checkpoint.load(
            path, task: .segmentation, for: .inference(precision), size: size)
        guard case .segmentation(let segmenter) = model else { preconditionFailure("a model of another task") }
        (network, self.description, self.path) = (WindowNetwork(segmenter, description), description, path)
    }
}

extension Preprocessing {
    /// How photos are resized.
    package var filter: ResizeFilter {
        guard let filter = ResizeFilter(rawValue: resize) else { preconditionFailure("an unchecked filter \(resize)") }
        return filter
    }
}
