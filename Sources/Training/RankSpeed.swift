import BEiTDatasets
import BEiTProcesses
import BEiTTensorCore

/// What an update costs that several processes share, each part by itself.
package struct RankSpeed: Codable, Sendable {
    /// Processes, those on a machine, and threads of each.
    package var processes: Int
    package var neighbours: Int
    package var threads: Int
    /// Of one process's pass, forward, backward and AdamW, while all work; of the slowest.
    package var passSeconds: Double
    package var gradientBytes: Int
    /// Of a sum over all processes with nothing else to do; of the slowest.
    package var exactSeconds: Double
    package var fastSeconds: Double
    /// Of a photo that one thread reads, crops and resizes while all do; nil where none were given.
    package var readSeconds: Double?

    enum CodingKeys: String, CodingKey {
        case processes, neighbours, threads
        case passSeconds = "pass_seconds"
        case gradientBytes = "gradient_bytes"
        case exactSeconds = "exact_seconds"
        case fastSeconds = "fast_seconds"
        case readSeconds = "read_seconds"
    }

    /// The share of the time that goes into passes where a process has one pass an update. A fast sum that is hidden behind
    /// the way back costs less than its seconds.
    package var exactEfficiency: Double { passSeconds / (passSeconds + exactSeconds) }
    package var fastEfficiency: Double { passSeconds / (passSeconds + fastSeconds) }

    /// - Parameters:
    ///   - pass: a step of training.
    ///   - photos: folders of photos to read; none for no measurement.
    /// - Throws: what keeps the processes from each other, and what reading throws.
    package init(
        _ measurement: SpeedMeasurement, _ pass: SpeedResult.Pass, photos: [String], _ team: any Communicator
    ) throws {
        (processes, neighbours, threads) = (team.size, team.neighbours, WorkerPool.current.threads)
        let photos = try team.agree { photos.isEmpty ? nil : try PhotoDataset(PhotoOptions(photos)) }
        passSeconds = try team.slowest { measurement.passSeconds(pass) }
        let gradient = Tensor.zeros([measurement.parameterCount(pass)])
        let total = Tensor.zeros(gradient.shape)
        gradientBytes = 4 * gradient.count
        exactSeconds = try team.median(seconds: measurement.seconds) {
            try team.collect(gradient, count: gradient.count, givers: team.size) { range, parts in
                for values in parts { for i in 0..<range.count { total.pointer[range.lowerBound + i] += values[i] } }
            }
            try team.spread(total)
        }
        fastSeconds = try team.median(seconds: measurement.seconds) {
            try team.startSum(total, 0..<total.count).finish()
        }
        readSeconds = try photos.map { photos in
            let size = [measurement.size, measurement.size]
            let batches = PhotoBatches(
                PhotoPaths(photos.training), size: size,
                scaling: PixelScaling(mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]), filter: .bicubic
            ) { _ in }
            let sampler = Sampler(seed: 0, SetProportions(photos.training.count), batch: 1)
            var number = team.rank
            return try team.median(seconds: measurement.seconds) {
                _ = try batches.training(sampler.batch(number), seed: 0, MaskedViews.augmentation)
                number += team.size
            }
        }
    }
}

extension Communicator {
    /// What `body` gives on the rank that has the most, once all begin.
    fileprivate func slowest(_ body: () throws -> Double) throws -> Double {
        _ = try gather([])
        let all = try exchange { try body().bitPattern.bytes }
        return all.map { Double(bitPattern: UInt64(bytes: $0)) }.max() ?? 0
    }

    /// The median of the seconds that all need for `body` together, over at least so many seconds.
    fileprivate func median(seconds: Double, _ body: () throws -> Void) throws -> Double {
        try body()
        let clock = ContinuousClock(), start = clock.now
        var times: [Double] = [], isOver = false
        while !isOver {
            times.append(try slowest { try clock.measure(body) / .seconds(1) })
            // All stop after the same round.
            let enough = times.count >= 3 && clock.now - start >= .seconds(seconds)
            isOver = try gather([enough ? 1 : 0])[0] == [1]
        }
        return times.sorted()[times.count / 2]
    }
}

extension UInt64 {
    fileprivate var bytes: [UInt8] { withUnsafeBytes(of: littleEndian, Array.init) }
    fileprivate init(bytes: [UInt8]) { self = bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) } }
}
