import BEiTTensorCore
import Testing

@testable import BEiTMetrics

@Suite struct RankTests {
    @Test func ranksAreThoseByHand() {
        let logits = Tensor([0.1, 0.5, 0.2, 0.2, 9, 8, 7, 6, -1, -1, -1, -1], [3, 4])
        #expect(logits.ranks(of: [3, 0, 2]) == [2, 0, 2])
        #expect(logits.ranks(of: [1, 3, 0]) == [0, 3, 0])
        #expect([0, 4, 5, 1].share(within: 1) == 0.25 && [0, 4, 5, 1].share(within: 5) == 0.75)
    }
}
