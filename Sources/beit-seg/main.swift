import Commands

BEiTSeg.start()
