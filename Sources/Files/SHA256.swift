import CBEiTCrypto
import Foundation

/// SHA-256 (FIPS 180-4) by libcrypto, to name a file by its contents.
package struct SHA256: ~Copyable {
    private let context = EVP_MD_CTX_new()

    package init() { precondition(EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1, "libcrypto has no SHA-256") }

    deinit { EVP_MD_CTX_free(context) }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        precondition(EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1, "libcrypto cannot go on")
    }

    /// In hexadecimal.
    package consuming func finish() -> String {
        var digest = [UInt8](repeating: 0, count: 32)
        precondition(EVP_DigestFinal_ex(context, &digest, nil) == 1, "libcrypto cannot finish")
        return digest.map { String(format: "%02x", $0) }.joined()
    }

    package static func hexDigest(_ bytes: [UInt8]) -> String {
        var state = SHA256()
        bytes.withUnsafeBytes { state.update($0) }
        return state.finish()
    }

    /// The digest of a file's contents in hexadecimal. Throws ``FileError``.
    package static func hexDigest(ofFile path: String) throws(FileError) -> String {
        let descriptor = path.withFileSystemName { open($0, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw FileError.system(path, doing: "open") }
        defer { close(descriptor) }
        var state = SHA256()
        var block = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = retrying { read(descriptor, &block, block.count) }
            guard count >= 0 else { throw FileError.system(path, doing: "read") }
            if count == 0 { return state.finish() }
            block.withUnsafeBytes { state.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
    }
}
