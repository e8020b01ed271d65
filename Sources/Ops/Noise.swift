import CBEiTKernels

/// Random values for parameters, from the words of a Philox sequence; the same bits on every machine.
package enum Noise {
    /// Normal of the given deviation, cut at ±`limit` (by the inverse distribution function).
    package static func fillNormal(
        _ values: UnsafeMutablePointer<Float>, count: Int, seed: UInt64, stream: UInt64, deviation: Float, limit: Float
    ) {
        beitseg_normal_noise(seed, stream, 0, deviation, limit, values, count)
    }

    /// Uniform in (0, 1).
    package static func fillUniform(
        _ values: UnsafeMutablePointer<Float>, count: Int, seed: UInt64, stream: UInt64
    ) {
        beitseg_uniform_noise(seed, stream, 0, values, count)
    }
}
