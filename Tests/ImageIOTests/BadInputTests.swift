import BEiTFiles
import BEiTImageIO
import Foundation
import Testing

/// What must happen to a file of the collection of unusual, broken and hostile pictures.
struct BadInput: Decodable, Sendable, CustomTestStringConvertible {
    struct Tolerance: Decodable, Sendable { let max, mean: Double }
    let path, expect, why: String
    let pixels: String?
    let tolerance: Tolerance?

    var testDescription: String { "\(path): \(why)" }

    static func all(_ folder: String) throws -> [BadInput] {
        let data = try Data(contentsOf: URL(fileURLWithPath: try fixture("bad-inputs/manifest.json")))
        return try JSONDecoder().decode([BadInput].self, from: data).filter { $0.path.hasPrefix(folder + "/") }
    }
}

@Suite struct BadInputTests {
    @Test func collectionIsWhole() throws {
        #expect(try BadInput.all("images").count == 79)
        #expect(try BadInput.all("labels").count == 7)
    }

    @Test(arguments: try BadInput.all("images")) func image(_ input: BadInput) throws {
        let path = try fixture("bad-inputs/" + input.path)
        do {
            let image = try decodeImage(path)
            #expect(input.expect != "refuse", "decoded as \(image.width) × \(image.height)")
            if let pixels = input.pixels, let tolerance = input.tolerance {
                let found = difference(image, try BEiTImageIOTests.pixels(npy: "bad-inputs/" + pixels))
                #expect(found.largest <= tolerance.max && found.mean <= tolerance.mean)
            }
            let header = try imageHeader(path)
            #expect(header.width == image.width && header.height == image.height)
        } catch {
            #expect(input.expect != "decode", "\(error)")
            #expect(error is ImageError || error is FileError)
            let line = "\(error)"
            #expect(line.hasPrefix(path + ": ") && !line.contains("\n") && line.count > path.count + 10)
        }
    }

    @Test(arguments: try BadInput.all("labels")) func label(_ input: BadInput) throws {
        let path = try fixture("bad-inputs/" + input.path)
        if input.path.hasSuffix("label_rgb.png") {
            #expect(throws: ImageError.self) { try decodeMask(path) }
            return
        }
        // The others are masks in themselves; sizes and classes are the caller's to judge.
        let mask = try decodeMask(path)
        #expect(mask.width == 10 && mask.height == (input.path.hasSuffix("label_size.png") ? 11 : 12))
        let allowed: Set<UInt16> =
            if input.path.hasSuffix("out_of_range.png") { [0, 1, 2, 3, 200, 255] } else { [0, 1, 2, 3, 255] }
        #expect(Set(mask.values).isSubset(of: allowed))
        if input.path.hasSuffix("label_1bit.png") { #expect(Set(mask.values) == [0, 1]) }
    }

    @Test func troubleIsNamedByKind() throws {
        let missing = try fixture("bad-inputs/images/does-not-exist.png")
        #expect(
            throws: FileError(
                .missing, path: missing,
                reason: "cannot open: No such file or directory; see whether the path is spelled right", code: ENOENT)
        ) {
            try decodeImage(missing)
        }
        let folder = try fixture("bad-inputs/images/folder.png")
        #expect(throws: ImageError(path: folder, .notAFile("a folder"))) {
            try imageHeader(folder)
        }
        let empty = try fixture("bad-inputs/images/zero_bytes.jpg")
        #expect(throws: ImageError(path: empty, .undecodable("the file is empty"))) { try decodeImage(empty) }
        let text = try fixture("bad-inputs/images/text.png")
        #expect(throws: ImageError(path: text, .unknownFormat)) { try decodeMask(text) }
        let cut = try fixture("bad-inputs/images/truncated_half.jpg")
        #expect(throws: ImageError(path: cut, .damaged("Premature end of JPEG file"))) { try decodeImage(cut) }
        let cutPNG = try fixture("bad-inputs/images/truncated_half.png")
        #expect(throws: ImageError(path: cutPNG, .undecodable("the file ends too early"))) { try decodeImage(cutPNG) }
        let bomb = try fixture("bad-inputs/images/bomb_20000x20000.png")
        #expect(throws: ImageError(path: bomb, .tooLarge(width: 20000, height: 20000, limit: 178_956_970))) {
            try decodeImage(bomb)
        }
        let small = try fixture("bad-inputs/images/rgb8.png")
        #expect(throws: ImageError(path: small, .tooLarge(width: 28, height: 20, limit: 559))) {
            try decodeImage(small, limits: ImageLimits(maximumPixels: 559))
        }
        #expect(throws: Never.self) { try decodeImage(small, limits: ImageLimits(maximumPixels: 560)) }
    }

    /// The first scan of a progressive JPEG, repeated: a small file that would take long to decode.
    @Test func endlessScansAreRefused() throws {
        let whole = [UInt8](try Data(contentsOf: URL(fileURLWithPath: try fixture("photo/photo-progressive.jpg"))))
        let isMarker = { (i: Int) in whole[i] == 0xFF && whole[i + 1] != 0 }
        let start = try #require((2..<whole.count - 1).first { isMarker($0) && whole[$0 + 1] == 0xDA })
        let end = try #require((start + 2..<whole.count - 1).first(where: isMarker))
        let scratch = try ScratchFolder()
        let path = scratch.path + "/scans.jpg"
        let scans = { (count: Int) in (0..<count).flatMap { _ in whole[start..<end] } }
        try Data(whole[..<start] + scans(50) + whole[end...]).write(to: URL(fileURLWithPath: path))
        #expect(throws: Never.self) { try decodeImage(path) }
        try Data(whole[..<start] + scans(500) + whole[end...]).write(to: URL(fileURLWithPath: path))
        #expect(throws: ImageError(path: path, .undecodable("it has more than 100 scans"))) { try decodeImage(path) }
    }

    /// Many a prefix of a file, and many a file with one bit changed, is decoded or refused, never worse.
    @Test(arguments: [
        "rgb8.png", "rgb8_interlaced.png", "palette4.png", "progressive.jpg", "exif_orientation_6.jpg", "cmyk.jpg",
    ])
    func damageIsSurvived(_ name: String) throws {
        let scratch = try ScratchFolder()
        let path = scratch.path + "/damaged"
        let whole = [UInt8](try Data(contentsOf: URL(fileURLWithPath: try fixture("bad-inputs/images/" + name))))
        for position in stride(from: 0, to: whole.count, by: 11) {
            var changed = whole
            changed[position] ^= UInt8(1 << (position % 8))
            for bytes in [changed, Array(whole[..<position])] {
                try Data(bytes).write(to: URL(fileURLWithPath: path))
                do {
                    let image = try decodeImage(path, limits: ImageLimits(maximumPixels: 300_000))
                    #expect(image.width > 0 && image.height > 0)
                } catch let error as ImageError {
                    #expect(error.path == path)
                }
            }
        }
    }
}
