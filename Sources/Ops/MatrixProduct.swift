import BEiTTensorCore
import CBEiTOneDNNShim
import CBEiTOpenBLAS

/// The library that multiplies matrices: the one place where it is chosen.
package enum MatrixEngine: String, Sendable, CaseIterable {
    case openBLAS, oneDNN

    /// oneDNN where it was built in, unless a test says otherwise.
    @TaskLocal package static var current: MatrixEngine = .preferred

    package static let preferred: MatrixEngine = beitseg_onednn_available() == 1 ? .oneDNN : .openBLAS

    /// The engines of this build.
    package static var available: [MatrixEngine] { preferred == .oneDNN ? [.openBLAS, .oneDNN] : [.openBLAS] }

    /// Names and versions of the libraries, for `--version`; the first one multiplies.
    package static var versions: [String] {
        // "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH …", and the processor whose kernels it has chosen.
        let words = openblas_get_config().map { String(cString: $0) }?.split(separator: " ").prefix(2) ?? ["OpenBLAS"]
        let core = openblas_get_corename().map { " for \(String(cString: $0))" } ?? ""
        let oneDNN = String(cString: beitseg_onednn_version())
        return (oneDNN.isEmpty ? [] : ["oneDNN \(oneDNN)"]) + [words.joined(separator: " ") + core]
    }

    // Our workers are the threads; OpenBLAS must start none of its own.
    private static let singleThreaded: Void = openblas_set_num_threads(1)

    /// C = op(A)·op(B) + β·C on the calling thread; row-major, `m`×`k` times `k`×`n`, row strides `lda`, `ldb`, `ldc`.
    package func multiply(
        m: Int, n: Int, k: Int, _ a: UnsafePointer<Float>, lda: Int, transposeA: Bool = false,
        _ b: UnsafePointer<Float>, ldb: Int, transposeB: Bool = false, beta: Float = 0,
        _ c: UnsafeMutablePointer<Float>, ldc: Int
    ) {
        switch self {
        case .oneDNN:
            let status = beitseg_onednn_sgemm(
                transposeA ? 1 : 0, transposeB ? 1 : 0, m, n, k, a, lda, b, ldb, beta, c, ldc)
            checkOneDNN(status, "sgemm \(m)×\(n)×\(k)")
        case .openBLAS:
            _ = MatrixEngine.singleThreaded
            cblas_sgemm(
                CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans, transposeB ? CblasTrans : CblasNoTrans,
                blasint(m), blasint(n), blasint(k), 1, a, blasint(lda), b, blasint(ldb), beta, c, blasint(ldc))
        }
    }
}

/// Ends the process where oneDNN did not get memory. Anything else is a mistake of ours.
func checkOneDNN(_ status: Int32, _ call: @autoclosure () -> String) {
    if status == beitseg_onednn_out_of_memory() { MemoryExhaustion.end(refused: 0) }
    precondition(status == 0, "oneDNN \(call()): status \(status)")
}

/// How a product is cut into tasks. The cuts depend on its size alone, never on the number of threads.
struct Tiling {
    let rows, columns: Int
    let rowTiles, columnTiles: Int
    /// Tiles begin with a whole multiple of so many rows and columns: those that the engine's kernels take at a time.
    private let rowStep, columnStep: Int

    /// About `height` × `width` elements a tile: small enough that a few cores share the work evenly and a tile
    /// stays in the second-level cache for its epilogue, large enough for the engine's kernels.
    init(rows: Int, columns: Int, height: Int = 96, width: Int = 384, rowStep: Int = 6, columnStep: Int = 1) {
        (self.rows, self.columns) = (rows, columns)
        (self.rowStep, self.columnStep) = (rowStep, columnStep)
        rowTiles = max(1, (rows + height - 1) / height)
        columnTiles = max(1, (columns + width - 1) / width)
    }

    var count: Int { rowTiles * columnTiles }

    /// Tiles one after another share their columns, so that a core meets the same weights again.
    func tile(_ index: Int) -> (rows: Range<Int>, columns: Range<Int>) {
        (rowRange(index % rowTiles), columnRange(index / rowTiles))
    }

    func rowRange(_ index: Int) -> Range<Int> { Tiling.part(index, of: rowTiles, rows, step: rowStep) }
    func columnRange(_ index: Int) -> Range<Int> { Tiling.part(index, of: columnTiles, columns, step: columnStep) }

    /// A part of whole steps.
    private static func part(_ index: Int, of parts: Int, _ count: Int, step: Int) -> Range<Int> {
        let steps = part(index, of: parts, (count + step - 1) / step)
        return steps.lowerBound * step..<min(count, steps.upperBound * step)
    }

    static func part(_ index: Int, of parts: Int, _ count: Int) -> Range<Int> {
        count * index / parts..<count * (index + 1) / parts
    }
}

/// Products of whole tensors, shared among the workers.
enum MatrixProduct {
    /// C = op(A)·op(B) (+ C with `accumulate`), op(A) `[m, k]`, op(B) `[k, n]`, all contiguous row-major.
    /// - Parameter epilogue: finishes each tile in its place.
    static func run(
        m: Int, n: Int, k: Int, _ a: UnsafePointer<Float>, transposeA: Bool = false, _ b: UnsafePointer<Float>,
        transposeB: Bool = false, accumulate: Bool = false, _ c: UnsafeMutablePointer<Float>, tiling: Tiling? = nil,
        epilogue: Epilogue = Epilogue()
    ) {
        let engine = MatrixEngine.current
        // In training A has many rows and B is packed anew in each call: taller tiles repay that.
        let tiling = tiling ?? Tiling(rows: m, columns: n, height: m > 768 ? 256 : 128)
        let (lda, ldb) = (transposeA ? m : k, transposeB ? k : n)
        WorkerPool.current.run(tiling.count) { index in
            let (rows, columns) = tiling.tile(index)
            let tile = c + rows.lowerBound * n + columns.lowerBound
            engine.multiply(
                m: rows.count, n: columns.count, k: k, a + rows.lowerBound * (transposeA ? 1 : lda), lda: lda,
                transposeA: transposeA, b + columns.lowerBound * (transposeB ? ldb : 1), ldb: ldb,
                transposeB: transposeB, beta: accumulate ? 1 : 0, tile, ldc: n)
            if epilogue.isIdentity { return }
            epilogue.finish(tile, stride: n, rows: rows, columns: columns, into: TileTarget(tile, stride: n))
        }
    }
}
