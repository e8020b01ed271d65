import BEiTMetrics

/// What a picture of a confusion matrix shows: the classes that are labelled or predicted anywhere, and shares of rows.
struct ConfusionCells {
    private let matrix: ConfusionMatrix
    let totals: ClassTotals
    /// How many classes occur, and those of them that are shown, in their order.
    let occurring: Int
    let shown: [Int]

    /// Classes that a picture has room for.
    private static let most = 2048

    init(_ matrix: ConfusionMatrix) {
        let totals = matrix.totals
        (self.matrix, self.totals) = (matrix, totals)
        func pixels(_ index: Int) -> Int { totals.labelled[index] + totals.predicted[index] }
        let all = (0..<matrix.classes).filter { pixels($0) > 0 }
        occurring = all.count
        shown =
            all.count <= Self.most
            ? all : all.sorted { (-pixels($0), $0) < (-pixels($1), $1) }.prefix(Self.most).sorted()
    }

    func count(_ row: Int, _ column: Int) -> Int { matrix[shown[row], shown[column]] }

    /// The share of the row's pixels, 0…1, by places in ``shown``; nil for a class that is nowhere labelled.
    func share(_ row: Int, _ column: Int) -> Double? {
        let all = totals.labelled[shown[row]]
        return all > 0 ? Double(count(row, column)) / Double(all) : nil
    }

    /// How dark a share is shown, 0…1: by its square root, so that rare confusions are seen beside the diagonal.
    static func shade(_ share: Double) -> Double { share.squareRoot() }
}
