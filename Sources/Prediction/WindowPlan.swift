import BEiTImageIO

/// How photos reach a network that takes pictures of one size only.
package struct InferenceOptions: Equatable, Sendable {
    /// What is done to a photo's size before windows are laid over it.
    package enum Resizing: Equatable, Sendable {
        /// Until the photo just covers one window; the longer side is then slid over.
        case toWindow
        /// Until its short side has this many pixels.
        case shortSide(Int)
        /// Nothing: windows lie over the photo's own pixels.
        case none
        /// Until a window covers a square of this many pixels of the photo.
        case crop(Int)
    }
    package var resizing = Resizing.toWindow
    /// From one window to the next, in pixels of the photo for ``Resizing/crop(_:)``, of the resized photo otherwise; nil
    /// for two thirds of a window.
    package var stride: Int?
    /// Test-time augmentation: further factors on the size; the probabilities of all are averaged.
    package var scales = [1.0]
    /// Each scale is seen mirrored as well.
    package var flips = false
    /// Windows that go through the network together.
    package var batch = 4
    /// Photos with more pixels are refused.
    package var maximumPixels = ImageLimits().maximumPixels
    /// How images are read otherwise than the network has learned.
    package var reading = ReadingChoice()

    package init() {}
}

/// The pictures that a network takes, and the patches that they are cut into.
package struct WindowSize: Equatable, Sendable {
    /// P, the side of a patch in pixels.
    package var patch: Int
    /// Patches of a window.
    package var rows, columns: Int

    package init(patch: Int, rows: Int, columns: Int) { (self.patch, self.rows, self.columns) = (patch, rows, columns) }

    var height: Int { rows * patch }
    var width: Int { columns * patch }
}

/// A photo resized to whole patches, and windows all over it.
///
/// The photo keeps its ratio to within half a patch and is at least as large as a window. Windows step by two thirds of
/// their side, the last of a row or column is shifted back to end with the photo (mmsegmentation's `slide_inference`,
/// crop 512 and stride 341); everything begins at whole patches, so that the logits of windows lie on one grid.
struct WindowPlan: Equatable, Sendable {
    struct Axis: Equatable, Sendable {
        /// Patches of the photo and of a window.
        let count, window: Int
        /// The windows' first patches, ascending.
        let origins: [Int]
        /// For each patch the windows that cover it.
        let coverage: [Int]

        init(count: Int, window: Int, stride: Int) {
            (self.count, self.window) = (count, window)
            let steps = (max(count - window, 0) + stride - 1) / stride
            origins = (0...steps).map { min($0 * stride, count - window) }
            var coverage = [Int](repeating: 0, count: count)
            for origin in origins { for patch in origin..<origin + window { coverage[patch] += 1 } }
            self.coverage = coverage
        }
    }
    let size: WindowSize
    let rows, columns: Axis

    var height: Int { rows.count * size.patch }
    var width: Int { columns.count * size.patch }

    var windows: Int { rows.origins.count * columns.origins.count }
    var isOneWindow: Bool { windows == 1 }

    /// - Parameter scale: a further factor on the size.
    init(photoHeight: Int, photoWidth: Int, _ size: WindowSize, _ options: InferenceOptions, scale: Double = 1) {
        let (photoHeight, photoWidth) = (Double(photoHeight), Double(photoWidth))
        let covering = max(Double(size.height) / photoHeight, Double(size.width) / photoWidth)
        let window = Double(min(size.height, size.width))
        let factor: Double
        var stride = options.stride.map(Double.init)
        switch options.resizing {
        case .toWindow: factor = covering
        case .shortSide(let pixels): factor = Double(pixels) / min(photoHeight, photoWidth)
        case .none: factor = 1
        case .crop(let pixels):
            factor = window / Double(pixels)
            stride = stride.map { $0 * factor }
        }
        let applied = max(factor * scale, covering)
        // A strip of 5000 × 1 pixels is not blown up to a thousand windows: its ratio is given up.
        let longest = 16 * min(photoHeight, photoWidth) * applied
        func axis(_ photo: Double, _ window: Int) -> Axis {
            let pixels = min(photo * applied, max(photo, longest))
            let count = max(window, Int((pixels / Double(size.patch)).rounded()))
            let step = stride.map { Int(($0 / Double(size.patch)).rounded()) } ?? (2 * window + 1) / 3
            return Axis(count: count, window: window, stride: min(max(1, step), window))
        }
        self.size = size
        rows = axis(photoHeight, size.rows)
        columns = axis(photoWidth, size.columns)
    }
}
