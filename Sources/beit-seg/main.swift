import BEiTCommands
import CBEiTAllocation

beitseg_tidy_before_end { Program.tidy() }
Program.start(outOfMemory: beitseg_out_of_memory)
