extension Tensor {
    /// Whether all elements are numbers.
    package var isFinite: Bool {
        // An exponent of ones carries into the sign bit. Integers: the loop is vectorised.
        var carry: UInt32 = 0
        for value in buffer { carry |= (value.bitPattern & 0x7f80_0000) &+ 0x0080_0000 }
        return carry & 0x8000_0000 == 0
    }
}
