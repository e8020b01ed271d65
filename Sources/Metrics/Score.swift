import Foundation

/// A score as reports write it: a number or null; a key never goes missing.
package struct Score: Encodable, Sendable {
    package let value: Double?

    package init(value: Double?) { self.value = value }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if let value { try container.encode(value) } else { try container.encodeNil() }
    }
}

/// A share as percent with two decimals, without the sign; a dash for nil.
package func percent(_ share: Double?) -> String { share.map { String(format: "%.2f", 100 * $0) } ?? "–" }

/// A difference of shares in percentage points, with its sign; ±0.00 has none.
package func signedPercent(_ share: Double?) -> String {
    guard let share else { return "–" }
    let text = String(format: "%+.2f", 100 * share)
    return text == "+0.00" || text == "-0.00" ? "0.00" : text.replacingOccurrences(of: "-", with: "−")
}
