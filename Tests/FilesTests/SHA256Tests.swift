import BEiTFiles
import Foundation
import Testing

@Suite struct SHA256Tests {
    /// FIPS 180-4's examples, and lengths around a block.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func digest(_ text: String, _ wanted: String) { #expect(SHA256.hexDigest(Array(text.utf8)) == wanted) }

    /// Lengths on either side of a block's end.
    @Test(arguments: [
        (55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"),
        (56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"),
        (63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34"),
        (64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"),
        (119, "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb"),
        (120, "2f3d335432c70b580af0e8e1b3674a7c020d683aa5f73aaaedfdc55af904c21c"),
        (1000, "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3"),
    ])
    func padding(_ count: Int, _ wanted: String) {
        #expect(SHA256.hexDigest([UInt8](repeating: UInt8(ascii: "a"), count: count)) == wanted)
    }

    /// Computed by whoever has time, waited for by several.
    @Test(arguments: [0, 1, 262_144, 3_000_001]) func pending(_ count: Int) throws {
        let folder = try Scratch(), bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 / 3) }
        try AtomicFile.write(bytes, to: folder["a"])
        let wanted = SHA256.hexDigest(bytes)
        let digests = (0..<9).map { _ in PendingDigest(ofFile: folder["a"]) }
        for digest in digests {
            #expect(digest.known == nil || digest.known == wanted)
            #expect(try digest.wait() == wanted)
            #expect(try digest.known == wanted && digest.wait() == wanted)
        }
        #expect(try SHA256.hexDigest(ofFile: folder["a"]) == wanted)
    }

    @Test func pendingOfNoFile() throws {
        let folder = try Scratch(), digest = PendingDigest(ofFile: folder["none"])
        #expect(throws: FileError.self) { try digest.wait() }
        #expect(digest.known == nil)
        #expect(mkfifo(folder["pipe"], 0o600) == 0)
        _ = try PendingDigest(ofFile: folder["pipe"]).wait()
    }
}
