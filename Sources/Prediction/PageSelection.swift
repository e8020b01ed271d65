import BEiTFiles
import BEiTImageIO

/// Which pages of images are wanted, counted from 1.
package enum PageSelection: Equatable, Sendable {
    case one(Int)
    /// Several, by their first and last.
    case range(ClosedRange<Int>)
    case all

    /// From `3`, `2-5` or `all`; nil for anything else.
    package init?(_ text: String) {
        let numbers = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
        switch (numbers.count, numbers.first ?? 0, numbers.last ?? 0) {
        case _ where text == "all": self = .all
        case (1, 1..., _): self = .one(numbers[0])
        case (2, 1..., let last) where last >= numbers[0]:
            self = last == numbers[0] ? .one(last) : .range(numbers[0]...last)
        default: return nil
        }
    }
}

extension InputImage {
    /// An image for each page that is wanted. Of several each has a name of its own: `a.page2` for page 2 of `a.tif`; a file
    /// of a single page keeps its name, where all are wanted.
    ///
    /// Where the pages of a file cannot be counted it is one image, which tells why; a page that a range wants and the file
    /// does not have is another such image.
    package func pages(_ selection: PageSelection) -> [InputImage] {
        guard problem == nil else { return [self] }
        var image = self
        let wanted: ClosedRange<Int>
        switch selection {
        case .one(let page):
            image.page = page
            return [image]
        case .range(let pages): wanted = pages
        case .all: wanted = 1...Int.max
        }
        do {
            let count = try imagePages(path)
            if wanted == 1...Int.max, count == 1 { return pages(.one(1)) }
            var images = wanted.clamped(to: 1...count).filter { wanted.contains($0) }.map(at)
            if selection != .all, let absent = wanted.first(where: { $0 > count }) {
                image = at(absent)
                image.problem = ImageError(path: path, .noPage(absent, of: count))
                images.append(image)
            }
            return images
        } catch {
            let reason = (error as? FileError)?.reason ?? "\(error)"
            image.problem = error as? ImageError ?? ImageError(path: path, .unreachable(reason))
            return [image]
        }
    }

    private func at(_ page: Int) -> InputImage {
        var image = self
        (image.stem, image.page) = ("\(stem).page\(page)", page)
        return image
    }
}
