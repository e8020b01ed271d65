import Foundation
import Testing

@testable import BEiTFiles

@Suite struct OutputCheckTests {
    /// `in/a.png`, reached by links, hard links and other spellings.
    private func inputs() throws -> Scratch {
        let folder = try Scratch()
        try AtomicFile.write("photo", to: folder["in/a.png"])
        folder.hardLink("hard.png", to: "in/a.png")
        folder.link("link.png", to: "in/a.png")
        folder.link("link-of-link.png", to: "link.png")
        folder.link("linked", to: "in")
        folder.link("nowhere.png", to: "in/none.png")
        folder.fifo("fifo.png")
        return folder
    }

    @Test(
        arguments: [
            "in/a.png", "./in/a.png", "in//a.png", "in/../in/a.png", "new/../in/a.png", "new/deeper/../../in/a.png",
            "hard.png", "link.png", "link-of-link.png", "linked/a.png", "linked/../in/a.png",
        ])
    func anInputIsNoOutput(_ name: String) throws {
        let folder = try inputs()
        var check = OutputCheck(reads: [folder["in/a.png"]])
        let error = #expect(throws: FileError.self) { try check.check(write: folder[name]) }
        #expect(error?.kind == .isInput && error?.exitStatus == 64)
        #expect(error?.path == folder[name])
        var reversed = OutputCheck(reads: [folder[name]])
        guard FileSystem.exists(folder[name]) else { return }
        #expect(throws: FileError.self) { try reversed.check(write: folder["in/a.png"]) }
    }

    @Test(arguments: ["in/b.png", "a.png", "new/a.png", "linked/c.png", "in/A.png"]) func othersMayBe(_ name: String)
        throws
    {
        let folder = try inputs()
        var check = OutputCheck(reads: [folder["in/a.png"], folder["in"]])
        try check.check(write: folder[name])
    }

    @Test(arguments: ["", "/dev/null", "/dev/full", "/dev/stdout", "in", "fifo.png", "nowhere.png", "new/"])
    func whatIsNoFileIsNoOutput(_ name: String) throws {
        let folder = try inputs()
        let path = name.isEmpty || name.hasPrefix("/") ? name : folder[name]
        var check = OutputCheck()
        let error = #expect(throws: FileError.self) { try check.check(write: path) }
        #expect(error?.kind == .notAFile && error?.exitStatus == 64)
        #expect(throws: FileError.self) { try AtomicFile.write("x", to: path) }
        if name == "/dev/null" { #expect(FileSystem.status(of: name)?.kind == .other) }
    }

    @Test func aFolderThatIsReadIsNoFolderForResults() throws {
        let folder = try inputs(), check = OutputCheck(reads: [folder["in"]])
        for name in ["in", "in/", "linked", "in/../in"] {
            let error = #expect(throws: FileError.self) { try check.check(writeInto: folder[name]) }
            #expect(error?.kind == .isInput)
        }
        try check.check(writeInto: folder["out"])
        try check.check(writeInto: folder["in/out"])
        #expect(throws: FileError.self) { try check.check(writeInto: "") }
    }

    @Test func twoResultsMeetAtOnePlace() throws {
        let folder = try inputs()
        var check = OutputCheck()
        let place = check.place(of: folder["in/new/b.png"])
        for name in ["linked/new/b.png", "in/./new//b.png", "none/../in/new/b.png"] {
            #expect(check.place(of: folder[name]) == place, "\(name)")
        }
        #expect(check.place(of: folder["in/new/B.png"]) != place)
        #expect(check.place(of: folder["in/b.png"]) != place)
    }

    @Test func namesWithoutCapitals() {
        #expect(nameKey("Ä/B.PNG", ignoringCase: true) == nameKey("a\u{308}/b.png", ignoringCase: true))
        #expect(nameKey("Ä.PNG", ignoringCase: false) != nameKey("ä.PNG", ignoringCase: false))
        #expect(nameKey("\u{E4}", ignoringCase: false) != nameKey("a\u{308}", ignoringCase: false))
        #expect(nameKey("a", ignoringCase: true) != nameKey("b", ignoringCase: true))
    }
}
