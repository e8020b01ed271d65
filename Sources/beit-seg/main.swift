import BEiTCommands

BEiTSeg.start()
