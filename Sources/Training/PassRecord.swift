import BEiTLayers
import BEiTOps
import BEiTTensorCore

/// What a pass came to beside its gradient; all processes of a run know it of all passes.
struct PassRecord {
    var loss: Float
    var statistics: [StatisticsUpdate]
    /// What the objective counts.
    var counts: [Double]

    var isFinite: Bool { loss.isFinite }

    init(_ loss: Float, _ statistics: [StatisticsUpdate], _ counts: [Double]) {
        (self.loss, self.statistics, self.counts) = (loss, statistics, counts)
    }
}

/// The running statistics of a model, by number, so that processes can tell each other of them.
struct StatisticsTable {
    private let all: [RunningStatistics]

    init(_ model: any Module) {
        let buffers = model.buffers
        all = buffers.filter { $0.path.hasSuffix("running_mean") }.compactMap { mean in
            let path = mean.path.dropLast("mean".count) + "var"
            return buffers.first { $0.path == path }.map { RunningStatistics(mean: mean.tensor, variance: $0.tensor) }
        }
    }

    /// A record as bytes; empty for none.
    func encode(_ record: PassRecord?) -> [UInt8] {
        guard let record else { return [] }
        var values = [Double(record.loss), Double(record.counts.count)] + record.counts
        for update in record.statistics {
            guard let number = all.firstIndex(where: { $0.mean.pointer == update.running.mean.pointer }) else {
                preconditionFailure("statistics of no batch norm of the model")
            }
            values += [Double(number)] + (update.mean + update.variance).map(Double.init)
        }
        return values.withUnsafeBytes(Array.init)
    }

    func decode(_ bytes: [UInt8]) -> PassRecord? {
        guard bytes.count >= 16 else { return nil }
        let values = bytes.withUnsafeBytes { bytes in
            stride(from: 0, to: bytes.count, by: 8).map { bytes.loadUnaligned(fromByteOffset: $0, as: Double.self) }
        }
        let counts = Array(values[2..<2 + Int(values[1])])
        var (statistics, place) = ([StatisticsUpdate](), 2 + counts.count)
        while place < values.count {
            let running = all[Int(values[place])], channels = running.mean.count
            let (mean, variance) = (place + 1, place + 1 + channels)
            statistics.append(
                StatisticsUpdate(
                    running, mean: values[mean..<variance].map { Float($0) },
                    variance: values[variance..<variance + channels].map { Float($0) }))
            place = variance + channels
        }
        return PassRecord(Float(values[0]), statistics, counts)
    }
}
