import Foundation
import Testing

/// What is said of words that the program does not know.
@Suite struct UsageTests {
    @Test(
        arguments: [
            ("fintune --data x", "Unknown command 'fintune'. Did you mean 'finetune'?; see `beit-seg --help`"),
            ("perdict x", "Unknown command 'perdict'. Did you mean 'predict'?; see `beit-seg --help`"),
            ("tokenizer encod x", "Unknown command 'encod'. Did you mean 'encode'?; see `beit-seg tokenizer --help`"),
            ("--verison", "Unknown option '--verison'. Did you mean '--version'?; see `beit-seg --help`"),
            (
                "finetune --tsk segmentation",
                "Unknown option '--tsk'. Did you mean '--task'?; see `beit-seg finetune --help`"
            ),
            ("predict --hlep", "Unknown option '--hlep'. Did you mean '--help'?; see `beit-seg predict --help`"),
            (
                "predict a.jpg --thread=2",
                "Unknown option '--thread'. Did you mean '--threads'?; see `beit-seg predict --help`"
            ),
            ("predict a.jpg --zebra", "Unknown option '--zebra'; see `beit-seg predict --help`"),
        ])
    func slipsAreSeen(_ line: String, _ message: String) throws {
        let run = try Program(arguments: line.split(separator: " ").map(String.init))
        #expect(run.status == 64)
        #expect(run.errors == ["beit-seg: " + message])
    }

    @Test func whatResemblesNothingIsListed() throws {
        let run = try Program("xyzzy")
        #expect(run.status == 64)
        #expect(run.errors.first?.hasPrefix("beit-seg: Unknown command 'xyzzy'; there are predict, eval, ") == true)
    }

    @Test(
        arguments: [
            ("", "--freeze-backbone needs --init: weights drawn at random have to learn"),
            ("--init none", "--freeze-backbone needs --init: weights drawn at random have to learn"),
            ("--task classification", "--freeze-backbone needs --init: weights drawn at random have to learn"),
            ("--init a.h5 --drop-path 0.1", "--drop-path is for a backbone that learns"),
            ("--init a.h5 --layer-decay 1", "--layer-decay is for a backbone that learns"),
            ("--init a.h5 --checkpoint-blocks", "--checkpoint-blocks is for a backbone that learns"),
        ])
    func freezingNeedsWhatStays(_ line: String, _ message: String) throws {
        let folder = try Scratch()
        let words = line.split(separator: " ").map(String.init)
        let run = try Program(
            arguments: ["finetune", "--data", folder["data"], "-o", folder["run"], "--freeze-backbone"] + words)
        #expect(run.status == 64 && run.errors.last?.contains(message) == true, "\(run.errors)")
    }

    @Test func theStartThatShipsIsThere() throws {
        let folder = try Scratch()
        let words = ["--data", folder["nowhere"], "--init", "shipped", "-o", folder["run"]]
        for command in [["finetune"], ["pretrain", "--objective", "pixels"]] {
            let run = try Program(arguments: command + words)
            #expect(run.status == 66 && run.errors.last?.contains("nowhere") == true, "\(run.errors)")
        }
    }

    @Test(arguments: ["predict", "eval --miou", "classify -m nowhere.h5", "logits -i x.h5 -o y.h5"])
    func precisionsAreTaken(_ line: String) throws {
        let words = line.split(separator: " ").map(String.init) + ["--precision", "int8"]
        let run = try Program(
            arguments: words
                + (line.hasPrefix("eval") ? ["--data", "/nowhere"] : line.hasPrefix("logits") ? [] : ["/nowhere"]))
        #expect(run.status == 66, "\(run.errors)")
    }
}
