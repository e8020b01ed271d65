import BEiTFiles
import BEiTImageIO
import Foundation

/// A binary PNG for each class that occurs in an image: 255 where a pixel has it, 0 elsewhere.
///
/// A class's file is begun at the first strip that shows it, so that a model of a thousand classes opens few.
final class ClassMasks: ResultFile {
    private let form: ResultForm
    private let stem: String
    private let width, height: Int
    private var files: [Int: PNGWriter] = [:]
    private var rows = 0

    init(_ form: ResultForm, _ stem: String, width: Int, height: Int) {
        (self.form, self.stem, self.width, self.height) = (form, stem, width, height)
    }

    /// The files, below the output folder, by index of their class.
    var names: [String] { files.keys.sorted().map { form.maskName(stem, $0) } }

    func write(_ strip: SegmentedStrip, _ photo: PictureStrip?) throws {
        let counts = ClassCounts(strip.classes, of: form.palette.count).pixels
        for index in form.classes.indices where counts[index] > 0 || files[index] != nil {
            let file = try files[index] ?? begin(index)
            files[index] = file
            let (wanted, isThere) = (UInt16(index), counts[index] > 0)
            let values = isThere ? strip.classes.map { $0 == wanted ? UInt8.max : 0 } : blank(strip.rows.count)
            try values.withUnsafeBytes { try file.write(rows: $0) }
        }
        rows += strip.rows.count
    }

    /// A file with the rows so far.
    private func begin(_ index: Int) throws -> PNGWriter {
        let path = form.folder.joined(form.maskName(stem, index))
        let file = try PNGWriter(path, width: width, height: height, kind: .grey8)
        let block = blank(min(rows, 64))
        for start in stride(from: 0, to: rows, by: 64) {
            try block.prefix(min(64, rows - start) * width).withUnsafeBytes { try file.write(rows: $0) }
        }
        return file
    }

    private func blank(_ rows: Int) -> [UInt8] { [UInt8](repeating: 0, count: rows * width) }

    /// Gives the files their names, and removes those that an earlier run made of classes which do not occur any more.
    func finish() throws {
        for index in form.classes.indices {
            if let file = files[index] {
                try file.finish()
            } else {
                form.folder.joined(form.maskName(stem, index)).withFileSystemName { _ = unlink($0) }
            }
        }
    }
}

extension ResultForm {
    /// The folder of an image's binary masks, below the output folder.
    func maskFolder(_ stem: String) -> String { stem + ".masks" }

    /// Masks that may be written where the folder is there already.
    func masksInPlace(_ stem: String) -> [String] {
        guard formats.contains(.masks), FileSystem.isFolder(folder.joined(maskFolder(stem))) else { return [] }
        return classes.indices.map { folder.joined(maskName(stem, $0)) }
    }

    /// The mask of a class: its index and its name, of which letters, digits and hyphens stay.
    func maskName(_ stem: String, _ index: Int) -> String {
        let name = classes[index].name.unicodeScalars.prefix(40).map { letter in
            letter.properties.isAlphabetic || "0"..."9" ~= letter || letter == "-" ? Character(letter) : "_"
        }
        return maskFolder(stem).joined("\(index)-\(String(name)).png")
    }
}
