/// How a picture must be turned to stand upright: the Exif tag Orientation (0x0112) of TIFF 6.0 and Exif 2.3 §4.6.4.
enum Orientation: UInt16 {
    case upright = 1
    case mirrored, upsideDown, mirroredUpsideDown, transposed, turnRight, transverse, turnLeft

    /// Whether width and height change places.
    var exchangesSides: Bool { rawValue >= Self.transposed.rawValue }

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

extension RGBImage {
    /// The picture turned upright.
    func turned(_ orientation: Orientation) -> RGBImage {
        let (right, down, last) = (1, width, width * height - 1)
        let (topRight, bottomLeft) = (width - 1, width * (height - 1))
        func gather(_ origin: Int, _ stepX: Int, _ stepY: Int) -> RGBImage {
            let (width, height) = orientation.exchangesSides ? (height, width) : (width, height)
            return gathered(from: origin, stepX: stepX, stepY: stepY, width: width, height: height)
        }
        return switch orientation {
        case .upright: self
        case .mirrored: gather(topRight, -right, down)
        case .upsideDown: gather(last, -right, -down)
        case .mirroredUpsideDown: gather(bottomLeft, right, -down)
        case .transposed: gather(0, down, right)
        case .turnRight: gather(bottomLeft, -down, right)
        case .transverse: gather(last, -down, -right)
        case .turnLeft: gather(topRight, down, -right)
        }
    }
}
