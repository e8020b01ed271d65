import BEiTCommands
import CBEiTAllocation

Program.tidy()  // the first call asks for memory
beitseg_tidy_before_end { Program.tidy() }
Program.start(outOfMemory: beitseg_out_of_memory)
