import BEiTCheckpoints
import BEiTDatasets
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
    /// `[B, 3, H, W]`, normalised → logits `[B, h, w, K]`, h and w whole multiples of the window's patches.
    let logits: (Tensor) -> Tensor

    package init(size: WindowSize, classes: Int, scaling: PixelScaling, logits: @escaping (Tensor) -> Tensor) {
        (self.size, self.classes, self.scaling, self.logits) = (size, classes, scaling, logits)
    }

    package init(_ segmenter: Segmenter, _ description: ModelDescription) {
        let backbone = segmenter.backbone.configuration
        self.init(
            size: WindowSize(patch: backbone.patchSize, rows: backbone.gridHeight, columns: backbone.gridWidth),
            classes: description.classes.count,
            scaling: PixelScaling(mean: description.preprocessing.mean, std: description.preprocessing.std)
        ) { segmenter(Variable($0), Tape(.inference)).value }
    }
}

/// The logits of one pass over a photo, from top to bottom.
///
/// Where windows overlap their logits are averaged. Only the rows of one row of windows are ever in memory.
final class LogitsStream {
    private let network: WindowNetwork
    private let image: RGBImage
    private let plan: WindowPlan
    private let isMirrored: Bool
    private let batch: Int
    /// Rows `[w, K]`; the first is row `first`.
    private var band: [Tensor] = []
    private var first = 0
    private var nextOrigin = 0
    /// Logits per patch in each direction; known from the first window on.
    private var resolution = 0

    /// - Parameters:
    ///   - image: resized as planned.
    ///   - isMirrored: every window is seen mirrored, and its logits are turned back.
    init(_ network: WindowNetwork, _ image: RGBImage, _ plan: WindowPlan, isMirrored: Bool, batch: Int) {
        precondition(image.width == plan.width && image.height == plan.height, "an image that is not as planned")
        (self.network, self.image, self.plan) = (network, image, plan)
        (self.isMirrored, self.batch) = (isMirrored, max(1, batch))
        computeWindows()
    }

    var height: Int { plan.rows.count * resolution }
    var width: Int { plan.columns.count * resolution }

    /// Rows of the logits; the ranges asked for go down the photo, and what lies above is forgotten.
    func rows(_ range: Range<Int>) -> [Tensor] {
        while finished < range.upperBound { computeWindows() }
        precondition(range.lowerBound >= first, "rows \(range) are gone")
        band.removeFirst(range.lowerBound - first)
        first = range.lowerBound
        return Array(band[..<range.count])
    }

    /// Rows above which no further window lies.
    private var finished: Int {
        nextOrigin < plan.rows.origins.count ? plan.rows.origins[nextOrigin] * resolution : height
    }

    /// Computes the next row of windows.
    private func computeWindows() {
        let top = plan.rows.origins[nextOrigin]
        nextOrigin += 1
        let origins = plan.columns.origins
        for start in stride(from: 0, to: origins.count, by: batch) {
            let part = origins[start..<min(origins.count, start + batch)]
            let logits = network.logits(pixels(top: top, lefts: part))
            precondition(
                logits.shape.count == 4 && logits.shape[1] % plan.size.rows == 0
                    && logits.shape[1] / plan.size.rows == logits.shape[2] / plan.size.columns
                    && logits.shape[3] == network.classes, "logits \(logits.shape) do not fit the patches")
            resolution = logits.shape[1] / plan.size.rows
            for (index, left) in part.enumerated() { add(logits, index, top: top, left: left) }
        }
    }

    private func pixels(top: Int, lefts: ArraySlice<Int>) -> Tensor {
        let size = plan.size
        let pixels = Tensor(uninitialized: [lefts.count, 3, size.height, size.width])
        for (index, left) in lefts.enumerated() {
            let window = image.cropped(
                x: left * size.patch, y: top * size.patch, width: size.width, height: size.height)
            network.scaling.write(
                isMirrored ? window.flippedHorizontally() : window,
                to: pixels.pointer + index * 3 * size.height * size.width)
        }
        return pixels
    }

    /// Adds the window `index` of `logits` at the patch (`top`, `left`), by its share in the average.
    private func add(_ logits: Tensor, _ index: Int, top: Int, left: Int) {
        let (rows, columns, classes) = (logits.shape[1], logits.shape[2], network.classes)
        while first + band.count < top * resolution + rows { band.append(.zeros([width, classes])) }
        let across = plan.columns.coverage[left..<left + plan.size.columns]
        let runs = Self.runs(Array(across))
        for row in 0..<rows {
            let down = plan.rows.coverage[top + row / resolution]
            let from = logits.pointer + (index * rows + row) * columns * classes
            let to = band[top * resolution + row - first].pointer + left * resolution * classes
            if isMirrored { Elementwise.reverseRows(from, columns, classes) }
            for (patches, coverage) in runs {
                let start = patches.lowerBound * resolution * classes
                Elementwise.addScaled(
                    1 / Float(down * coverage), from + start, into: to + start,
                    count: patches.count * resolution * classes)
            }
        }
    }

    /// Neighbours with the same value.
    private static func runs(_ values: [Int]) -> [(Range<Int>, Int)] {
        var runs: [(Range<Int>, Int)] = []
        for (place, value) in values.enumerated() {
            if let last = runs.last, last.1 == value {
                runs[runs.count - 1].0 = last.0.lowerBound..<place + 1
            } else {
                runs.append((place..<place + 1, value))
            }
        }
        return runs
    }
}
