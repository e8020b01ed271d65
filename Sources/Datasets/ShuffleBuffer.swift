import BEiTTensorCore

/// An order of photos that goes through one shard after the other: the shards in a random order, the photos of each into a
/// buffer, and out of it one by chance for each that enters. What is read at a time so lies in a few shards.
///
/// It is a function of a generator alone, so that a run that goes on needs nothing but its place.
package struct ShuffleBuffer: Sendable {
    /// Photos that wait.
    private let size: Int
    /// Photos that follow each other in one shard.
    private let stretches: [Range<Int>]

    package init(_ size: Int, _ stretches: [Range<Int>]) {
        precondition(size > 0, "a buffer of \(size)")
        (self.size, self.stretches) = (size, stretches)
    }

    /// - Parameter photos: those that take their turns; the result counts from the first of them.
    func order(of photos: Range<Int>, _ generator: inout Philox) -> [Int] {
        let own = stretches.map { $0.clamped(to: photos) }.filter { !$0.isEmpty }
        var (waiting, order): ([Int], [Int]) = ([], [])
        order.reserveCapacity(photos.count)
        for stretch in generator.permutation(own.count) {
            for photo in own[stretch] {
                if waiting.count < size {
                    waiting.append(photo - photos.lowerBound)
                } else {
                    let place = generator.integer(below: size)
                    order.append(waiting[place])
                    waiting[place] = photo - photos.lowerBound
                }
            }
        }
        return order + generator.permutation(waiting.count).map { waiting[$0] }
    }
}
