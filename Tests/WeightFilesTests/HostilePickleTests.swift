import BEiTFiles
import BEiTWeightFiles
import Foundation
import Testing

@Suite struct HostilePickleTests {
    /// Like good.pth, in other clothes.
    @Test(arguments: ["good_legacy", "good_deflated", "good_handmade", "good_other_prefix", "path_traversal"])
    func soundFiles(_ name: String) throws {
        let good = try TensorFile.open(fixture("pth/good.pth")).floats()
        let other = try TensorFile.open(fixture("pth/\(name).pth")).floats()
        #expect(good.count > 15 && Set(other.keys) == Set(good.keys))
        for (key, tensor) in good { #expect(other[key]?.values == tensor.values && other[key]?.shape == tensor.shape) }
    }

    @Test func aViewIsReadByColumns() throws {
        let good = try TensorFile.open(fixture("pth/good_handmade.pth")).floats()
        let view = try TensorFile.open(fixture("pth/transposed_view.pth")).floats()
        let changed = try #require(view.first { good[$0.key]?.values != $0.value.values })
        let original = try #require(good[changed.key])
        let (rows, columns) = (original.shape[0], original.shape[1])
        #expect(changed.value.shape == original.shape)
        for i in 0..<rows {
            for j in 0..<columns { #expect(changed.value.values[i * columns + j] == original.values[j * rows + i]) }
        }
    }

    @Test(arguments: [
        ("malicious_system", "system"), ("malicious_open", "open"), ("malicious_eval", "eval"),
        ("malicious_exec", "exec"),
        ("malicious_getattr", "getattr"), ("malicious_top", "never executes"), ("malicious_legacy", "never executes"),
        ("malicious_plain_pickle", "never executes"), ("malicious_extra_key", "system"),
        ("unknown_class", "nosuch.module.Thing"),
        ("truncated_half", "half a download"), ("truncated_legacy", "half a download"), ("no_pickle", "data.pkl"),
        ("missing_storage", "not in the archive"), ("short_storage", "bytes instead of"), ("view_past_end", "beyond"),
        ("negative_offset", "no sense"), ("negative_stride", "no sense"), ("huge_stride", "beyond"),
        ("huge_size", "beyond"), ("zero_stride_huge", "contiguous"), ("stride_rank", "strides"),
        ("zip_bomb", "bytes"), ("self_reference", "no tensors"), ("billion_laughs", "no tensors"),
        ("deep_nesting", "no tensors"), ("huge_string", "too early"), ("huge_memo", "no tensors"),
        ("stack_underflow", "stack"), ("no_stop", "too early"), ("empty_dict", "no tensors"),
        ("plain_pickle", "no tensors"), ("zero_bytes", "empty"), ("text", "text"),
    ])
    func hostileFilesAreRefused(_ name: String, _ word: String) {
        let text = refusal(fixture("pth/\(name).pth"))
        #expect(text.contains(word), "\(text)")
        #expect(!FileSystem.exists("PICKLE-WAS-EXECUTED"))
    }

    @Test(arguments: 0..<4) func flippedBytes(_ i: Int) {
        do {
            for tensor in try TensorFile.open(fixture("pth/flipped_bytes_\(i).pth")).tensors { _ = try tensor.values() }
        } catch { #expect(!"\(error)".contains("\n")) }
    }

    // MARK: Pickles made by hand

    private func answer(to pickle: [UInt8]) throws -> String {
        let folder = try Scratch()
        return refusal(try folder.file("model.pkl", pickle))
    }

    /// GLOBAL
    private func global(_ module: String, _ name: String) -> [UInt8] { Array("c\(module)\n\(name)\n".utf8) }

    private static let stop = Array(".".utf8)

    @Test(arguments: [
        ("posix", "system"), ("os", "system"), ("builtins", "eval"), ("torch.hub", "load"), ("torch", "load"),
        ("subprocess", "Popen"), ("torch.storage", "_load_from_bytesx"), ("numpy", "load"), ("numpy.f2py", "x"),
        ("torch.serialization", "load"), ("functools", "partial"), ("operator", "attrgetter"), ("_codecs", "decode"),
        ("builtins", "getattr"), ("collections", "OrderedDict.__init__"), ("posix\u{1B}[2J", "x\r"),
    ])
    func otherNamesAreRefused(_ module: String, _ name: String) throws {
        let text = try answer(to: [0x80, 2] + global(module, name) + Self.stop)
        #expect(text.contains("never executes") && text.contains((module + "." + name).shown), "\(text)")
        let later =
            [0x80, 4, 0x8C, UInt8(module.utf8.count)] + Array(module.utf8)
            + [0x8C, UInt8(name.utf8.count)] + Array(name.utf8) + [0x93] + Self.stop
        #expect(try answer(to: later).contains("never executes"))
    }

    /// Containers within each other, to a depth at which anything that recursed would have no stack left.
    @Test func nestedWithoutEnd() throws {
        let deep = [UInt8](repeating: UInt8(ascii: "}"), count: 200_000).flatMap { [$0] }
        let keys = (0..<200_000).flatMap { _ in Array("}U\u{1}a".utf8) }
        let filled = keys + Array("N".utf8) + [UInt8](repeating: UInt8(ascii: "s"), count: 200_000)
        #expect(try answer(to: [0x80, 2] + deep + Self.stop).contains("no tensors"))
        #expect(try answer(to: [0x80, 2] + filled + Self.stop).contains("nested without end"))
        #expect(
            try answer(to: [0x80, 2] + [UInt8](repeating: 0x5D, count: 1 << 20) + Self.stop).contains("more objects"))
        #expect(
            try answer(to: [0x80, 2] + [UInt8](repeating: 0x28, count: 1 << 20) + Self.stop).contains("more objects"))
    }

    /// A dict that has itself, and dicts that have the one before twice.
    @Test func dictsWithoutEnd() throws {
        let itself = Array("}q\u{0}U\u{5}modelh\u{0}s".utf8)
        #expect(try answer(to: [0x80, 2] + itself + Self.stop).contains("without end"))
        var doubled = Array("}q\u{0}".utf8)
        for i in 0..<UInt8(60) {
            doubled +=
                Array("}(U\u{1}a".utf8) + [0x68, i] + Array("U\u{1}b".utf8) + [0x68, i] + Array("uq".utf8) + [i + 1]
        }
        #expect(try answer(to: [0x80, 2] + doubled + Self.stop).contains("without end"))
    }

    /// Storages within storages within storages.
    @Test func pickledStoragesDoNotNest() throws {
        var inner: [UInt8] = [0x80, 2, 0x4E] + Self.stop
        for _ in 0..<3 {
            let length = withUnsafeBytes(of: UInt32(inner.count).littleEndian, Array.init)
            let call =
                global("torch.storage", "_load_from_bytes") + Array("B".utf8) + length + inner + [0x85]
                + Array("R.".utf8)
            inner = [0x80, 2] + call
        }
        #expect(try answer(to: inner).contains("damaged"))
    }
}
