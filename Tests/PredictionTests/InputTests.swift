import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import Foundation
import Testing

@testable import BEiTPrediction

/// A folder that goes away with the test.
final class Scratch {
    let path: String

    init(_ files: [String] = []) throws {
        path = NSTemporaryDirectory() + "beit-seg-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        for file in files { try AtomicFile.write("", to: self[file]) }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    subscript(name: String) -> String { path + "/" + name }
}

@Suite struct InputTests {
    @Test func aFolderStandsForTheImagesBelowIt() throws {
        let folder = try Scratch(["b.JPG", "a/c d.png", "a/.d.png", ".e/f.png", "notes.md", "a/out/g.png", "z.jpeg"])
        let found = try InputImages([folder.path], excluding: folder["a/out"])
        #expect(found.images.map(\.stem) == ["a/c d", "b", "z"])
        #expect(found.images.map(\.path) == ["a/c d.png", "b.JPG", "z.jpeg"].map { folder[$0] })
        #expect(found.leftOut.hidden.count == 2 && found.leftOut.others.count == 1)
    }

    @Test func linksAreFollowedButNotInCircles() throws {
        let folder = try Scratch(["real/a.jpg", "real/deep/b.png"])
        let files = FileManager.default
        try files.createSymbolicLink(atPath: folder["link"], withDestinationPath: folder["real"])
        try files.createSymbolicLink(atPath: folder["real/deep/up"], withDestinationPath: folder["real"])
        try files.createSymbolicLink(atPath: folder["real/c.jpg"], withDestinationPath: "a.jpg")
        #expect(try InputImages([folder["link"]]).images.map(\.stem) == ["a", "c", "deep/b"])
    }

    /// A folder's tree is repeated whole, also where it has two ways to a photo.
    @Test func aLinkWithinAFolderCostsNoResult() throws {
        let folder = try Scratch(["t/a/y.jpg", "t/b/x.jpg"])
        try FileManager.default.createSymbolicLink(atPath: folder["t/a/link"], withDestinationPath: folder["t/b"])
        #expect(try InputImages([folder["t"], folder["t/b"]]).images.map(\.stem) == ["t/a/link/x", "t/a/y", "t/b/x"])
    }

    private func stems(_ paths: [String], _ list: String = "", flat: Bool = false) throws -> [String] {
        try InputImages(paths, flat: flat) { Array(list.utf8) }.images.map(\.stem)
    }

    @Test func severalInputsKeepTheFoldersThatTellThemApart() throws {
        let folder = try Scratch(["a/x.jpg", "b/x.jpg", "b/deep/y.png", "z.png"])
        #expect(try stems([folder["a"]]) == ["x"])
        #expect(try stems([folder["a"], folder["b"]]) == ["a/x", "b/deep/y", "b/x"])
        #expect(try stems([folder["a"], folder["b/deep"]]) == ["a/x", "b/deep/y"])
        #expect(try stems([folder["a/x.jpg"]]) == ["x"])
        #expect(try stems([folder["b/x.jpg"], folder["b/deep/y.png"]]) == ["x", "deep/y"])
        #expect(try stems([folder["a/x.jpg"], folder["b/x.jpg"], folder["z.png"]]) == ["a/x", "b/x", "z"])
        #expect(try stems([folder["a"], folder["z.png"]]) == ["a/x", "z"])
        #expect(try stems([folder["a/../b/./deep/../x.jpg"], folder["a//x.jpg"]]) == ["b/x", "a/x"])
        #expect(try stems([folder["a"], folder["b"]], flat: true) == ["x", "y", "x"])
    }

