import BEiTFiles
import BEiTImageIO
import BEiTProcesses
import Foundation

/// What became of a photo that went through a tokenizer.
package struct TokenizerRecord: Codable, Equatable, Sendable {
    package var path: String
    /// Why there is nothing of it.
    package var error: String?
    /// Different codes among its tokens.
    package var codes: Int?
    /// Between photo and reconstruction, for pixels within 0…1.
    package var mse: Double?
    package var l1: Double?

    package init(path: String) { self.path = path }
}

/// Writes photos and their reconstructions side by side.
package struct Reconstruction {
    private let tokenizer: PhotoTokenizer
    private let output: String

    /// - Parameter output: the folder, where the photos' own folders are repeated.
    package init(_ tokenizer: PhotoTokenizer, output: String) { (self.tokenizer, self.output) = (tokenizer, output) }

    /// The file of a photo and its reconstruction.
    package static func path(of image: InputImage, in output: String) -> String { output.joined(image.stem + ".png") }

    /// Pairs on a sheet, at most.
    package static let mostDrawn = 64

    /// Works through `images`. One that cannot be read, or whose pair would overwrite another's, gets a record that says so.
    ///
    /// - Parameters:
    ///   - sheet: a file for the first pairs together, four a row.
    ///   - progress: hears how many images are done or have failed.
    ///   - report: hears of each record as it is made.
    /// - Throws: `FileError` where pairs cannot be written, and as ``PhotoTokenizer/encode(_:progress:failed:_:)``.
    package func run(
        _ images: [InputImage], sheet: String?, progress: (_ done: Int) -> Void, report: (TokenizerRecord) -> Void
    ) throws -> [TokenizerRecord] {
        var (records, owners, drawn): ([TokenizerRecord], [String: String], [RGBImage]) = ([], [:], [])
        func add(_ record: TokenizerRecord) {
            records.append(record)
            report(record)
        }
        let own = images.filter { image in
            guard let owner = owners[image.stem] else {
                owners[image.stem] = image.path
                return true
            }
            var record = TokenizerRecord(path: image.path)
            record.error = "\(image.path): its pair would overwrite that of \(owner); rename one of them"
            add(record)
            return false
        }
        let before = records.count
        try tokenizer.encode(own, by: SingleProcess(), progress: { progress(before + $0) }) { _, _ in
        } summary: { index, encoding in
            let picture = tokenizer.picture(encoding.tokens)
            try writePNG(.sheet([encoding.view, picture], columns: 2), to: Self.path(of: own[index], in: output))
            if sheet != nil, drawn.count < 2 * Reconstruction.mostDrawn { drawn += [encoding.view, picture] }
            var record = TokenizerRecord(path: own[index].path)
            record.codes = Set(encoding.tokens).count
            (record.mse, record.l1) = errors(encoding.view, picture)
            return record
        } take: { index, outcome in
            switch outcome {
            case .done(let record): add(record)
            case .failed(let reason):
                var record = TokenizerRecord(path: own[index].path)
                record.error = reason
                add(record)
            }
        }
        if let sheet, !drawn.isEmpty { try writePNG(.sheet(drawn, columns: 8), to: sheet) }
        return records
    }

    private func errors(_ a: RGBImage, _ b: RGBImage) -> (mse: Double, l1: Double) {
        var squares = 0, absolutes = 0
        for (x, y) in zip(a.pixels, b.pixels) {
            let difference = Int(x) - Int(y)
            squares += difference * difference
            absolutes += abs(difference)
        }
        let count = Double(a.pixels.count)
        return (Double(squares) / (count * 255 * 255), Double(absolutes) / (count * 255))
    }
}
