/// How the Exif data of an image turn it (of a TIFF a tag of its own). Throws ``FileError`` or ``ImageError``.
package func imageOrientation(_ path: String, page: Int = 1) throws -> Orientation {
    try openImage(path, page: page).source.orientation
}

extension IndexMask {
    /// A mask of the photo as stored, turned as the photo is.
    package func turned(_ orientation: Orientation) -> IndexMask {
        let (origin, stepX, stepY) = orientation.path(width: width, height: height)
        let (width, height) = orientation.exchangesSides ? (height, width) : (width, height)
        let turned = [UInt16](unsafeUninitializedCapacity: values.count) { target, count in
            values.withUnsafeBufferPointer { source in
                for y in 0..<height {
                    for x in 0..<width { target[y * width + x] = source[origin + x * stepX + y * stepY] }
                }
            }
            count = values.count
        }
        return IndexMask(width: width, height: height, values: turned, palette: palette)
    }
}
