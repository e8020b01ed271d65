import BEiTFiles
import Foundation
import Testing

@testable import BEiTImageIO

@Suite struct CodecTests {
    private struct Head: Sendable {
        let name: String
        let bytes: [UInt8]

        init(_ name: String, _ bytes: [UInt8]) { (self.name, self.bytes) = (name, bytes) }
        init(_ name: String, _ text: String) {
            (self.name, bytes) = (name, text.unicodeScalars.map { UInt8($0.value) })
        }
    }

    private static let heads: [Head] = [
        Head("a GIF", "GIF89a"), Head("a HEIF", "\0\0\0\u{18}ftypheic"), Head("an AVIF", "\0\0\0\u{18}ftypavif"),
        Head("a movie", "\0\0\0\u{18}ftypisom"), Head("a PDF", "%PDF-1.7"),
        Head("an HTML page", "\n <!DOCTYPE HTML><html>"), Head("an HTML page", "<html lang=en>"),
        Head("an SVG", "<?xml version='1.0'?><svg width='5'>"), Head("an XML document", "<?xml?><Error>"),
        Head("a Git LFS pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:00"),
        Head("a git-annex pointer", "/annex/objects/SHA256E-s1--00.jpg\n"), Head("a JPEG XL", [0xFF, 0x0A, 0xFA]),
        Head("a JPEG 2000", [0xFF, 0x4F, 0xFF, 0x51]), Head("a ZIP archive", [0x50, 0x4B, 3, 4]),
    ]

    /// What a file says it is, whatever its name says.
    @Test(arguments: heads) private func otherFormatsAreNamed(_ head: Head) throws {
        let scratch = try ScratchFolder(), name = head.name
        let path = scratch.path + "/a.jpg"
        try Data(head.bytes).write(to: URL(fileURLWithPath: path))
        for read in [{ _ = try decodeImage(path) }, { _ = try imageHeader(path) }, { _ = try decodeMask(path) }] {
            let error = #expect(throws: ImageError.self, performing: read)
            guard case .foreign(let format) = error?.reason else {
                Issue.record("\(error?.description ?? "nothing")")
                return
            }
            #expect(format.name == name)
            #expect(error?.description.hasPrefix("\(path): it is \(name), which is not read; ") == true)
        }
    }

    /// A build without a format's trait names it and says what to do.
    @Test(arguments: [("b.webp", "a WebP"), ("c.tif", "a TIFF")])
    func formatsOfTraits(_ file: String, _ name: String) throws {
        let head = [UInt8](try Data(contentsOf: URL(fileURLWithPath: try fixture("formats/" + file)))).prefix(512)
        #expect(ForeignFormat(Array(head))?.name == name)
        let path = try fixture("formats/" + file)
        if ImageCodec(beginning: Array(head)) == nil {
            #expect(throws: ImageError.self) { try decodeImage(path) }
        } else {
            #expect(try decodeImage(path).width > 0)
        }
    }

    @Test(arguments: [("d.bmp", ImageCodec.bmp), ("e.jfif", .jpeg)])
    func formatsAreKnownByContent(_ file: String, _ codec: ImageCodec) throws {
        #expect(try imageHeader(try fixture("formats/" + file)).codec == codec)
        #expect(try decodeImage(try fixture("formats/" + file)).width > 0)
    }

    /// Text, noise and names are none.
    @Test(arguments: ["", "BMW.jpg\n", "P", "photos/a.jpg\nphotos/b.jpg\n", "GIFs.txt", "\u{0}\u{0}\u{0}\u{0}"])
    func nothingIsMadeUp(_ text: String) { #expect(ForeignFormat(Array(text.utf8)) == nil) }

    @Test func endingsAreOfOneFormat() {
        #expect(ImageCodec.endings.isSuperset(of: ["png", "jpg", "jpeg", "jpe", "jfif", "bmp", "dib", "ppm", "pam"]))
        #expect(ImageCodec.endings.isDisjoint(with: ForeignFormat.endings))
        #expect(ImageCodec.endings.count == ImageCodec.all.map(\.endings.count).reduce(0, +))
        #expect(ImageCodec.endings.union(ForeignFormat.endings).isSuperset(of: ["tif", "tiff", "webp"]))
    }

    /// A FIFO that nobody writes to would be waited for without end.
    @Test(.timeLimit(.minutes(1))) func whatIsNoFileIsNotRead() throws {
        let scratch = try ScratchFolder()
        let (fifo, device, socket) = (scratch.path + "/a.jpg", scratch.path + "/b.png", scratch.path + "/c.png")
        #expect(mkfifo(fifo, 0o600) == 0)
        try FileManager.default.createSymbolicLink(atPath: device, withDestinationPath: "/dev/zero")
        try FileManager.default.createSymbolicLink(atPath: socket, withDestinationPath: scratch.path)
        for (path, what) in [(fifo, "a FIFO"), (device, "a device"), (socket, "a folder")] {
            #expect(throws: ImageError(path: path, .notAFile(what))) { try decodeImage(path) }
            #expect(throws: ImageError(path: path, .notAFile(what))) { try ImageRows(path) }
        }
    }

    /// These are faults of the one path; what is not there is a `FileError`.
    @Test func whatCannotBeReachedIsTheImagesFault() throws {
        let scratch = try ScratchFolder()
        let long = scratch.path + "/" + String(repeating: "x", count: 300) + ".jpg", circle = scratch.path + "/c.jpg"
        try FileManager.default.createSymbolicLink(atPath: circle, withDestinationPath: circle)
        for (path, reason) in [(long, "File name too long"), (circle, "Too many levels of symbolic links")] {
            let error = #expect(throws: ImageError.self) { try decodeImage(path) }
            guard case .unreachable(let why) = error?.reason else {
                Issue.record("\(error?.description ?? "nothing")")
                return
            }
            #expect(why.contains(reason) && error?.exitStatus == 74)
        }
    }

    @Test func theCostIsKnownFromTheHeader() throws {
        let photo = try fixture("photo/photo.jpg")  // 149 × 113
        #expect(decodedBytes(photo) == 3 * 149 * 113)
        #expect(decodedBytes(photo, shrinkingTo: 50) == 3 * 75 * 57)
        #expect(decodedBytes(try fixture("photo/photo-progressive.jpg")) == 9 * 149 * 113)
        #expect(decodedBytes(try fixture("photo/photo.png"), shrinkingTo: 50) == 3 * 149 * 113)
        #expect(decodedBytes(try fixture("bad-inputs/images/exif_orientation_6.jpg")) == 6 * 28 * 20)
        #expect(decodedBytes(photo + "x") == 0)
    }
}
