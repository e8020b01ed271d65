import BEiTCommands
import CBEiTAllocation

Program.start(outOfMemory: beitseg_out_of_memory)
