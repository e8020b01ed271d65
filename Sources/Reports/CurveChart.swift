import Foundation

/// Numbers over the steps of a run, as a picture in SVG.
package struct CurveChart {
    package struct Point {
        var step: Int
        var value: Double

        package init(step: Int, value: Double) { (self.step, self.value) = (step, value) }
    }

    /// A curve of the chart.
    package struct Series {
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

        package init(_ points: [Point], _ kind: Kind) {
            (self.points, self.kind) = (points.filter(\.value.isFinite), kind)
        }
    }

    package var title: String
    /// One or two; the second has the page's second colour.
    var series: [Series]
    /// Whether the vertical axis begins at 0, as it must for shares and counts.
    var fromZero: Bool
    /// The step of the points that stand out, if any do.
    var best: Int?
    var epochsPerStep: Double

    package init(
        title: String, _ series: [Series], fromZero: Bool = false, best: Int? = nil, epochsPerStep: Double
    ) {
        (self.title, self.series) = (title, series.filter { !$0.points.isEmpty })
        (self.fromZero, self.best, self.epochsPerStep) = (fromZero, best, epochsPerStep)
    }

    private static let width = 360.0, height = 200.0
    private static let left = 52.0, right = 342.0, top = 10.0, bottom = 162.0
    /// Points that a curve is drawn with, at most.
    private static let drawn = 600

    private var axis: ValueAxis? {
        let values = series.flatMap(\.points).map(\.value)
        guard let low = values.min(), let high = values.max() else { return nil }
        return ValueAxis(low, high, fromZero: fromZero, mayBeLogarithmic: series.contains { $0.kind == .noisy })
    }

    /// What a reader must know of the vertical axis; nil where it is an even one that begins at 0.
    package var note: String? { axis?.note }

    /// Nil if there is nothing to draw.
    package var svg: String? {
        guard let axis, let last = series.flatMap(\.points).map(\.step).max() else { return nil }
        let frame = Frame(axis: axis, last: max(1, last))
        var parts = [
            "<svg viewBox=\"0 0 \(Int(CurveChart.width)) \(Int(CurveChart.height))\" role=\"img\" "
                + "aria-label=\"\(HTML.text(description(axis)))\">"
        ]
        parts += axis.ticks.map { grid(at: frame.y($0), short($0)) }
        if axis.isCut { parts.append(Self.cut) }
        parts += stepTicks(upTo: last).map { tick(at: frame.x($0), step: $0) }
        parts.append(text(CurveChart.left - 6, CurveChart.height - 22, "end", "step"))
        parts.append(text(CurveChart.left - 6, CurveChart.height - 9, "end", "epoch"))
        for (place, one) in series.enumerated() { parts += draw(one, frame, style: place == 0 ? "" : " second") }
        return (parts + ["</svg>"]).joined(separator: "\n")
    }

    private func description(_ axis: ValueAxis) -> String {
        let ends = series.map { one in
            [one.points.first, one.points.last].compactMap { $0 }.map { "\(short($0.value)) at step \($0.step)" }
                .joined(separator: ", ")
        }
        return "\(title): " + ends.joined(separator: "; then ") + (axis.note.map { "; \($0)" } ?? "")
    }

    // MARK: Curves

    /// Steps and values to places in the picture.
    private struct Frame {
        let axis: ValueAxis
        let last: Int

        func x(_ step: Int) -> Double {
            CurveChart.left + (CurveChart.right - CurveChart.left) * Double(step) / Double(last)
        }
        func y(_ value: Double) -> Double {
            CurveChart.bottom - (CurveChart.bottom - CurveChart.top) * axis.place(value)
        }
    }

    private func draw(_ one: Series, _ frame: Frame, style: String) -> [String] {
        let smooths = one.kind == .noisy && one.points.count >= 20
        var parts = [line(one.points, frame, (smooths ? "raw" : "curve") + style)]
        if smooths { parts.append(line(smoothed(one.points), frame, "curve" + style)) }
        // One point makes no line.
        guard one.kind == .marked || one.points.count == 1 else { return parts }
        parts += one.points.map { point in
            let title = "<title>step \(point.step): \(short(point.value))</title>"
            return
                "<circle class=\"\(point.step == best ? "best" : "dot\(style)")\" cx=\"\(number(frame.x(point.step)))\" "
                + "cy=\"\(number(frame.y(point.value)))\" r=\"\(point.step == best ? 5 : 2.5)\">\(title)</circle>"
        }
        if let best = one.points.first(where: { $0.step == best }) { parts.append(mark(best, frame)) }
        return parts
    }

    /// The value of the best point, beside it where there is room.
    private func mark(_ point: Point, _ frame: Frame) -> String {
        let (x, y) = (frame.x(point.step), frame.y(point.value))
        let below = y < CurveChart.top + 16
        let isLeft = x > CurveChart.right - 60
        return text(
            x + (isLeft ? -8 : 8), y + (below ? 16 : -8), isLeft ? "end" : "start", "best \(short(point.value))"
        )
        .replacingOccurrences(of: "<text ", with: "<text class=\"mark\" ")
    }

    private func line(_ points: [Point], _ frame: Frame, _ style: String) -> String {
        let every = (points.count + CurveChart.drawn - 1) / CurveChart.drawn
        let shown = points.indices.filter { $0 % every == 0 || $0 == points.count - 1 }.map { points[$0] }
        let places = shown.map { "\(number(frame.x($0.step))),\(number(frame.y($0.value)))" }.joined(separator: " ")
        return "<polyline class=\"\(style)\" points=\"\(places)\"/>"
    }

    /// The exponential moving average of weight 0.9, without the pull of its start.
    private func smoothed(_ points: [Point]) -> [Point] {
        var (sum, weight) = (0.0, 0.0)
        return points.map { point in
            (sum, weight) = (0.9 * sum + 0.1 * point.value, 0.9 * weight + 0.1)
            return Point(step: point.step, value: sum / weight)
        }
    }

    // MARK: Axes

    private func grid(at y: Double, _ label: String) -> String {
        "<line class=\"grid\" x1=\"\(CurveChart.left)\" x2=\"\(CurveChart.right)\" y1=\"\(number(y))\" "
            + "y2=\"\(number(y))\"/>" + text(CurveChart.left - 6, y + 3.5, "end", label)
    }

    /// A zigzag at the lower end of the axis: it does not reach 0.
    private static let cut =
        "<polyline class=\"cut\" points=\"\(number(left)),\(number(bottom - 14)) \(number(left - 4)),\(number(bottom - 11)) "
        + "\(number(left + 4)),\(number(bottom - 6)) \(number(left)),\(number(bottom - 3)) \(number(left)),"
        + "\(number(bottom))\"/>"

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
        "<text x=\"\(number(x))\" y=\"\(number(y))\" text-anchor=\"\(anchor)\">\(HTML.text(text))</text>"
    }
}

/// Three digits, or two where the value is small.
func short(_ value: Double) -> String {
    if abs(value) < 1e-12 { return "0" }
    guard abs(value) < 1e-3 else {
        return abs(value) < 1000 ? String(format: "%.3g", value) : String(format: "%.0f", value)
    }
    return String(format: "%.1e", value).replacingOccurrences(of: ".0e", with: "e")
        .replacingOccurrences(of: "e-0", with: "e-")
}

private func number(_ x: Double) -> String { String(format: "%.1f", x) }

private func count(_ step: Int) -> String {
    step >= 10_000 && step % 1000 == 0 ? "\(step / 1000)k" : "\(step)"
}
