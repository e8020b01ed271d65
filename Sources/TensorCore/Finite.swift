import Synchronization

extension Tensor {
    /// Whether all elements are numbers.
    package var isFinite: Bool {
        let values = pointer, isFinite = Atomic(true)
        WorkerPool.current.run(count, grain: 1 << 16) {
            // An exponent of ones carries into the sign bit. Integers: the loop is vectorised.
            var carry: UInt32 = 0
            for index in $0 { carry |= (values[index].bitPattern & 0x7f80_0000) &+ 0x0080_0000 }
            if carry & 0x8000_0000 != 0 { isFinite.store(false, ordering: .relaxed) }
        }
        return isFinite.load(ordering: .relaxed)
    }
}
