import BEiTFiles
import Foundation

/// The model that ships with beit-seg, found from any working directory.
enum DefaultModel {
    static let name = "beit-seg.h5"
    static let variable = "BEIT_SEG_MODEL"

    struct NotFound: ExitStatus {
        let exitStatus: Int32 = 66
        let description: String
    }

    /// The file that the environment names; else `models/` beside the package that the executable was built in; else
    /// `share/beit-seg/models/` of the prefix that it is installed in.
    static func path(
        environment: [String: String] = ProcessInfo.processInfo.environment, executable: String = executablePath
    ) throws -> String {
        if let path = environment[variable], !path.isEmpty {
            guard FileManager.default.fileExists(atPath: path) else {
                throw NotFound(description: "\(path): there is no such file; the environment's \(variable) names it")
            }
            return path
        }
        let candidates = candidates(executable: executable)
        if let path = candidates.first(where: FileManager.default.fileExists) { return path }
        throw NotFound(
            description: "models/\(name): not found beside the program; name a model with --model or in \(variable)")
    }

    static func candidates(executable: String) -> [String] {
        let bin = URL(fileURLWithPath: executable).resolvingSymlinksInPath().deletingLastPathComponent()
        var folders: [URL] = []
        var folder = bin
        while folder.path != "/" {
            folders.append(folder.appendingPathComponent("models"))
            folder.deleteLastPathComponent()
        }
        folders.append(bin.deletingLastPathComponent().appendingPathComponent("share/beit-seg/models"))
        return folders.map { $0.appendingPathComponent(name).path }
    }

    static var executablePath: String { Bundle.main.executablePath ?? CommandLine.arguments[0] }
}
