import BEiTFiles
import Testing

@testable import BEiTCommands

@Suite struct ProgressTests {
    private let text = "3/200 images  12.5 images/s  16 s left, 1 failed"

    @Test func aWideTerminalShowsAll() {
        #expect(Terminal.bar(0.5, text, columns: 100) == "██████████░░░░░░░░░░ " + text)
    }

    /// One line at any width: a line that is as long as the terminal is wide would break.
    @Test(arguments: 1...120) func itStaysOnOneLine(_ columns: Int) {
        for text in [text, "step 1/20  猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫", ""] {
            for share in [-1, 0, 0.33, 1, 7] {
                let line = Terminal.bar(share, text, columns: columns)
                #expect(line.terminalColumns < max(2, columns))
            }
        }
    }

    @Test func aNarrowTerminalHasLessOfIt() {
        #expect(Terminal.bar(0.5, text, columns: 70) == "█████░░░░░ " + text)
        #expect(Terminal.bar(0.5, text, columns: 50) == "3/200 images  12.5 images/s  16 s left, 1 fai…")
        #expect(Terminal.bar(0.5, text, columns: 20) == "3/200 images  1…")
    }
}
