import Foundation
import Testing

@testable import BEiTFiles

@Suite struct FileSystemNameTests {
    /// Bytes of a name, and what is shown of it.
    static let names: [([UInt8], String)] = [
        (Array("plain.jpg".utf8), "plain.jpg"),
        (Array("Grün é 写真 🐈.png".utf8), "Grün é 写真 🐈.png"),
        ([0x66, 0xFC, 0x72, 0x2E, 0x6A], "f\\xFCr.j"),  // Latin 1
        ([0xFF, 0xFE, 0x80], "\\xFF\\xFE\\x80"),
        ([0xE2, 0x82, 0x61, 0xE2, 0x82], "\\xE2\\x82a\\xE2\\x82"),  // a letter cut short
        ([0xC0, 0xAF], "\\xC0\\xAF"),  // an overlong slash
        ([0xED, 0xA0, 0x80], "\\xED\\xA0\\x80"),  // a surrogate
        ([0xF4, 0x8F, 0x82, 0xA9], "\\xF4\\x8F\\x82\\xA9"),  // U+10F0A9, which carries a byte
        (Array("\u{10F07F}\u{10F100}".utf8), "\u{10F07F}\u{10F100}"),  // its neighbours, which do not
        (Array("a\nb\t\u{1B}[31m\r\u{7F}".utf8), "a\\nb\\t\\x1B[31m\\r\\x7F"),
        (Array("\u{85}\u{202E}gpj.exe\u{2028}".utf8), "\\u{85}\\u{202E}gpj.exe\\u{2028}"),
        ([], ""),
    ]

    @Test(arguments: names) func comesBackAsItWas(_ bytes: [UInt8], _ shown: String) throws {
        let text = String(fileSystemBytes: bytes)
        #expect(text.fileSystemBytes == bytes)
        #expect(text.shown == shown)
        let again = text.withFileSystemName { String(fileSystemName: $0) }
        #expect(Array(again.utf8) == Array(text.utf8))
        // Through JSON as well: a manifest keeps it.
        let json = try JSONDecoder().decode([String].self, from: JSONEncoder().encode([text]))
        #expect(json[0].fileSystemBytes == bytes)
    }

    @Test func everyByteComesBack() {
        for first in UInt8(1)...255 {
            for second in UInt8(1)...255 {
                let bytes = [first, second, 0x61]
                #expect(String(fileSystemBytes: bytes).fileSystemBytes == bytes)
            }
        }
    }

    @Test func aNameWithNULIsNoOtherFile() {
        #expect(!FileSystem.exists("/tmp\0/x"))
        "/tmp\0".withFileSystemName { #expect(strlen($0) == 0) }
    }
}

@Suite struct PathArithmeticTests {
    @Test(
        arguments: [
            ("a/b.jpg", "a", "b.jpg", "b", "jpg", "a/b"), ("b.tar.GZ", ".", "b.tar.GZ", "b.tar", "GZ", "b.tar"),
            ("/a", "/", "a", "a", "", "/a"), ("/", "/", "/", "/", "", "/"), ("a//b/", "a", "b", "b", "", "a//b/"),
            (".hidden", ".", ".hidden", ".hidden", "", ".hidden"), ("a.d/b", "a.d", "b", "b", "", "a.d/b"),
            ("..", ".", "..", "..", "", ".."), ("a.", ".", "a.", "a.", "", "a."), ("", ".", "", "", "", ""),
            ("a/\u{301}e.png", "a", "\u{301}e.png", "\u{301}e", "png", "a/\u{301}e"),
            ("\u{10F0E9}/\u{10F0FF}.png", "\u{10F0E9}", "\u{10F0FF}.png", "\u{10F0FF}", "png", "\u{10F0E9}/\u{10F0FF}"),
        ])
    func cutsAtSlashesAndPoints(
        _ path: String, _ parent: String, _ name: String, _ stem: String, _ ending: String, _ without: String
    ) {
        #expect(path.parent == parent)
        #expect(path.lastName == name)
        #expect(path.stem == stem)
        #expect(path.ending == ending)
        #expect(path.withoutEnding == without)
    }

    @Test func joins() {
        #expect("a".joined("b") == "a/b")
        #expect("a/".joined("b") == "a/b")
        #expect("".joined("b") == "b")
        #expect("/".joined("b") == "/b")
        #expect("a".joined("\u{301}b").utf8.elementsEqual("a/\u{301}b".utf8))
    }
}

@Suite struct FileSystemTests {
    @Test func listsNamesThatAreNoUTF8() throws {
        let folder = try Scratch(), bytes: [UInt8] = [0x66, 0xFC, 0x72]
        let name = String(fileSystemBytes: bytes)
        try AtomicFile.write("text", to: folder["\(name)/\(name)"])
        try AtomicFile.write("", to: folder["a\nb"])
        #expect(folder.names.map(\.fileSystemBytes) == [[0x61, 0x0A, 0x62], bytes])
        #expect(folder.text("\(name)/\(name)") == "text")
        #expect(FileSystem.realPath(folder["\(name)/."]) == FileSystem.realPath(folder.path)?.joined(name))
        let error = #expect(throws: FileError.self) { try FileSystem.read(folder["\(name)/\(name)/x"]) }
        #expect(error?.description.contains("f\\xFCr/f\\xFCr/x: cannot open: Not a directory") == true)
    }

    @Test func statusTellsKindsAndIdentities() throws {
        let folder = try Scratch()
        try AtomicFile.write("12345", to: folder["a"])
        folder.hardLink("b", to: "a")
        folder.link("c", to: "a")
        folder.link("nowhere", to: "x")
        folder.fifo("fifo")
        let status = try FileSystem.requireStatus(of: folder["a"])
        #expect(status.kind == .file && status.size == 5)
        let now = Int(Date().timeIntervalSince1970 * 1e9)
        #expect(abs(now - status.modified) < 3_600_000_000_000)
        #expect(FileSystem.status(of: folder["b"])?.identity == status.identity)
        #expect(FileSystem.status(of: folder["c"])?.identity == status.identity)
        #expect(FileSystem.status(of: folder["c"], followingLinks: false)?.kind == .link)
        #expect(FileSystem.status(of: folder["fifo"])?.kind == .other)
        #expect(FileSystem.status(of: "/dev/null")?.kind == .other)
        #expect(FileSystem.isFolder(folder.path) && !FileSystem.isFolder(folder["a"]))
        #expect(!FileSystem.exists(folder["nowhere"]))
    }

    @Test func saysWhyNot() throws {
        let folder = try Scratch()
        #expect(throws: FileError.self) { try FileSystem.names(in: folder["none"]) }
        let long = folder[String(repeating: "n", count: 300)]
        let error = #expect(throws: FileError.self) { try FileSystem.requireStatus(of: long) }
        #expect(error?.reason == "cannot open: File name too long; give it a shorter name")
        try AtomicFile.write("12345", to: folder["a"])
        #expect(try FileSystem.read(folder["a"], atMost: 5).count == 5)
        #expect(throws: FileError.self) { try FileSystem.read(folder["a"], atMost: 4) }
        #expect(throws: FileError.self) { try FileSystem.read(folder.path) }
    }
}
