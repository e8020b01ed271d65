import BEiTCommands

Program.start()
