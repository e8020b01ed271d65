/// The size of a picture whose longer side is at most `side`.
private func fitting(_ width: Int, _ height: Int, _ side: Int) -> (width: Int, height: Int) {
    let longer = max(width, height)
    guard longer > side else { return (width, height) }
    func scaled(_ length: Int) -> Int { max(1, (length * side + longer / 2) / longer) }
    return (scaled(width), scaled(height))
}

extension RGBImage {
    /// The image with its longer side at most `side` pixels.
    package func shrunk(to side: Int) -> RGBImage {
        let size = fitting(width, height, side)
        return resized(width: size.width, height: size.height, filter: .bilinear)
    }
}

extension IndexMask {
    /// The mask with its longer side at most `side` pixels, of the size that ``RGBImage/shrunk(to:)`` gives a photo.
    package func shrunk(to side: Int) -> IndexMask {
        let size = fitting(width, height, side)
        return resized(width: size.width, height: size.height)
    }
}
