import CBEiTImageShim
import Foundation

/// How a resized pixel is made of its neighbours.
package enum ResizeFilter: String, Sendable, CaseIterable {
    case nearest, bilinear, bicubic, lanczos
}

/// A part of an image, in pixels and fractions of them, from the top left corner.
package struct Rectangle: Sendable, Equatable {
    package var x, y, width, height: Double

    package init(x: Double, y: Double, width: Double, height: Double) {
        (self.x, self.y, self.width, self.height) = (x, y, width, height)
    }
}

extension RGBImage {
    /// The image, or the part `box` of it, at another size. Shrinking averages over all pixels covered (antialiasing).
    ///
    /// Bit for bit what `Image.resize` of Pillow 13 gives for 8-bit RGB (`src/libImaging/Resample.c`, `Geometry.c`):
    /// weights of 22 bits after the point, each pass rounded to 8 bits. Before 13 the horizontal pass always came first;
    /// where the vertical one does now, those versions differ by a level or, at hard edges, by more.
    ///
    /// - Precondition: `width` and `height` are positive, and `box` is a non-empty part of the image.
    package func resized(width: Int, height: Int, filter: ResizeFilter, box: Rectangle? = nil) -> RGBImage {
        let (columns, rows) = spans(box, in: (self.width, self.height), to: (width, height))
        guard let kernel = Kernel(filter) else { return pickingNearest(columns, rows) }
        let across = Taps(columns, kernel)
        let down = Taps(rows, kernel)
        // Only the pixels that the second pass looks at go through the first one.
        let (usedColumns, usedRows) = (across.used, down.used)
        if rows.goFirst(before: columns) {
            return part(usedColumns, usedRows).resampledDown(down.counted(from: usedRows.lowerBound))
                .resampledAcross(across.counted(from: usedColumns.lowerBound), rows: 0..<height)
        }
        let narrow = columns.isIdentity ? part(0..<width, usedRows) : resampledAcross(across, rows: usedRows)
        return rows.isIdentity ? narrow : narrow.resampledDown(down.counted(from: usedRows.lowerBound))
    }

    private func part(_ columns: Range<Int>, _ rows: Range<Int>) -> RGBImage {
        if columns.count == width, rows.count == height { return self }
        return cropped(x: columns.lowerBound, y: rows.lowerBound, width: columns.count, height: rows.count)
    }

    private func resampledAcross(_ taps: Taps, rows: Range<Int>) -> RGBImage {
        let width = taps.starts.count
        let result = [UInt8](unsafeUninitializedCapacity: 3 * width * rows.count) { result, count in
            pixels.withUnsafeBufferPointer { pixels in
                for (y, row) in rows.enumerated() {
                    beitseg_resample_across(
                        pixels.baseAddress! + 3 * self.width * row, result.baseAddress! + 3 * width * y, width,
                        taps.starts, taps.counts, taps.weights, taps.stride)
                }
            }
            count = 3 * width * rows.count
        }
        return RGBImage(width: width, height: rows.count, pixels: result)
    }

    private func resampledDown(_ taps: Taps) -> RGBImage {
        let (rowBytes, height) = (3 * width, taps.starts.count)
        let result = [UInt8](unsafeUninitializedCapacity: rowBytes * height) { result, count in
            pixels.withUnsafeBufferPointer { pixels in
                taps.weights.withUnsafeBufferPointer { weights in
                    for y in 0..<height {
                        beitseg_resample_down(
                            pixels.baseAddress! + rowBytes * Int(taps.starts[y]), rowBytes,
                            weights.baseAddress! + taps.stride * y, Int(taps.counts[y]),
                            result.baseAddress! + rowBytes * y)
                    }
                }
            }
            count = rowBytes * height
        }
        return RGBImage(width: width, height: height, pixels: result)
    }

    private func pickingNearest(_ columns: Span, _ rows: Span) -> RGBImage {
        let (xs, ys) = (columns.nearest(), rows.nearest())
        let result = [UInt8](unsafeUninitializedCapacity: 3 * xs.count * ys.count) { result, count in
            pixels.withUnsafeBufferPointer { pixels in
                for y in ys {
                    for x in xs {
                        let pixel = 3 * (y * width + x)
                        result[count] = pixels[pixel]
                        result[count + 1] = pixels[pixel + 1]
                        result[count + 2] = pixels[pixel + 2]
                        count += 3
                    }
                }
            }
        }
        return RGBImage(width: xs.count, height: ys.count, pixels: result)
    }
}

extension IndexMask {
    /// The mask, or the part `box` of it, at another size, each pixel the nearest old one: where
    /// ``RGBImage/resized(width:height:filter:box:)`` with ``ResizeFilter/nearest`` takes it.
    package func resized(width: Int, height: Int, box: Rectangle? = nil) -> IndexMask {
        let (columns, rows) = spans(box, in: (self.width, self.height), to: (width, height))
        let (xs, ys) = (columns.nearest(), rows.nearest())
        let result = [UInt16](unsafeUninitializedCapacity: width * height) { result, count in
            values.withUnsafeBufferPointer { values in
                for y in ys {
                    for x in xs {
                        result[count] = values[y * self.width + x]
                        count += 1
                    }
                }
            }
        }
        return IndexMask(width: width, height: height, values: result, palette: palette)
    }
}

