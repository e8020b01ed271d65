#if TIFF
    import BEiTFiles
    import CBEiTImageShim
    import Foundation

    /// Writes a mask as a tiled, deflated TIFF strip by strip; the file appears under its name at ``finish()``, whole or not
    /// at all. On a map it is a GeoTIFF; a BigTIFF where it may grow beyond 4 GB.
    package final class TIFFWriter {
        private let file: AtomicFile
        private var descriptor: Int32
        private let writer: OpaquePointer
        private let rowBytes: Int

        /// - Parameters:
        ///   - palette: the colours of 8-bit indices, 256 at most; nil for 16-bit grey.
        ///   - noData: the value of pixels that hold nothing.
        ///   - reference: where the image lies.
        /// - Throws: ``FileError``.
        package init(
            _ path: String, width: Int, height: Int, palette: [RGBColor]?, noData: UInt16? = nil,
            reference: GeoReference? = nil
        ) throws {
            file = try AtomicFile(path)
            descriptor = try file.create()
            guard let writer = beitseg_tiff_writer_open(descriptor) else {
                close(descriptor)
                throw FileError.system(path, doing: "write", code: ENOMEM)
            }
            (self.writer, rowBytes) = (writer, width * (palette == nil ? 2 : 1))
            let bits: Int32 = palette == nil ? 16 : 8
            let colors = palette.map(Self.planes)
            try check(beitseg_tiff_writer_begin(writer, UInt32(width), UInt32(height), bits, colors))
            if let reference { try set(reference) }
            if let noData { try set(.noData, "\(noData)") }
        }

        deinit {
            beitseg_tiff_writer_close(writer)
            if descriptor >= 0 { close(descriptor) }
        }

        /// Appends whole rows: a byte a sample with a palette, else a native `UInt16`. Throws ``FileError``.
        package func write(rows: UnsafeRawBufferPointer) throws {
            precondition(rows.count % rowBytes == 0, "\(rows.count) bytes are not whole rows of \(rowBytes)")
            guard let start = rows.baseAddress else { return }
            try check(beitseg_tiff_writer_rows(writer, start, rows.count / rowBytes))
        }

        /// Completes the file. All rows must have been written. Throws ``FileError``.
        package func finish() throws {
            try check(beitseg_tiff_writer_end(writer))
            let isClosed = close(descriptor) == 0 || errno == EINTR
            descriptor = -1
            guard isClosed else { throw FileError.writing(file.path, doing: "write") }
            try file.commit()
        }

        /// 256 of red, of green and of blue.
        private static func planes(_ palette: [RGBColor]) -> [UInt16] {
            let colors = palette + [RGBColor](repeating: RGBColor(0, 0, 0), count: 256 - palette.count)
            return [colors.map(\.red), colors.map(\.green), colors.map(\.blue)].joined().map { UInt16($0) * 257 }
        }

        private func set(_ reference: GeoReference) throws {
            // Places are those of corners unless the keys say that they are those of pixel centres.
            let first = reference.keysArePoints ? 0.5 : 0
            let origin = reference.place(column: first, row: first)
            if reference.rowX == 0, reference.columnY == 0, reference.columnX > 0, reference.rowY < 0 {
                try set(.pixelScale, [reference.columnX, -reference.rowY, 0])
                try set(.tiePoints, [0, 0, 0, origin.x, origin.y, 0])
            } else {
                try set(
                    .transformation,
                    [
                        reference.columnX, reference.rowX, 0, origin.x, reference.columnY, reference.rowY, 0, origin.y,
                        0, 0, 0, 0, 0, 0, 0, 1,
                    ])
            }
            let keys = reference.keys
            try check(beitseg_tiff_writer_words(writer, GeoTag.keyDirectory.rawValue, keys, keys.count))
            try set(.keyDoubles, reference.keyNumbers)
            try set(.keyTexts, reference.keyTexts)
            if !reference.metadata.isEmpty {
                try set(
                    .metadata, "<GDALMetadata>\n" + reference.metadata.joined(separator: "\n") + "\n</GDALMetadata>\n")
            }
        }

        private func set(_ tag: GeoTag, _ numbers: [Double]) throws {
            try check(beitseg_tiff_writer_numbers(writer, tag.rawValue, numbers, numbers.count))
        }

        private func set(_ tag: GeoTag, _ text: String) throws {
            try check(beitseg_tiff_writer_text(writer, tag.rawValue, text))
        }

        private func check(_ isDone: Bool) throws(FileError) {
            if isDone { return }
            let code = beitseg_tiff_writer_disk_error(writer)
            if code != 0 { throw FileError.system(file.path, doing: "write", code: code) }
            throw FileError(.inputOutput, path: file.path, reason: String(cString: beitseg_tiff_writer_error(writer)))
        }
    }
#endif
