import BEiTFiles

/// What holds weights elsewhere, told by the first bytes of a file.
package enum OtherFormat: Sendable {
    case zip, pickle, safetensors

    var description: String {
        switch self {
        case .zip: "a zip archive, as PyTorch writes it"
        case .pickle: "a pickle of Python, as PyTorch wrote it"
        case .safetensors: "a safetensors file"
        }
    }

    /// Nil for a file of none of them. Nothing but the first bytes is read.
    init?(file: String) {
        let start = (try? FileSystem.start(of: file, count: 9)) ?? []
        if start.starts(with: [0x50, 0x4B, 3, 4]) {
            self = .zip
        } else if start.count > 1, start[0] == 0x80, (2...5).contains(start[1]) {  // PROTO and its version
            self = .pickle
        } else if start.count == 9, start[8] == UInt8(ascii: "{") {  // behind the length of the header
            self = .safetensors
        } else {
            return nil
        }
    }
}
