import CBEiTCrypto
import Foundation
import Synchronization

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
        var reading = try FileDigest(path)
        while true { if let digest = try reading.advance() { return digest } }
    }
}

/// A file that is read for its digest block by block.
private struct FileDigest: ~Copyable {
    private let path: String
    private let descriptor: Int32
    private var state: SHA256? = SHA256()
    private var block = [UInt8](repeating: 0, count: 1 << 18)

    /// Does not wait for a writer, where it is a pipe.
    init(_ path: String) throws(FileError) {
        self.path = path
        descriptor = path.withFileSystemName { open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
        guard descriptor >= 0 else { throw FileError.system(path, doing: "open") }
    }

    deinit { close(descriptor) }

    /// Takes in the next block. Returns the digest at the end, once.
    mutating func advance() throws(FileError) -> String? {
        let count = retrying { read(descriptor, &block, block.count) }
        guard count >= 0 else { throw FileError.system(path, doing: "read") }
        if count == 0 { return state.take()?.finish() }
        block.withUnsafeBytes { state?.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        return nil
    }
}

/// The SHA-256 of a file that is computed from now on, beside other work and after it. Who waits for it helps.
package final class PendingDigest: Sendable {
    private struct Work: ~Copyable {
        var reading: FileDigest?
        var result: Result<String, FileError>?

        init(_ path: String) {
            do throws(FileError) { reading = try FileDigest(path) } catch { result = .failure(error) }
        }

        /// A block more. Returns the result where there is one.
        mutating func advance() -> Result<String, FileError>? {
            if let result { return result }
            do throws(FileError) { result = try reading?.advance().map { .success($0) } } catch {
                result = .failure(error)
            }
            if result != nil { reading = nil }
            return result
        }
    }
    private let work: Mutex<Work>

    package init(ofFile path: String) {
        work = Mutex(Work(path))
        let thread = Thread { [self] in
            #if os(Linux)
                setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)  // of this thread
            #endif
            while advance() == nil {}
        }
        thread.name = "beit-seg digest"
        thread.start()
    }

    private func advance() -> Result<String, FileError>? { work.withLock { $0.advance() } }

    /// In hexadecimal. Throws ``FileError``.
    package func wait() throws(FileError) -> String {
        while true { if let result = advance() { return try result.get() } }
    }

    /// Nil where it is not known yet, or cannot be.
    package var known: String? { work.withLock { try? $0.result?.get() } }
}
