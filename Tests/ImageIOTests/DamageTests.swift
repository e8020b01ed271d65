import BEiTFiles
import Foundation
import Synchronization
import Testing

@testable import BEiTImageIO

/// JPEGs whose data are damaged, and those that only look so.
@Suite struct DamageTests {
    private let scratch: ScratchFolder

    init() throws { scratch = try ScratchFolder() }

    private func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: try fixture(name))))
    }

    private func file(_ bytes: [UInt8]) throws -> String {
        let path = scratch.path + "/\(UUID().uuidString).jpg"
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return path
    }

    private let early = ImageError.Reason.damaged("Premature end of JPEG file")

    @Test(
        arguments: ["photo/photo.jpg", "photo/photo-progressive.jpg", "bad-inputs/images/restart.jpg"],
        [10, 50, 90, 99])
    func whatIsCutIsDamaged(_ name: String, percent: Int) throws {
        let whole = try bytes(name), header = try #require(startOfScan(whole))
        let path = try file(Array(whole[..<max(header + 20, whole.count * percent / 100)]))
        #expect(throws: ImageError(path: path, early)) { try decodeImage(path) }
        #expect(throws: ImageError(path: path, early)) { try decodeImage(path, shrinkingTo: 10) }
        #expect(throws: ImageError.self) { try ImageRows(path).read(try imageHeader(path).height) }
    }

    @Test func aCameraFileThatWasCut() throws {
        let path = try fixture("formats/truncated.jpg")
        #expect(throws: ImageError(path: path, early)) { try decodeImage(path) }
        #expect("\(ImageError(path: "a.jpg", early))".hasPrefix("a.jpg: is damaged: Premature end of JPEG file; "))
    }

    /// Only the last marker is missing: every pixel is there.
    @Test(arguments: [
        "photo/photo.jpg", "photo/photo-progressive.jpg", "bad-inputs/images/gray.jpg", "bad-inputs/images/cmyk.jpg",
    ])
    func theEndMarkerAloneMayBeMissing(_ name: String) throws {
        let whole = try bytes(name)
        #expect(whole.suffix(2) == [0xFF, 0xD9])
        #expect(try decodeImage(file(Array(whole.dropLast(2)))) == decodeImage(fixture(name)))
        #expect(try decodeImage(file(Array(whole.dropLast(1)))) == decodeImage(fixture(name)))
        let path = try file(Array(whole.dropLast(2 + whole.count / 50)))
        #expect(throws: ImageError(path: path, early)) { try decodeImage(path) }
    }

    /// A progressive file that ends between two scans has all blocks, and not all bits of them.
    @Test func aMissingScanIsDamage() throws {
        let whole = try bytes("photo/photo-progressive.jpg")
        let scans = (2..<whole.count - 1).filter { whole[$0] == 0xFF && whole[$0 + 1] == 0xDA }
        #expect(scans.count > 3)
        for (previous, scan) in zip(scans, scans.dropFirst()) {
            // Tables may stand before a scan.
            let end = (previous..<scan).first { whole[$0] == 0xFF && whole[$0 + 1] == 0xC4 } ?? scan
            let path = try file(Array(whole[..<end]))
            #expect(throws: ImageError(path: path, early)) { try decodeImage(path) }
        }
    }

    /// Warnings of libjpeg that cost no pixel.
    @Test func oddMarkersAreHarmless() throws {
        let name = "photo/photo.jpg", whole = try bytes(name), right = try decodeImage(fixture(name))
        let scan = try #require(startOfScan(whole))
        var (stray, adobe, padded) = (whole, whole, whole)
        stray.insert(contentsOf: [0, 0x12, 0x34, 0], at: scan)
        adobe.insert(contentsOf: [0xFF, 0xEE, 0, 14] + Array("Adobe".utf8) + [0, 100, 0, 0, 0, 0, 7], at: 2)
        padded.insert(contentsOf: [0, 0, 0, 0], at: whole.count - 2)
        for odd in [stray, adobe, padded, whole + [1, 2, 3, 4]] { #expect(try decodeImage(file(odd)) == right) }
        var revision = whole
        let jfif = try #require(whole.indices.dropLast(5).first { Array(whole[$0..<$0 + 5]) == Array("JFIF\0".utf8) })
        revision[jfif + 5] = 9
        #expect(try decodeImage(file(revision)) == right)
    }

    @Test func allowedDamageIsDecodedWithOneWarning() throws {
        let whole = try bytes("photo/photo.jpg"), right = try decodeImage(fixture("photo/photo.jpg"))
        let path = try file(Array(whole[..<(whole.count / 2)]))
        let heard = Mutex<[ImageError]>([])
        var limits = ImageLimits()
        limits.damage = DamagedImages { error in heard.withLock { $0.append(error) } }
        let image = try decodeImage(path, limits: limits)
        #expect(try decodeImage(path, limits: limits) == image)
        #expect(image.width == 149 && image.height == 113)
        #expect(image.pixels[..<(3 * 149 * 30)] == right.pixels[..<(3 * 149 * 30)])
        #expect(image.pixels.suffix(3) != right.pixels.suffix(3))
        let rows = try ImageRows(path, limits: limits)
        #expect(try rows.read(113) == image.pixels)
        #expect(heard.withLock { $0 } == [ImageError(path: path, early)])
        // What is sound is not warned of, and what has no pixels stays an error.
        #expect(try decodeImage(fixture("photo/photo.jpg"), limits: limits) == right)
        let header = try file(Array(whole[..<100]))
        #expect(throws: ImageError.self) { try decodeImage(header, limits: limits) }
        #expect(throws: ImageError.self) {
            try decodeImage(fixture("bad-inputs/images/truncated_half.png"), limits: limits)
        }
        #expect(heard.withLock { $0.count } == 1)
    }

    /// Behind the headers; the first byte of the marker.
    private func startOfScan(_ bytes: [UInt8]) -> Int? {
        (2..<bytes.count - 1).first { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xDA }
    }
}
