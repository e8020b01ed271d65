import BEiTFiles
import BEiTImageIO
import Foundation
import Testing

/// Shards as users of the commands meet them.
@Suite struct ShardCommandTests {
    private func shards() throws -> Scratch {
        let folder = try Scratch()
        for index in 0..<5 { try SmallModel.photo(40, 30, seed: UInt64(index), to: folder["photos/a/\(index).png"]) }
        try SmallModel.save(to: folder["model.h5"])
        let run = try Program("pack", folder["photos"], "-o", folder["s"], "--samples-per-shard", "2", "--json")
        #expect(run.status == 0 && run.output.contains("\"samples\" : 5"), "\(run.errors)")
        return folder
    }

    @Test func aShardsPhotosAreSegmentedAndResumed() throws {
        let folder = try shards()
        let arguments = ["predict", folder["s"], "-m", folder["model.h5"], "-o", folder["out"], "--format", "index"]
        let first = try Program(arguments: arguments)
        #expect(first.status == 0, "\(first.errors)")
        let whole = try Program(
            "predict", folder["photos"], "-m", folder["model.h5"], "-o", folder["files"], "--format", "index")
        #expect(whole.status == 0)
        for index in 0..<5 {
            #expect(
                try FileSystem.read(folder["out/a/\(index).png"]) == FileSystem.read(folder["files/a/\(index).png"]))
        }
        let again = try Program(arguments: arguments + ["--resume"])
        #expect(
            again.status == 0 && again.errors.contains { $0.contains("5 skipped") || $0.contains("complete") },
            "\(again.errors)")
    }

    @Test func aDamagedMemberIsNamedAndAResultWouldNotReplaceAShard() throws {
        let folder = try shards()
        let bytes = try FileSystem.read(folder["s/shard-000001.tar"])
        try AtomicFile.write(Array(bytes.dropLast(1400)), to: folder["s/shard-000001.tar"])
        try AtomicFile.write(Array("hello".utf8), to: folder["s/bad.tar"])
        let run = try Program(
            "predict", folder["s"], "-m", folder["model.h5"], "-o", folder["out"], "--format", "index")
        #expect(run.status == 1)
        #expect(
            run.errors.contains { $0.contains("shard-000001.tar:a/") && $0.contains("the archive ends within it") },
            "\(run.errors)")
        #expect(run.errors.contains { $0.contains("bad.tar: ") && $0.contains("no tar archive") }, "\(run.errors)")
        let twice = try Program("pack", folder["photos"], "-o", folder["s"])
        #expect(twice.status == 64 && twice.errors.first?.contains("it holds shards already") == true)
    }

    @Test func aMemberIsNamedAsAFileIs() throws {
        let folder = try shards()
        let list = try Program("predict", folder["s"], "-m", folder["model.h5"], "-o", folder["out"], "--json")
        let name = try #require(list.output.firstMatch(of: /[^"]*shard-000002.tar:a[^"]*png/)?.output).replacing(
            "\\/", with: "/")
        let run = try Program(
            "predict", String(name), "-m", folder["model.h5"], "-o", folder["one"], "--format", "index")
        #expect(run.status == 0, "\(run.errors)")
        #expect(FileSystem.isFile(folder["one/" + String(name).lastName]))
        let missing = try Program(
            "predict", folder["s/shard-000002.tar:no.png"], "-m", folder["model.h5"], "-o", folder["one"])
        #expect(missing.status == 66 && missing.errors.first?.contains("no member of this name") == true)
    }

    /// Shards with the same keys have a folder each.
    @Test func equalKeysOfSeveralShardsAreApart() throws {
        let folder = try shards()
        try FileManager.default.copyItem(atPath: folder["s/shard-000000.tar"], toPath: folder["s/other.tar"])
        let run = try Program(
            "predict", folder["s"], "-m", folder["model.h5"], "-o", folder["out"], "--format", "index")
        #expect(run.status == 0, "\(run.errors)")
        #expect(FileSystem.isFolder(folder["out/other/a"]) && FileSystem.isFolder(folder["out/shard-000002/a"]))
    }
}
