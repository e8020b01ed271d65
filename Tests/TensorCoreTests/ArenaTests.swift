import Foundation
import Testing

@testable import BEiTTensorCore

@Suite struct ArenaTests {
    private let page = Arena.page

    @Test func theSameBlocksComeToTheSamePlaces() throws {
        let arena = try #require(Arena(byteCount: 1000 * page))
        func pass() throws -> [UnsafeMutableRawPointer] {
            let blocks = try [3, 5, 1, 7].map { try #require(arena.take($0 * page, limit: .max)) }
            for (block, count) in zip(blocks, [3, 5, 1, 7]) { #expect(arena.give(block, count * page)) }
            return blocks
        }
        let first = try pass()
        #expect(try pass() == first)
        #expect(arena.held == 16 * page)
    }

    @Test func theSmallestGapIsTaken() throws {
        let arena = try #require(Arena(byteCount: 1000 * page))
        let blocks = try [8, 1, 4, 1].map { try #require(arena.take($0 * page, limit: .max)) }
        #expect(arena.give(blocks[0], 8 * page) && arena.give(blocks[2], 4 * page))
        #expect(arena.take(3 * page, limit: .max) == blocks[2])
        #expect(arena.take(5 * page, limit: .max) == blocks[0])
        #expect(arena.held == 14 * page)
    }

    @Test func whatIsFullGivesNothing() throws {
        let arena = try #require(Arena(byteCount: 10 * page))
        let block = try #require(arena.take(10 * page, limit: .max))
        #expect(arena.take(page, limit: .max) == nil)
        #expect(arena.give(block, 10 * page))
        let own = UnsafeMutableRawPointer.allocate(byteCount: page, alignment: 64)
        #expect(!arena.give(own, page))
        own.deallocate()
    }

    @Test func freeMemoryGoesBackBeyondTheLimit() throws {
        let arena = try #require(Arena(byteCount: 1000 * page))
        let first = try #require(arena.take(6 * page, limit: .max))
        let kept = try #require(arena.take(2 * page, limit: .max))
        for block in [first, kept] { block.storeBytes(of: 7, as: UInt8.self) }
        #expect(arena.give(first, 6 * page))
        #expect(arena.take(7 * page, limit: 10 * page) != nil)
        #expect(arena.held == 10 * page)
        arena.release()
        #expect(arena.held == 9 * page)
        #expect(kept.load(as: UInt8.self) == 7)
        #if os(Linux)
            #expect(arena.take(6 * page, limit: .max)?.load(as: UInt8.self) == 0)
        #endif
    }

    /// Any blocks in any order: they never overlap, and what is held is between what is in use and the limit.
    @Test func manyBlocksNeverOverlap() throws {
        let limit = 300 * page
        let arena = try #require(Arena(byteCount: 400 * page))
        var generator = Philox(seed: 1)
        var blocks: [(address: UnsafeMutableRawPointer, pages: Int, mark: UInt64)] = []
        for mark in 0..<UInt64(4000) {
            let pages = 1 + Int(generator.integer(below: 40))
            let used = blocks.reduce(0) { $0 + $1.pages }
            if blocks.isEmpty || (generator.integer(below: 5) < 3 && used + pages <= 250),
                let block = arena.take(pages * page, limit: limit)
            {
                for place in [0, pages * page - 8] { block.storeBytes(of: mark, toByteOffset: place, as: UInt64.self) }
                blocks.append((block, pages, mark))
            } else {
                let (block, pages, mark) = blocks.remove(at: Int(generator.integer(below: blocks.count)))
                for place in [0, pages * page - 8] {
                    #expect(block.load(fromByteOffset: place, as: UInt64.self) == mark)
                }
                #expect(arena.give(block, pages * page))
            }
            let inUse = blocks.reduce(0) { $0 + $1.pages } * page
            #expect(arena.held >= inUse && arena.held <= limit)
        }
    }
}
