import ArgumentParser
import BEiTOps
import BEiTSeg
import BEiTTensorCore
import Foundation
import Logging

/// A command of beit-seg: `execute` does its work once the options that all commands share have taken effect.
protocol Command: ParsableCommand {
    var common: CommonOptions { get }
    mutating func execute() throws
}

extension Command {
    mutating func run() throws {
        common.apply()
        try (self as? any ImageCommand)?.beginReading()
        try execute()
    }

    /// For progress, notes and warnings; goes to standard error.
    var log: Logger { common.log }
}

/// Options of every command.
struct CommonOptions: ParsableArguments {
    @Flag(name: .shortAndLong, help: "Say more on standard error.")
    var verbose = false

    @Flag(name: .shortAndLong, help: "Say nothing but warnings and errors.")
    var quiet = false

    @Option(help: ArgumentHelp("Threads for the arithmetic (default: one a core).", valueName: "n"))
    var threads: Int?

    func validate() throws {
        if verbose && quiet { throw ValidationError("--verbose and --quiet exclude each other") }
        if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads \(threads) is not 1 to 1024") }
    }

    func apply() {
        let level = logLevel
        LoggingSystem.bootstrap { _ in ConsoleLogHandler(level: level) }
        if let threads { WorkerPool.setThreads(threads) }
    }

    private var logLevel: Logger.Level { verbose ? .debug : quiet ? .warning : .info }

    var log: Logger { Logger(label: "beit-seg") }
}

/// The model that a command runs.
struct ModelOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: ArgumentHelp("The model (default: the one that ships).", valueName: "file"))
    var model: String?

    @OptionGroup var precision: PrecisionOptions

    /// Throws ``DefaultModel/NotFound`` where neither the option nor the installation names one.
    func path() throws -> String { try model ?? DefaultModel.path() }
}

/// In what numbers a network computes.
struct PrecisionOptions: ParsableArguments {
    @Option(help: "Numbers that the network multiplies: fp32, bf16 or int8 (default: those of the model's file).")
    var precision: Precision?

    func validate() throws {
        if let precision, let problem = precision.problem {
            throw ValidationError("--precision \(precision.rawValue): \(problem)")
        }
    }
}

extension Precision: ExpressibleByArgument {}

/// Results for programs.
struct JSONOptions: ParsableArguments {
    @Flag(help: "Print one JSON document on standard output.")
    var json = false
}
