import BEiTFiles

/// An image that cannot be used, named with the reason and a remedy. Trouble with the file itself (missing, unreadable,
/// a full disk) is a ``FileError``.
package struct ImageError: Error, Equatable, CustomStringConvertible {
    package enum Reason: Equatable, Sendable {
        /// Neither a PNG nor a JPEG.
        case unknownFormat
        /// Damaged, or a variant of its format that cannot be decoded; the text says what is wrong.
        case undecodable(String)
        /// More pixels than ``ImageLimits`` allow.
        case tooLarge(width: Int, height: Int, limit: Int)
        /// A picture where class indices belong; the text says what it holds.
        case notAMask(String)
        /// Too large to be decoded as a whole, and its rows do not arrive one after another.
        case notInRows(String)
    }
    package var path: String
    package var reason: Reason

    package init(path: String, _ reason: Reason) {
        (self.path, self.reason) = (path, reason)
    }

    package var description: String {
        switch reason {
        case .unknownFormat: "\(path): it is neither a PNG nor a JPEG; convert it to one of them"
        case .undecodable(let why): "\(path): cannot decode: \(why); replace the file or leave it out"
        case .tooLarge(let width, let height, let limit):
            "\(path): \(width) × \(height) pixels are more than the limit of \(limit); scale the image down, "
                + "raise --max-pixels, or work in strips (predict --tile)"
        case .notAMask(let what):
            "\(path): not a mask: \(what); save class indices as a grey or palette PNG of up to 16 bits"
        case .notInRows(let what): "\(path): too large to be read as a whole, and cannot be read in strips: \(what)"
        }
    }
}

/// What may be decoded at once. Checked against the header, before memory is reserved.
package struct ImageLimits: Sendable {
    /// Width times height. The default, Pillow's own, takes 512 MiB as RGB.
    package var maximumPixels = 178_956_970

    package init(maximumPixels: Int = 178_956_970) { self.maximumPixels = maximumPixels }

    func check(width: Int, height: Int, path: String) throws(ImageError) {
        guard !allow(width: width, height: height) else { return }
        throw ImageError(path: path, .tooLarge(width: width, height: height, limit: maximumPixels))
    }

    func allow(width: Int, height: Int) -> Bool {
        let (pixels, overflow) = width.multipliedReportingOverflow(by: height)
        return !overflow && pixels <= maximumPixels
    }
}
