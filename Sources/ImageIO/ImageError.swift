import BEiTFiles
import Synchronization

/// An image that cannot be used, named with the reason and a remedy: the fault of this one file, so that a run over many
/// can leave it out and go on. A file that is not there, and a machine that fails (the disk, memory), are a ``FileError``.
package struct ImageError: Error, Equatable, CustomStringConvertible {
    package enum Reason: Equatable, Sendable {
        /// None of the formats that are read, and nothing else that is known.
        case unknownFormat
        /// Something else that is known.
        case foreign(ForeignFormat)
        /// A variant of its format that cannot be decoded, or one that makes no sense; the text says what is wrong.
        case undecodable(String)
        /// Some of its data are missing or wrong, and what is sound can be decoded where ``ImageLimits/damage`` allows it.
        case damaged(String)
        /// More pixels than ``ImageLimits`` allow.
        case tooLarge(width: Int, height: Int, limit: Int)
        /// A band that is asked for and not there, counted from 1.
        case noBand(Int, of: Int)
        /// A page that is asked for and not there, counted from 1.
        case noPage(Int, of: Int)
        /// A picture where class indices belong; the text says what it holds.
        case notAMask(String)
        /// Too large to be decoded as a whole, and its rows do not arrive one after another.
        case notInRows(String)
        /// Not a file; the text says what is there: "a FIFO".
        case notAFile(String)
        /// It cannot be opened: permissions, a name that is too long; the text says why and what to do.
        case unreachable(String)
    }
    package var path: String
    package var reason: Reason

    package init(path: String, _ reason: Reason) {
        (self.path, self.reason) = (path, reason)
    }

    package var description: String { "\(path.shown): \(explanation)" }

    private var explanation: String {
        switch reason {
        case .unknownFormat: "it is no image of a format that is read (\(ImageCodec.names)); convert it to one of these"
        case .foreign(let format): "it is \(format.name), which is not read; \(format.remedy)"
        case .undecodable(let why): "cannot decode: \(why); replace the file or leave it out"
        case .damaged(let why): "is damaged: \(why); replace the file, leave it out, or allow damaged images"
        case .tooLarge(let width, let height, let limit):
            "\(width) × \(height) pixels are more than the limit of \(limit); scale the image down, raise the limit, or "
                + "work in strips"
        case .noBand(let band, let count):
            "it has no band \(band) but \(count.counted("band")); ask for bands that it has, or leave it out"
        case .noPage(let page, let count):
            "it has no page \(page), only \(count); ask for pages that it has, or leave it out"
        case .notAMask(let what):
            "not a mask: \(what); save class indices as a grey or palette PNG or TIFF of up to 16 bits"
        case .notInRows(let what): "too large to be read as a whole, and cannot be read in strips: \(what)"
        case .notAFile(let what): "it is \(what), not an image"
        case .unreachable(let why): why
        }
    }
}

extension ImageError: ExitStatus {
    package var exitStatus: Int32 { if case .unreachable = reason { 74 } else { 65 } }
}

/// What may be decoded at once. Checked against the header, before memory is reserved.
package struct ImageLimits: Sendable {
    /// Width times height. The default, Pillow's own, takes 512 MiB as RGB.
    package var maximumPixels = 178_956_970
    /// Hears of images whose data are damaged or missing, which are then decoded as far as they go. Nil: they are refused.
    package var damage = DamagedImages.standard

    package init(maximumPixels: Int = 178_956_970) { self.maximumPixels = maximumPixels }

    package func check(width: Int, height: Int, path: String) throws(ImageError) {
        guard !allow(width: width, height: height) else { return }
        throw ImageError(path: path, .tooLarge(width: width, height: height, limit: maximumPixels))
    }

    func allow(width: Int, height: Int) -> Bool {
        let (pixels, overflow) = width.multipliedReportingOverflow(by: height)
        return !overflow && pixels <= maximumPixels
    }
}

/// Damaged images that were decoded nevertheless, noted once each, from any thread.
package final class DamagedImages: Sendable {
    private let noted = Mutex<Set<[UInt8]>>([])
    private let warn: @Sendable (ImageError) -> Void

    package init(warn: @escaping @Sendable (ImageError) -> Void) { self.warn = warn }

    func note(_ error: ImageError) {
        if noted.withLock({ $0.insert(error.path.fileSystemBytes).inserted }) { warn(error) }
    }

    private static let shared = Mutex<DamagedImages?>(nil)

    /// What ``ImageLimits`` begin with: nil until a program decides otherwise for all that it reads.
    package static var standard: DamagedImages? {
        get { shared.withLock { $0 } }
        set { shared.withLock { $0 = newValue } }
    }
}