    @Test func listsKeepTheirFoldersAndNeverLeadOut() throws {
        #expect(try stems(["-"], "x/y.jpg\n\n./v.png\r\nx/z.png\n") == ["x/y", "v", "x/z"])
        #expect(try stems(["-"], "/data/a/x.jpg\n/data/b/x.jpg\n") == ["a/x", "b/x"])
        #expect(try stems(["-"], "/data/a/x.jpg\n") == ["x"])
        #expect(try stems(["-"], "/data/a/x.jpg\n/data/b/x.jpg\n", flat: true) == ["x", "x"])
        let here = FileManager.default.currentDirectoryPath.lastName
        #expect(try stems(["-"], "../w.png\nx/y.jpg\n") == ["w", here + "/x/y"])
        #expect(try stems(["-"], "../../../../../../../../../../../../w.png\n") == ["w"])
        for stem in try stems(["-"], "/a.jpg\n../b.jpg\nc.jpg\nd/../../e.jpg\n") {
            #expect(!stem.hasPrefix("/") && !stem.split(separator: "/").contains("..") && !stem.isEmpty)
        }
    }

    private static let lists: [(text: String, paths: [String])] = [
        ("a.jpg\nb.jpg\n", ["a.jpg", "b.jpg"]), ("a.jpg\r\nb.jpg\r\n", ["a.jpg", "b.jpg"]),
        ("a.jpg\rb.jpg", ["a.jpg", "b.jpg"]), ("\u{FEFF}a.jpg\n", ["a.jpg"]),
        ("a.jpg \n  \n\tb c.jpg\t\n", ["a.jpg", "b c.jpg"]),
        ("# photos\n  # more\n./#x.jpg\na#b.jpg\n", ["./#x.jpg", "a#b.jpg"]),
        ("a.jpg\0b\nc.jpg\0 # d.jpg \0", ["a.jpg", "b\nc.jpg", " # d.jpg "]), ("a.jpg", ["a.jpg"]), ("", []),
    ]

    @Test(arguments: lists) func listsAreReadAsTheyWereMeant(_ text: String, _ paths: [String]) throws {
        #expect(try PathList.entries(Array(text.utf8), of: "list") == paths)
    }

    @Test func namesInListsMayBeAnyBytes() throws {
        let entries = try PathList.entries([0x61, 0xE9, 0x2E, 0x6A, 0x70, 0x67, 0x0A, 0xC3, 0xA9, 0x0A], of: "list")
        #expect(entries.map(\.fileSystemBytes) == [[0x61, 0xE9, 0x2E, 0x6A, 0x70, 0x67], [0xC3, 0xA9]])
    }

    @Test func aNameThatEndsInBlanksIsFound() throws {
        let folder = try Scratch(["a.jpg ", "b.jpg", "b.jpg ", " c.jpg"])
        let list = ["a.jpg ", "b.jpg ", "no.jpg "].map { folder[$0] }.joined(separator: "\r\n")
        #expect(try PathList.entries(Array(list.utf8), of: "list") == ["a.jpg ", "b.jpg", "no.jpg"].map { folder[$0] })
    }

    private static let noLists: [[UInt8]] = [
        [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13], [0xFF, 0xD8, 0xFF, 0xE0, 0, 16],
        Array("version https://git-lfs.github.com/spec/v1\noid sha256:0\n".utf8),
        Array("<html><body>no</body></html>".utf8),
        [0xFF, 0xFE] + "a.jpg\n".utf8.flatMap { [$0, 0] },  // UTF-16
        [UInt8](repeating: 0, count: 50), [UInt8](repeating: 0x61, count: 5000),
        (0..<2000).map { (number: Int) in UInt8(number * 7919 % 32) },
    ]

    @Test(arguments: noLists)
    func whatIsNoTextIsNoList(_ bytes: [UInt8]) {
        let error = #expect(throws: DatasetError.self) { try PathList.entries(bytes, of: "list.txt") }
        #expect(error?.exitStatus == 65 && error?.path == "list.txt")
    }

