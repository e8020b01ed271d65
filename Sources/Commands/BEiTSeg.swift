import ArgumentParser
import Checkpoints
import Files
import Foundation

/// The program `beit-seg`.
public struct BEiTSeg: ParsableCommand {
    /// In the order of the help.
    private static let commands: [any ParsableCommand.Type] = [
        Predict.self,
        Eval.self,
        Classify.self,
        Inspect.self,
        Import.self,
        Export.self,
        Pretrain.self,
        Finetune.self,
        Tokenizer.self,
        Elbo.self,
        Logits.self,
        Benchmark.self,
    ]

    public static let configuration = CommandConfiguration(
        commandName: "beit-seg", abstract: "Semantic segmentation with BEiT.", version: Version.text,
        subcommands: commands)

    private static let commandNames = commands.compactMap { $0.configuration.commandName }

    public init() {}

    /// Runs the command of this process and ends it with the status that says how it went.
    public static func start() -> Never {
        // A reader that goes away ends the printing, not a run of hours.
        signal(SIGPIPE, SIG_IGN)
        Foundation.exit(status(of: Array(CommandLine.arguments.dropFirst())))
    }

    private static func status(of arguments: [String]) -> Int32 {
        do {
            var command = try parseAsRoot(arguments)
            try command.run()
            return 0
        } catch let error as any ExitStatus {
            Console.error(error.description)
            return error.exitStatus
        } catch {
            return status(of: error, arguments)
        }
    }

    /// For the errors of the argument parser, and for those of Foundation that nobody has translated.
    private static func status(of error: any Error, _ arguments: [String]) -> Int32 {
        let code = exitCode(for: error).rawValue
        switch error {
        case let code as ExitCode: return code.rawValue
        case is CocoaError, is POSIXError:
            Console.error("\(error.localizedDescription)")
            return 74
        case _ where code == ExitCode.success.rawValue:  // --help, --version
            print(fullMessage(for: error))
            return 0
        case _ where code == ExitCode.validationFailure.rawValue:
            let name = arguments.first.flatMap { commandNames.contains($0) ? $0 + " " : nil } ?? ""
            Console.error("\(message(for: error)); see `beit-seg \(name)--help`")
            return code
        default:
            Console.error("\(error)")
            return 74
        }
    }
}
