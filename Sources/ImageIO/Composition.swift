extension RGBImage {
    /// The middle of the image, as classifiers are tested: resized, keeping its ratio, until it just covers the size
    /// divided by `share`, then cropped to the size (torchvision's `Resize` and `CenterCrop`).
    ///
    /// - Precondition: `share` is above 0 and at most 1.
    package func centerCropped(height: Int, width: Int, share: Double, filter: ResizeFilter) -> RGBImage {
        precondition(share > 0 && share <= 1, "a share of \(share)")
        let (wide, high) = (Int(Double(width) / share), Int(Double(height) / share))
        // The side that is the shorter one, measured by what is wanted, is met exactly.
        let byWidth = self.width * high <= self.height * wide
        let w = byWidth ? wide : max(wide, high * self.width / self.height)
        let h = byWidth ? max(high, wide * self.height / self.width) : high
        let x = (Double(w - width) / 2).rounded(.toNearestOrEven),
            y = (Double(h - height) / 2).rounded(.toNearestOrEven)
        return resized(width: w, height: h, filter: filter).cropped(x: Int(x), y: Int(y), width: width, height: height)
    }

    /// The largest central part that has the shape `width` : `height`, resized to that size. Of a square size: the short
    /// side becomes the size, and the middle of the long one is kept.
    package func central(height: Int, width: Int, filter: ResizeFilter) -> RGBImage {
        let (w, h) = (Double(self.width), Double(self.height))
        let scale = min(w / Double(width), h / Double(height))
        let (boxWidth, boxHeight) = (min(w, scale * Double(width)), min(h, scale * Double(height)))
        let box = Rectangle(
            x: (w - boxWidth) / 2, y: (h - boxHeight) / 2, width: boxWidth, height: boxHeight)
        return resized(width: width, height: height, filter: filter, box: box)
    }

    /// Pictures of one size in rows of `columns`, with white lines of `gap` pixels between them.
    ///
    /// - Precondition: there is a picture, and all have its size.
    package static func sheet(_ pictures: [RGBImage], columns: Int, gap: Int = 2) -> RGBImage {
        guard let first = pictures.first else { preconditionFailure("a sheet without pictures") }
        precondition(pictures.allSatisfy { $0.width == first.width && $0.height == first.height })
        let columns = min(columns, pictures.count), rows = (pictures.count + columns - 1) / columns
        let width = columns * (first.width + gap) - gap
        var pixels = [UInt8](repeating: 255, count: 3 * width * (rows * (first.height + gap) - gap))
        for (index, picture) in pictures.enumerated() {
            let top = index / columns * (first.height + gap), left = index % columns * (first.width + gap)
            for y in 0..<first.height {
                let (from, to) = (3 * first.width * y, 3 * ((top + y) * width + left))
                pixels.replaceSubrange(
                    to..<to + 3 * first.width, with: picture.pixels[from..<from + 3 * first.width])
            }
        }
        return RGBImage(width: width, height: rows * (first.height + gap) - gap, pixels: pixels)
    }
}
