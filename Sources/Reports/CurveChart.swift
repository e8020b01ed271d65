import Foundation

/// A number over the steps of a run, as a picture in SVG.
package struct CurveChart {
    package struct Point {
        var step: Int
        var value: Double

        package init(step: Int, value: Double) { (self.step, self.value) = (step, value) }
    }

    package var title: String
    /// In the order of the steps; those that are not finite are not drawn.
    var points: [Point]
    package enum Kind {
        /// Points that scatter: a smoothed curve stands before them.
        case noisy
        case smooth
        /// Few points, each with a mark.
        case marked
    }
    var kind: Kind
    /// The step of the point that stands out, if one does.
    var best: Int?
    var epochsPerStep: Double

    package init(title: String, points: [Point], kind: Kind, best: Int? = nil, epochsPerStep: Double) {
        (self.title, self.points, self.kind) = (title, points, kind)
        (self.best, self.epochsPerStep) = (best, epochsPerStep)
    }

    private static let width = 360.0, height = 200.0
    private static let left = 52.0, right = 342.0, top = 10.0, bottom = 162.0
    /// Points that a curve is drawn with, at most.
    private static let drawn = 600

    /// Nil if there is nothing to draw.
    package var svg: String? {
        let points = points.filter(\.value.isFinite)
        guard let first = points.first, let last = points.last else { return nil }
        let low = points.map(\.value).min() ?? 0, high = points.map(\.value).max() ?? 0
        let isLogarithmic = kind == .noisy && low > 0 && high / low > 50
        let axis = Axis(low, high, isLogarithmic: isLogarithmic)
        let x = { (step: Int) in
            CurveChart.left + (CurveChart.right - CurveChart.left) * Double(step) / Double(max(1, last.step))
        }
        let y = { (value: Double) in CurveChart.bottom - (CurveChart.bottom - CurveChart.top) * axis.place(value) }
        let label =
            "\(title): \(short(first.value)) at step \(first.step), \(short(last.value)) at step \(last.step)"
            + (isLogarithmic ? "; logarithmic scale" : "")
        var parts = [
            "<svg viewBox=\"0 0 \(Int(CurveChart.width)) \(Int(CurveChart.height))\" role=\"img\" "
                + "aria-label=\"\(escaped(label))\">"
        ]
        parts += axis.ticks.map { grid(at: y($0), short($0)) }
        parts += stepTicks(upTo: last.step).map { tick(at: x($0), step: $0) }
        parts.append(text(CurveChart.left - 6, CurveChart.height - 22, "end", "step"))
        parts.append(text(CurveChart.left - 6, CurveChart.height - 9, "end", "epoch"))
        let smooths = kind == .noisy && points.count >= 20
        parts.append(line(points, x, y, smooths ? "raw" : "curve"))
        if smooths { parts.append(line(smoothed(points), x, y, "curve")) }
        // One point makes no line.
        if kind == .marked || points.count == 1 {
            parts += points.map { point in
                let title = "<title>step \(point.step): \(short(point.value))</title>"
                return "<circle class=\"\(point.step == best ? "best" : "dot")\" cx=\"\(number(x(point.step)))\" "
                    + "cy=\"\(number(y(point.value)))\" r=\"\(point.step == best ? 5 : 2.5)\">\(title)</circle>"
            }
        }
        return (parts + ["</svg>"]).joined(separator: "\n")
    }

    private func line(_ points: [Point], _ x: (Int) -> Double, _ y: (Double) -> Double, _ kind: String) -> String {
        let every = (points.count + CurveChart.drawn - 1) / CurveChart.drawn
        let shown = points.indices.filter { $0 % every == 0 || $0 == points.count - 1 }.map { points[$0] }
        let places = shown.map { "\(number(x($0.step))),\(number(y($0.value)))" }.joined(separator: " ")
        return "<polyline class=\"\(kind)\" points=\"\(places)\"/>"
    }

    /// The exponential moving average of weight 0.9, without the pull of its start.
    private func smoothed(_ points: [Point]) -> [Point] {
        var (sum, weight) = (0.0, 0.0)
        return points.map { point in
            (sum, weight) = (0.9 * sum + 0.1 * point.value, 0.9 * weight + 0.1)
            return Point(step: point.step, value: sum / weight)
        }
    }

    private func grid(at y: Double, _ label: String) -> String {
        "<line class=\"grid\" x1=\"\(CurveChart.left)\" x2=\"\(CurveChart.right)\" y1=\"\(number(y))\" "
            + "y2=\"\(number(y))\"/>" + text(CurveChart.left - 6, y + 3.5, "end", label)
    }

    private func tick(at x: Double, step: Int) -> String {
        let epoch = String(format: "%.3g", Double(step) * epochsPerStep)
        return text(x, CurveChart.height - 22, "middle", count(step))
            + text(x, CurveChart.height - 9, "middle", epoch)
    }

    /// Three or four round numbers of steps.
    private func stepTicks(upTo last: Int) -> [Int] {
        let every = max(1, Int(roundStep(Double(last) / 3.5)))
        return Array(stride(from: every, through: last, by: every))
    }

    private func text(_ x: Double, _ y: Double, _ anchor: String, _ text: String) -> String {
        "<text x=\"\(number(x))\" y=\"\(number(y))\" text-anchor=\"\(anchor)\">\(escaped(text))</text>"
    }
}

