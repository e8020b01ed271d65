import ArgumentParser
import BEiTCheckpoints
import BEiTFiles
import BEiTTensorCore
import Foundation
import Synchronization

/// The program `beit-seg`.
package struct Program: ParsableCommand {
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
        Labels.self,
        Survey.self,
        Merge.self,
        Pack.self,
        Benchmark.self,
    ]

    package static let configuration = CommandConfiguration(
        commandName: "beit-seg", abstract: "Semantic segmentation with BEiT.",
        discussion: HelpText.discussion(
            examples: "beit-seg predict photos/ -o masks/",
            "beit-seg finetune --task segmentation --data DATA/ --init none --preset tiny -o RUN/",
            "beit-seg eval --miou --data DATA/ -m RUN/best.h5"), version: Version.text, subcommands: commands)

    package init() {}

    /// Removes what is not finished, for a process that ends for want of memory: takes none, and waits for nobody for long.
    package static func tidy() { removeUnfinishedFiles() }

    /// Runs the command of this process and ends it with the status that says how it went.
    /// - Parameter outOfMemory: what ends the program when the arithmetic gets no memory, told the bytes it asked for.
    package static func start(outOfMemory: @escaping @Sendable (Int) -> Never) -> Never {
        MemoryExhaustion.handler.withLock { $0 = outOfMemory }
        // A reader that goes away ends the printing, not a run of hours; a file that may not grow is an error to report.
        for number in [SIGPIPE, SIGXFSZ] { signal(number, SIG_IGN) }
        Console.keepStandardStreams()
        prepareToRemoveUnfinishedFiles()
        Interruption.watch()
        // `CommandLine.arguments` puts U+FFFD where a name is not UTF-8.
        let arguments = (1..<max(1, Int(CommandLine.argc))).compactMap { CommandLine.unsafeArgv[$0] }
        let status = status(of: arguments.map { String(fileSystemName: $0) })
        guard status < 2, let error = Console.printingError else { end(status) }
        Console.error(error.description)
        end(error.exitStatus)
    }

    /// What an error of a process that another one speaks for would have said.
    private static let unsaid = Mutex<String?>(nil)

    /// Says why the command has failed.
    private static func say(_ message: String) {
        if Launch.isSpokenFor { unsaid.withLock { $0 = message } } else { Console.error(message) }
    }

    /// Ends the process without what libraries do at an ordinary exit: OpenBLAS waits there for threads of its own, which
    /// wait for memory that there may not be.
    private static func end(_ status: Int32) -> Never {
        Launch.leave(status, unsaid.withLock { $0 })
        fflush(nil)
        // A run that an error ended may still hold files that it was writing.
        endWithoutLeftovers(status)
    }

    private static func status(of arguments: [String]) -> Int32 {
        do {
            var command = try parseAsRoot(Predict.joiningFormats(arguments))
            try command.run()
            return 0
        } catch let error as any ExitStatus {
            let hint = (error as? any Hinted)?.hint
            say([OptionNames.spelled(error.description), hint].compactMap { $0 }.joined(separator: "; "))
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
            say("\(error.localizedDescription)")
            return 74
        case _ where code == ExitCode.success.rawValue:  // --help, --version
            Console.print(fullMessage(for: error))
            return 0
        case _ where code == ExitCode.validationFailure.rawValue:
            if !Launch.isOneOfMany { Console.error(UsageError(arguments, root: Self.self).line(message(for: error))) }
            return code
        default:
            say("\(error)")
            return 74
        }
    }
}
