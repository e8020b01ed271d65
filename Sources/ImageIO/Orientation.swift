/// How a picture must be turned to stand upright: the Exif tag Orientation (0x0112) of TIFF 6.0 and Exif 2.3 §4.6.4.
package enum Orientation: UInt16, Sendable {
    case upright = 1
    case mirrored, upsideDown, mirroredUpsideDown, transposed, turnRight, transverse, turnLeft

    /// Whether width and height change places.
    package var exchangesSides: Bool { rawValue >= Self.transposed.rawValue }

    /// Reads an Exif block. One that is missing, broken, or says what does not exist means upright.
    init(exif: [UInt8]) {
        self = ExifBlock(exif).flatMap { $0.orientation() }.flatMap { Orientation(rawValue: $0) } ?? .upright
    }
}

/// A TIFF structure: byte order, and a directory of 12-byte entries (tag, type, count, value).
private struct ExifBlock {
    private let bytes: [UInt8]
    private let littleEndian: Bool

    init?(_ bytes: [UInt8]) {
        switch bytes.prefix(4) {
        case [0x49, 0x49, 42, 0]: littleEndian = true  // "II"
        case [0x4D, 0x4D, 0, 42]: littleEndian = false  // "MM"
        default: return nil
        }
        self.bytes = bytes
    }

    func orientation() -> UInt16? {
        guard let offset = number(at: 4, size: 4), let entries = number(at: offset, size: 2) else { return nil }
        for entry in 0..<entries {
            let start = offset + 2 + 12 * entry
            guard let tag = number(at: start, size: 2), let type = number(at: start + 2, size: 2) else { return nil }
            if tag == 0x0112, type == 3 { return number(at: start + 8, size: 2).map { UInt16($0) } }
        }
        return nil
    }

    /// The unsigned number of `size` bytes at `offset`, nil beyond the end.
    private func number(at offset: Int, size: Int) -> Int? {
        guard offset + size <= bytes.count else { return nil }
        let digits = bytes[offset..<offset + size]
        return littleEndian
            ? digits.reversed().reduce(0) { $0 << 8 | Int($1) } : digits.reduce(0) { $0 << 8 | Int($1) }
    }
}

extension Orientation {
    /// What turns an upright picture back into the stored one.
    package var inverse: Orientation {
        switch self {
        case .turnRight: .turnLeft
        case .turnLeft: .turnRight
        default: self
        }
    }

    /// The way through the stored pixels that shows the picture upright: the first pixel, and the steps to the next one to
    /// the right and to the next one below.
    ///
    /// - Parameters: width and height of the stored picture.
    func path(width: Int, height: Int) -> (origin: Int, stepX: Int, stepY: Int) {
        let (right, down, last) = (1, width, width * height - 1)
        let (topRight, bottomLeft) = (width - 1, width * (height - 1))
        return switch self {
        case .upright: (0, right, down)
        case .mirrored: (topRight, -right, down)
        case .upsideDown: (last, -right, -down)
        case .mirroredUpsideDown: (bottomLeft, right, -down)
        case .transposed: (0, down, right)
        case .turnRight: (bottomLeft, -down, right)
        case .transverse: (last, -down, -right)
        case .turnLeft: (topRight, down, -right)
        }
    }
}

extension RGBImage {
    /// The picture turned upright.
    package func turned(_ orientation: Orientation) -> RGBImage {
        if orientation == .upright { return self }
        let (origin, stepX, stepY) = orientation.path(width: width, height: height)
        let (width, height) = orientation.exchangesSides ? (height, width) : (width, height)
        return gathered(from: origin, stepX: stepX, stepY: stepY, width: width, height: height)
    }
}