    @Test func theSameImageNamedTwiceIsDoneOnce() throws {
        let folder = try Scratch(["in/a.jpg", "in/b.jpg"])
        try FileManager.default.createSymbolicLink(atPath: folder["link"], withDestinationPath: folder["in"])
        try FileManager.default.createSymbolicLink(atPath: folder["in/c.jpg"], withDestinationPath: "a.jpg")
        let paths = [folder["in/a.jpg"], folder["in/../in//a.jpg"], folder["link/a.jpg"], folder["in"], folder["link"]]
        // A second name of a file is another image: whoever gave it wants its result.
        #expect(try InputImages(paths).images.map(\.path) == ["a.jpg", "b.jpg", "c.jpg"].map { folder["in/" + $0] })
        let list = Array("/no/a.jpg\n/no/a.jpg\n/no/b.jpg\n".utf8)
        #expect(try InputImages(["-"]) { list }.images.map(\.path) == ["/no/a.jpg", "/no/b.jpg"])
    }

    @Test func obstaclesFailByThemselves() throws {
        let folder = try Scratch(["a.jpg"])
        #expect(mkfifo(folder["f.jpg"], 0o600) == 0)
        let images = try InputImages([folder.path]).images
        #expect(images.map(\.stem) == ["a", "f"] && images.map { $0.problem == nil } == [true, false])
        let problem = try #require(images[1].problem)
        #expect(throws: problem) { try images.photos(as: ImageReading()).decode(1) }
    }

    @Test(.timeLimit(.minutes(1))) func aListOfAMillionLinesIsRead() throws {
        let list = (0..<1_000_000).map { "/data/\($0 % 1000)/\($0).jpg" }.joined(separator: "\n")
        let images = try InputImages(["-"]) { Array(list.utf8) }.images
        #expect(images.count == 1_000_000 && images.last?.stem == "999/999999")
    }

    @Test func whatIsNotThereIsNamed() throws {
        let folder = try Scratch(["notes.md"])
        for path in [folder["no"], folder["no.txt"], folder.path] {
            let error = #expect(throws: FileError.self) { try InputImages([path], excluding: "out") }
            #expect(error?.kind == .missing && error?.path == path)
        }
    }

    @Test func shardsDivideTheWork() throws {
        let all = Array(0..<11)
        let parts = try (1...3).map { try #require(Shard("\($0)/3")).part(of: all) }
        #expect(parts == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8]])
        for text in ["0/3", "4/3", "1", "a/b", "1/2/3", "-1/2", "1/0"] { #expect(Shard(text) == nil) }
    }

    @Test func launchersNumberTheirRanksFromZero() throws {
        func shard(_ environment: [String: String]) throws -> Shard? { try Shard.ofLauncher(environment) }
        #expect(try shard(["OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "4"]) == Shard(number: 3, count: 4))
        #expect(try shard(["PMI_RANK": "0", "PMI_SIZE": "2"]) == Shard(number: 1, count: 2))
        #expect(try shard(["PMI_RANK": "0", "PMI_SIZE": "1"]) == nil)
        #expect(try shard(["SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2"]) == Shard(number: 2, count: 2))
        #expect(try shard(["SLURM_PROCID": "0", "SLURM_NTASKS": "2"]) == nil)  // a batch script, not a step
        #expect(try shard([:]) == nil)
    }

    /// Negative, beyond the number of processes, no numbers, none at all: never all the work in each process.
    @Test(arguments: [("-1", "4"), ("4", "4"), ("7", "4"), ("a", "4"), ("0", "b"), ("0", "0"), ("0", "-2"), ("", "2")])
    func aLauncherThatMakesNoSenseIsRefused(_ rank: String, _ size: String) {
        for (rankName, sizeName) in [("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMI_RANK", "PMI_SIZE")] {
            let error = #expect(throws: LauncherError.self) {
                try Shard.ofLauncher([rankName: rank, sizeName: size])
            }
            #expect(error == LauncherError(rank: "\(rankName)=\(rank)", size: "\(sizeName)=\(size)"))
        }
    }
}
