import BEiTCommands
import CBEiTAllocation

/// Any thread may come to its end: no closure, which would belong to the main one.
func tidy() { Program.tidy() }

beitseg_tidy_before_end(tidy)
Program.start(outOfMemory: beitseg_out_of_memory)
