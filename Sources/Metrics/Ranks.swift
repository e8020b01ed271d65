import BEiTTensorCore

extension Tensor {
    /// For each row of logits `[B, K]` the place of its true class, from 0 for the largest logit. Of equal logits the
    /// class with the lower index comes first.
    package func ranks(of labels: [Int]) -> [Int] {
        let classes = shape.last ?? 1
        precondition(labels.count * classes == count, "\(labels.count) labels for logits \(shape)")
        return labels.enumerated().map { row, label in
            let logits = UnsafeBufferPointer(start: pointer + row * classes, count: classes)
            let own = logits[label]
            return logits.indices.count { logits[$0] > own || logits[$0] == own && $0 < label }
        }
    }
}

extension [Int] {
    /// The share of ranks among the first `places`: top-k accuracy. NaN without any.
    package func share(within places: Int) -> Double { Double(self.count { $0 < places }) / Double(count) }
}