/// The vertical axis: values to places in 0…1.
private struct Axis {
    private let low, high: Double
    private let isLogarithmic: Bool
    let ticks: [Double]

    package init(_ low: Double, _ high: Double, isLogarithmic: Bool) {
        self.isLogarithmic = isLogarithmic
        let span = high > low ? high - low : max(abs(high) * 0.1, 1e-12)
        if isLogarithmic {
            (self.low, self.high) = (log10(low) - 0.05, log10(high) + 0.05)
            let decades = Int(log10(low).rounded(.down))...Int(log10(high).rounded(.up))
            let all = decades.flatMap { decade in [1, 3].map { $0 * pow(10, Double(decade)) } }
            ticks = all.filter { $0 >= low && $0 <= high }
        } else {
            (self.low, self.high) = (low - 0.04 * span, high + 0.04 * span)
            let every = roundStep(span / 4)
            let first = (low / every).rounded(.up)
            let round = (0..<12).map { (first + Double($0)) * every }.filter { $0 <= high + 1e-9 * span }
            // One value alone is seldom a round one.
            ticks = high > low ? round : [low]
        }
    }

    func place(_ value: Double) -> Double { ((isLogarithmic ? log10(value) : value) - low) / (high - low) }
}

/// The nearest 1, 2 or 5 times a power of ten that is not below `wanted`.
private func roundStep(_ wanted: Double) -> Double {
    let power = pow(10, log10(max(wanted, 1e-300)).rounded(.down))
    return ([1, 2, 5, 10].first { $0 * power >= wanted * 0.999 } ?? 10) * power
}

private func number(_ x: Double) -> String { String(format: "%.1f", x) }

/// Three digits, or two where the value is small.
private func short(_ value: Double) -> String {
    if abs(value) < 1e-12 { return "0" }
    guard abs(value) < 1e-3 else { return String(format: "%.3g", value) }
    return String(format: "%.1e", value).replacingOccurrences(of: ".0e", with: "e")
        .replacingOccurrences(of: "e-0", with: "e-")
}

private func count(_ step: Int) -> String {
    step >= 10_000 && step % 1000 == 0 ? "\(step / 1000)k" : "\(step)"
}

/// Text in HTML.
package func escaped(_ text: String) -> String {
    text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
        .replacingOccurrences(of: ">", with: "&gt;").replacingOccurrences(of: "\"", with: "&quot;")
}
