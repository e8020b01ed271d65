import BEiTFiles
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
        let found = try InputImages.find([folder.path], excluding: folder["a/out"])
        #expect(found.map(\.stem) == ["a/c d", "b", "z"])
        #expect(found.map(\.path) == ["a/c d.png", "b.JPG", "z.jpeg"].map { folder[$0] })
    }

    @Test func linksAreFollowedButNotInCircles() throws {
        let folder = try Scratch(["real/a.jpg", "real/deep/b.png"])
        let files = FileManager.default
        try files.createSymbolicLink(atPath: folder["link"], withDestinationPath: folder["real"])
        try files.createSymbolicLink(atPath: folder["real/deep/up"], withDestinationPath: folder["real"])
        try files.createSymbolicLink(atPath: folder["real/c.jpg"], withDestinationPath: "a.jpg")
        #expect(try InputImages.find([folder["link"]]).map(\.stem) == ["a", "c", "deep/b"])
    }

    @Test func listsKeepTheirFoldersUnlessTheyLeadOut() throws {
        let folder = try Scratch()
        try AtomicFile.write("x/y.jpg\n\n/abs/z.png\r\n../w.png\n./v.png\n", to: folder["list.txt"])
        let found = try InputImages.find([folder["list.txt"], "-"], excluding: "out") { ["s/t.png"] }
        #expect(found.map(\.path) == ["x/y.jpg", "/abs/z.png", "../w.png", "./v.png", "s/t.png"])
        #expect(found.map(\.stem) == ["x/y", "z", "w", "v", "s/t"])
    }

    @Test func whatIsNotThereIsNamed() throws {
        let folder = try Scratch(["notes.md"])
        for path in [folder["no"], folder["no.txt"], folder.path] {
            let error = #expect(throws: FileError.self) { try InputImages.find([path], excluding: "out") }
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
