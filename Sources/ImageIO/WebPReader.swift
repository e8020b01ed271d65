#if WebP
    import BEiTFiles
    import CBEiTImageShim

    /// Decodes a WebP through libwebp, as a whole.
    final class WebPReader: RowSource {
        private let file: InputFile
        let width, height: Int
        private let isLossless: Bool
        let orientation: Orientation

        /// Reads the header.
        init(_ file: InputFile) throws {
            let head = try file.head()
            var (width, height): (Int32, Int32) = (0, 0), isAnimated = false, isLossless = false
            guard beitseg_webp_header(head, head.count, &width, &height, &isAnimated, &isLossless) else {
                throw ImageError(path: file.path, .undecodable("its header makes no sense"))
            }
            guard !isAnimated else {
                throw ImageError(path: file.path, .undecodable("it is an animation; save its frames as PNG"))
            }
            (self.file, self.width, self.height, self.isLossless) = (file, Int(width), Int(height), isLossless)
            orientation = Orientation(exif: try Self.exif(file))
        }

        var obstacle: String? { "it is a WebP; save it as PNG or TIFF" }
        /// The file itself is in memory; decoding without loss takes four bytes a pixel more.
        var keptBytes: Int { isLossless ? 5 : 1 }
        var isExact: Bool { isLossless }

        func beginRGB(shrink: Int) -> Int { 1 }

        func read(_ rows: UnsafeMutablePointer<UInt8>, rowBytes: Int, count: Int) throws {
            // No encoder needs more than it would without compressing.
            guard file.size <= 8 * width * height + 1 << 20 else {
                throw ImageError(path: file.path, .undecodable("the file is too long for \(width) × \(height) pixels"))
            }
            let bytes = try file.bytes(at: 0, count: file.size)
            if let reason = beitseg_webp_decode(bytes, bytes.count, rows, rowBytes, Int32(width), Int32(height)) {
                throw file.failure(reason)
            }
        }

        /// The Exif block of an extended file: a chunk of its own among those of the RIFF container.
        private static func exif(_ file: InputFile) throws -> [UInt8] {
            var place = 12
            for _ in 0..<64 {
                guard place + 8 <= file.size else { break }
                let chunk = try file.bytes(at: place, count: 8)
                let size = (0..<4).reduce(0) { $0 | Int(chunk[4 + $1]) << (8 * $1) }
                if chunk.starts(with: Array("EXIF".utf8)) {
                    guard size <= 1 << 20, place + 8 + size <= file.size else { break }
                    let block = try file.bytes(at: place + 8, count: size), prefix = Array("Exif\0\0".utf8)
                    return block.starts(with: prefix) ? Array(block[prefix.count...]) : block
                }
                place += 8 + size + size % 2
            }
            return []
        }
    }
#endif