/// One axis of a resize: the part from `start` to `end` of `oldSize` pixels becomes `newSize` pixels.
struct Span {
    var oldSize: Int
    var start, end: Float  // Pillow rounds the box to single precision
    var newSize: Int

    var scale: Double { Double(end - start) / Double(newSize) }
    var isIdentity: Bool { newSize == oldSize && start == 0 && end == Float(oldSize) }

    /// Whether the pass along these rows comes before that along `columns`, by Pillow's measure of what that saves: the
    /// sizes of the whole image, whatever part of it is resized.
    func goFirst(before columns: Span) -> Bool {
        newSize < oldSize && oldSize - newSize > 2 * (columns.oldSize - columns.newSize) && !columns.isIdentity
    }

    /// The old pixel under the centre of each new one. Added up step by step as Pillow does, for the same rounding.
    func nearest() -> [Int] {
        var position = Double(start) + scale * 0.5
        return (0..<newSize).map { _ in
            defer { position += scale }
            return min(Int(position), oldSize - 1)
        }
    }
}

func spans(
    _ box: Rectangle?, in old: (width: Int, height: Int), to new: (width: Int, height: Int)
) -> (columns: Span, rows: Span) {
    let box = box ?? Rectangle(x: 0, y: 0, width: Double(old.width), height: Double(old.height))
    precondition(new.width > 0 && new.height > 0, "cannot resize to \(new.width) × \(new.height) pixels")
    precondition(
        box.x >= 0 && box.y >= 0 && box.width > 0 && box.height > 0 && box.x + box.width <= Double(old.width)
            && box.y + box.height <= Double(old.height),
        "\(box) is not a part of an image of \(old.width) × \(old.height) pixels")
    return (
        Span(oldSize: old.width, start: Float(box.x), end: Float(box.x + box.width), newSize: new.width),
        Span(oldSize: old.height, start: Float(box.y), end: Float(box.y + box.height), newSize: new.height)
    )
}

/// A weight as a function of distance, in pixels of the coarser grid; zero from `support` on.
struct Kernel {
    let support: Double
    let weight: @Sendable (Double) -> Double

    /// Nil for the nearest pixel, which needs no weights.
    init?(_ filter: ResizeFilter) {
        switch filter {
        case .nearest: return nil
        case .bilinear: (support, weight) = (1, { 1 - $0 })
        case .bicubic:  // Keys' cubic with a = -0.5
            (support, weight) = (2, { x in x < 1 ? (1.5 * x - 2.5) * x * x + 1 : (((x - 5) * x + 8) * x - 4) * -0.5 })
        case .lanczos: (support, weight) = (3, { x in sinc(x) * sinc(x / 3) })
        }
    }
}

private func sinc(_ x: Double) -> Double { x == 0 ? 1 : sin(.pi * x) / (.pi * x) }

/// For each new pixel along an axis, the old pixels it is made of and their weights.
struct Taps {
    var starts: [Int32] = []
    var counts: [Int32] = []
    /// `stride` weights a new pixel, of which `counts` are used; they sum to 1 << `beitseg_weight_bits`, but for rounding.
    var weights: [Int32]
    let stride: Int

    /// The old pixels that any new one is made of.
    var used: Range<Int> {
        let last = starts.count - 1
        return Int(starts[0])..<Int(starts[last] + counts[last])
    }

    /// The same for an axis that begins with the old pixel `first`.
    func counted(from first: Int) -> Taps {
        var taps = self
        if first > 0 { taps.starts = starts.map { $0 - Int32(first) } }
        return taps
    }

    init(_ span: Span, _ kernel: Kernel) {
        let coarse = max(span.scale, 1)
        let support = kernel.support * coarse
        stride = Int(support.rounded(.up)) * 2 + 1
        weights = [Int32](repeating: 0, count: stride * span.newSize)
        var exact = [Double](repeating: 0, count: stride)
        for i in 0..<span.newSize {
            let center = Double(span.start) + (Double(i) + 0.5) * span.scale
            let first = max(Int(center - support + 0.5), 0)
            let count = min(Int(center + support + 0.5), span.oldSize) - first
            var sum = 0.0
            for k in 0..<count {
                let distance = abs((Double(first + k) - center + 0.5) * (1 / coarse))
                exact[k] = distance < kernel.support ? kernel.weight(distance) : 0
                sum += exact[k]
            }
            for k in 0..<count {
                let unit = Double(1 << beitseg_weight_bits) * (sum == 0 ? exact[k] : exact[k] / sum)
                weights[stride * i + k] = Int32(unit.rounded(.toNearestOrAwayFromZero))
            }
            starts.append(Int32(first))
            counts.append(Int32(count))
        }
    }
}
