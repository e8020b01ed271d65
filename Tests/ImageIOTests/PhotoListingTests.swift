import BEiTFiles
import Foundation
import Testing

@testable import BEiTImageIO

@Suite struct PhotoListingTests {
    private let root: String

    init() throws {
        root = NSTemporaryDirectory() + "beit-seg-listing-" + UUID().uuidString
        for name in ["b.JPG", "a/c d.png", "a/.d.png", ".e/f.png", "notes.md", "a/out/g.png", "z.jfif", "y.jpe"] {
            try AtomicFile.write("", to: root + "/" + name)
        }
    }

    private func link(_ name: String, to target: String) throws {
        try FileManager.default.createSymbolicLink(atPath: root + "/" + name, withDestinationPath: target)
    }

    @Test func photosAreListedAndTheRestIsCounted() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        for name in ["p.gif", "a/q.GIF", "r.heic"] { try AtomicFile.write("", to: root + "/" + name) }
        let found = try PhotoListing(root, excluding: root + "/a/out")
        #expect(found.names == ["a/c d.png", "b.JPG", "y.jpe", "z.jfif"])
        #expect(found.problems.isEmpty)
        #expect(found.leftOut.hasImages)
        #expect(
            found.leftOut.description
                == "left out: 2 .gif (not read; convert to PNG; first \(root)/a/q.GIF), "
                + "1 .heic (not read; convert to PNG; first \(root)/r.heic), 2 hidden (first \(root)/.e), "
                + "1 of other types (\(root)/notes.md)")
    }

    /// By bytes, not by letters: a capital comes before small ones, and an accent that is a letter of its own after all.
    @Test func namesAreSortedByTheirBytes() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        for name in ["\u{E9}.png", "e\u{301}.png", "Z.png", "a.png", "a/a.png"] {
            try AtomicFile.write("", to: root + "/" + name)
        }
        let names = try PhotoListing(root, endings: ["png"]).names
        #expect(
            names.map { Array($0.utf8) }
                == ["Z.png", "a.png", "a/a.png", "a/c d.png", "a/out/g.png", "e\u{301}.png", "\u{E9}.png"].map {
                    Array($0.utf8)
                })
    }

    @Test func linksAreFollowedButNotInCircles() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        try link("a/up", to: root)
        try link("a/self", to: ".")
        try link("copy", to: "a/out")
        try link("gone.jpg", to: "nowhere")
        let found = try PhotoListing(root)
        #expect(found.names == ["a/c d.png", "a/out/g.png", "b.JPG", "copy/g.png", "gone.jpg", "y.jpe", "z.jfif"])
        #expect(found.leftOut.circles.count == 2 && found.leftOut.circles.first == root + "/a/self")
    }

    @Test func whatIsNoFileIsAProblemAndNotOpened() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        #expect(mkfifo(root + "/a/f.jpg", 0o600) == 0 && mkfifo(root + "/pipe", 0o600) == 0)
        try link("null.png", to: "/dev/null")
        let found = try PhotoListing(root)
        #expect(found.problems.map(\.path) == ["/a/f.jpg", "/null.png"].map { root + $0 })
        #expect(found.names.count == 5 && found.leftOut.others.count == 2)
    }

    @Test func aFolderThatMayNotBeListedIsNamedAndTheRestGoesOn() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        // As root every folder may be listed: a folder too deep for the system's paths stands for it.
        var depth = root
        let name = String(repeating: "d", count: 200)
        while depth.utf8.count + 201 < 4090 { depth += "/" + name }
        try FileManager.default.createDirectory(atPath: depth, withIntermediateDirectories: true)
        let descriptor = open(depth, O_RDONLY)
        #expect(mkdirat(descriptor, name, 0o700) == 0)
        defer {
            unlinkat(descriptor, name, AT_REMOVEDIR)
            close(descriptor)
        }
        let found = try PhotoListing(root)
        #expect(found.names.count == 5)
        #expect(found.problems.count == 1 && found.problems.first?.description.contains("File name too long") == true)
    }

    @Test func nothingToReadIsSaidWithWhatIsThere() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        try AtomicFile.write("", to: root + "/scans/a.exr")
        let error = #expect(throws: FileError.self) { try PhotoListing(root + "/scans").requireNames() }
        #expect(error?.exitStatus == 66 && error?.reason.contains("1 .exr (not read") == true)
        #expect(throws: FileError.self) { try PhotoListing(root + "/notes.md").requireNames() }
        #expect(throws: FileError.self) { try PhotoListing(root + "/no").requireNames() }
    }
}
