import CKernels

/// What the arithmetic runs on.
public enum Machine {
    /// The instruction set that the kernels use: "AVX-512", "AVX2+FMA" or "baseline".
    public static var instructionSet: String { String(cString: beitseg_kernel_level_name(beitseg_kernel_level())) }
}
