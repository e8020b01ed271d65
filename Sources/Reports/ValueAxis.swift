import Foundation

/// The vertical axis of a chart: values to places in 0…1.
struct ValueAxis {
    private let low, high: Double
    let isLogarithmic: Bool
    let ticks: [Double]

    /// - Parameters:
    ///   - low, high: the least and the largest value.
    ///   - fromZero: whether it begins at 0 whatever the values, if none is below.
    ///   - mayBeLogarithmic: whether values of many sizes make it so.
    init(_ low: Double, _ high: Double, fromZero: Bool, mayBeLogarithmic: Bool) {
        isLogarithmic = mayBeLogarithmic && low > 0 && high / low > 50
        if isLogarithmic {
            (self.low, self.high) = (log10(low) - 0.05, log10(high) + 0.05)
            let decades = Int(log10(low).rounded(.down))...Int(log10(high).rounded(.up))
            let all = decades.flatMap { decade in [1, 3].map { $0 * pow(10, Double(decade)) } }
            ticks = all.filter { $0 >= low && $0 <= high }
            return
        }
        // Where the values fill half of the way from 0, nothing is lost by showing all of it.
        let beginsAtZero = low >= 0 && (fromZero || low < 0.5 * high)
        let start = beginsAtZero ? 0 : low
        let span = high > start ? high - start : max(abs(high) * 0.1, 1e-12)
        (self.low, self.high) = (beginsAtZero ? 0 : low - 0.04 * span, high + 0.04 * span)
        let every = roundStep(span / 4)
        let first = (start / every).rounded(.up)
        let round = (0..<12).map { (first + Double($0)) * every }.filter { $0 <= high + 1e-9 * span }
        // One value alone is seldom a round one.
        ticks = high > start ? round : [low]
    }

    /// Whether 0 is not on it although it is an even one.
    var isCut: Bool { !isLogarithmic && (low > 0 || high < 0) }

    /// Nil where it is even and has its 0.
    var note: String? { isLogarithmic ? "logarithmic axis" : isCut ? "axis without 0" : nil }

    func place(_ value: Double) -> Double { ((isLogarithmic ? log10(value) : value) - low) / (high - low) }
}

/// The nearest 1, 2 or 5 times a power of ten that is not below `wanted`.
func roundStep(_ wanted: Double) -> Double {
    let power = pow(10, log10(max(wanted, 1e-300)).rounded(.down))
    return ([1, 2, 5, 10].first { $0 * power >= wanted * 0.999 } ?? 10) * power
}
