import BEiTTensorCore
import CBEiTKernels

/// A window that slides over channels-last maps `[images, height, width, channels]`, read as a matrix: one row for each
/// position of the window, `kernelHeight·kernelWidth·channels` columns in the order (row, column, channel) of the
/// pixels below it, zero outside the map (im2col).
struct Window {
    let images, height, width, channels: Int
    let kernelHeight, kernelWidth: Int
    let stride: Int
    /// The pixel below the window's first corner at its first position; negative in the padding.
    let top, left: Int
    /// How many positions the window takes in each direction.
    let gridHeight, gridWidth: Int

    var columns: Int { kernelHeight * lineLength }
    /// Elements of one row of the window, which are side by side on the map too.
    var lineLength: Int { kernelWidth * channels }
    var positions: Int { images * gridHeight * gridWidth }

    /// Whether the matrix is the map itself.
    var isIdentity: Bool {
        kernelHeight == 1 && kernelWidth == 1 && stride == 1 && top == 0 && left == 0 && gridHeight == height
            && gridWidth == width
    }

    /// Some rows of the window alone.
    func rows(_ kernelRows: Range<Int>) -> Window {
        Window(
            images: images, height: height, width: width, channels: channels, kernelHeight: kernelRows.count,
            kernelWidth: kernelWidth, stride: stride, top: top + kernelRows.lowerBound, left: left,
            gridHeight: gridHeight, gridWidth: gridWidth)
    }

    /// Writes the rows `positions` of the matrix; each byte of the padding is `padding`.
    func gather(
        _ positions: Range<Int>, elementBytes: Int, padding: UInt8 = 0, from map: UnsafeRawPointer,
        into matrix: UnsafeMutableRawPointer
    ) {
        var window = forKernels
        beitseg_gather_window(&window, map, elementBytes, padding, positions.lowerBound, positions.count, matrix)
    }

    /// Writes where the lines of rows `positions` of the matrix are.
    /// - Parameter spare: for lines in the padding; has room for one more than there are lines.
    func locate(
        _ positions: Range<Int>, elementBytes: Int, on map: UnsafeRawPointer,
        into lines: UnsafeMutablePointer<UnsafeRawPointer?>, spare: UnsafeMutableRawPointer
    ) {
        var window = forKernels
        beitseg_window_lines(&window, map, elementBytes, positions.lowerBound, positions.count, lines, spare)
    }

    private var forKernels: beitseg_window {
        beitseg_window(
            height: height, width: width, channels: channels, kernel_height: kernelHeight, kernel_width: kernelWidth,
            stride: stride, top: top, left: left, grid_height: gridHeight, grid_width: gridWidth)
    }
}

/// Pixels of a channels-last map, `step` apart in both directions from (`top`, `left`) on: where the results of a
/// window's positions go.
struct Lattice {
    let height, width, channels: Int
    let step, top, left: Int

    /// Whether the lattice is the whole map.
    var isDense: Bool { step == 1 }

    /// Copies `rows`, one for each of the positions of `window`, to channels `columns` of their pixels.
    func scatter(
        _ rows: UnsafePointer<Float>, _ positions: Range<Int>, of window: Window, columns: Range<Int>,
        into map: UnsafeMutablePointer<Float>
    ) {
        var source = rows
        for position in positions {
            let (row, gridX) = position.quotientAndRemainder(dividingBy: window.gridWidth)
            let (image, gridY) = row.quotientAndRemainder(dividingBy: window.gridHeight)
            let pixel = (image * height + gridY * step + top) * width + gridX * step + left
            (map + pixel * channels + columns.lowerBound).update(from: source, count: columns.count)
            source += columns.count
        }
    }
}
