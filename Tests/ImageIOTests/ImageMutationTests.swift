import BEiTMutants
import Foundation
import Testing

@testable import BEiTImageIO

/// Damaged images of every format, made by chance from sound ones: each is decoded or refused with one line, without a
/// crash, without a hang, and with no more memory than its limits allow.
///
/// `BEIT_SEG_MUTATIONS=100000 swift test -c release --filter ImageMutationTests` tries so many of each format (200
/// otherwise), with `BEIT_SEG_CODECS` of the files of that folder; `BEIT_SEG_MUTATED_FORMATS=tif,bmp` leaves the others
/// out, `BEIT_SEG_FIRST_MUTATION=N` begins with number N. The number of the one being tried stands in a file: what ends
/// the process is named.
@Suite(.serialized) struct ImageMutationTests {
    private static let count = setting("BEIT_SEG_MUTATIONS") ?? 200
    private static let first = setting("BEIT_SEG_FIRST_MUTATION") ?? 0
    private static let atOnce = 5000

    private static func setting(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }

    private static var formats: [String] {
        let chosen = ProcessInfo.processInfo.environment["BEIT_SEG_MUTATED_FORMATS"]?.split(separator: ",").map(
            String.init)
        return (chosen ?? ["tif", "webp", "bmp", "pnm"]).filter { ImageCodec.endings.contains($0) }
    }

    @Test(arguments: formats) func mutantsDoNoHarm(_ format: String) async throws {
        let folder = try ScratchFolder()
        let endings = format == "pnm" ? ["pbm", "pgm", "ppm", "pam"] : [format]
        let sound = try GridImage.all().map(\.file)
            .filter { file in endings.contains { file.hasSuffix("." + $0) } }.map { GridImage.folder + "/" + $0 }
        try #require(!sound.isEmpty)
        try sound.joined(separator: "\n").write(toFile: folder.path + "/sound", atomically: true, encoding: .utf8)
        var next = Self.first
        while next < Self.first + Self.count {
            let end = min(next + Self.atOnce, Self.first + Self.count)
            await #expect(processExitsWith: .success, "\(format)") {
                [folder = folder.path as String, next = next as Int, end = end as Int] in
                try ImageTrial(folder: folder).run(next..<end)
            }
            let reached = try ImageTrial.numberReached(in: folder.path)
            if reached < end { Issue.record("mutant \(reached) of \(format)") }
            next = reached < end ? reached + 1 : end
        }
    }
}

/// Mutants read one after another, in a process that ends where one does harm.
private struct ImageTrial {
    let folder: String

    /// Seconds a mutant may take, pixels it may have, and the memory that reading it may take.
    private static let seconds: UInt32 = 20, pixels = 1_000_000, room = 400 << 20
    private static let numberFile = "number"

    static func numberReached(in folder: String) throws -> Int {
        try Data(contentsOf: URL(fileURLWithPath: folder + "/" + numberFile))
            .withUnsafeBytes { $0.loadUnaligned(as: Int.self) }
    }

    func run(_ numbers: Range<Int>) throws {
        let names = try String(contentsOfFile: folder + "/sound", encoding: .utf8).split(separator: "\n").map(
            String.init)
        let sound = try names.map { [UInt8](try Data(contentsOf: URL(fileURLWithPath: $0))) }
        let path = folder + "/mutant", descriptor = open(folder + "/" + Self.numberFile, O_WRONLY | O_CREAT, 0o644)
        let file = open(path, O_WRONLY | O_CREAT, 0o644)
        limitMemory()
        for number in numbers {
            guard withUnsafeBytes(of: number, { pwrite(descriptor, $0.baseAddress, 8, 0) }) == 8 else { exit(2) }
            let mutant = Mutant(of: sound[number % sound.count], number: number, seed: names[number % sound.count])
                .bytes
            guard pwrite(file, mutant, mutant.count, 0) == mutant.count, ftruncate(file, off_t(mutant.count)) == 0
            else {
                exit(2)
            }
            alarm(Self.seconds)
            if let flaw = read(path, number) { complain(flaw) }
            alarm(0)
        }
        _ = withUnsafeBytes(of: numbers.upperBound) { pwrite(descriptor, $0.baseAddress, 8, 0) }
    }

    /// What is wrong with how a mutant was read.
    private func read(_ path: String, _ number: Int) -> String? {
        let limits = ImageLimits(maximumPixels: Self.pixels)
        var reading = ImageReading()
        if number % 3 == 1 { reading.range = .full }
        if number % 7 == 2 { reading.bands = [2] }
        if number % 11 == 3 { reading.page = 2 }
        do {
            let pages = number % 5 == 4 ? try imagePages(path) : 1
            if pages < 1 { return "has \(pages) pages" }
            let header = try imageHeader(path, page: reading.page)
            let image = try decodeImage(path, as: reading, limits: limits)
            if header.width != image.width || header.height != image.height { return "has two sizes" }
            // A second time in rows: the same.
            let rows = try ImageRows(path, as: reading, limits: limits)
            if try rows.read(rows.height) != image.pixels { return "has other rows" }
            _ = try GeoReference(of: path, page: reading.page)
            _ = try decodeMask(path, limits: limits)
        } catch {
            let text = "\(error)"
            return text.contains("\n") || !text.hasPrefix(path) ? "gives the error \(text)" : nil
        }
        return nil
    }

    private func complain(_ flaw: String) -> Never {
        FileHandle.standardError.write(Data("ImageMutationTests: the mutant \(flaw)\n".utf8))
        exit(1)
    }

    /// What asks for more gets none.
    private func limitMemory() {
        let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        guard let pages = text.split(separator: " ").first.flatMap({ rlim_t($0) }) else { return }
        var limit = rlimit()
        limit.rlim_cur = pages * rlim_t(sysconf(Int32(_SC_PAGESIZE))) + rlim_t(Self.room)
        limit.rlim_max = limit.rlim_cur
        setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit)
    }
}
