import BEiTFiles
import Foundation

/// The models that ship with beit-seg, found from any working directory.
package enum DefaultModel {
    /// It segments.
    static let name = "beit-seg.h5"
    /// The backbone before it learned to segment: a start for fine-tuning.
    static let startName = "beit-tiny.h5"
    static let variable = "BEIT_SEG_MODEL"

    package struct NotFound: ExitStatus {
        package let exitStatus: Int32 = 66
        package let description: String
    }

    /// The file that the environment names; else that of the library's resources beside the executable; else `models/`
    /// beside the package that the executable was built in; else `share/beit-seg/models/` of the prefix that it is
    /// installed in. Throws ``NotFound``.
    package static func path(
        environment: [String: String] = ProcessInfo.processInfo.environment, executable: String = executablePath
    ) throws(NotFound) -> String {
        if let path = environment[variable], !path.isEmpty {
            guard FileManager.default.fileExists(atPath: path) else {
                throw NotFound(description: "\(path): there is no such file; the environment's \(variable) names it")
            }
            return path
        }
        return try find(name, executable, remedy: "name a model, or set \(variable) to its path")
    }

    /// The start that ships. Throws ``NotFound``.
    package static func start(executable: String = executablePath) throws(NotFound) -> String {
        try find(startName, executable, remedy: "name the file of a model to begin with")
    }

    private static func find(_ name: String, _ executable: String, remedy: String) throws(NotFound) -> String {
        let candidates = candidates(name, executable: executable)
        if let path = candidates.first(where: FileManager.default.fileExists) { return path }
        throw NotFound(description: "models/\(name): not found beside the program; \(remedy)")
    }

    static func candidates(_ name: String = name, executable: String) -> [String] {
        let bin = URL(fileURLWithPath: executable).resolvingSymlinksInPath().deletingLastPathComponent()
        // Not `Bundle.module`, which ends the process where the folder is missing.
        var folders = [bin.appendingPathComponent("beit-seg_BEiTShippedModels.resources")]
        var folder = bin
        while folder.path != "/" {
            folders.append(folder.appendingPathComponent("models"))
            folder.deleteLastPathComponent()
        }
        folders.append(bin.deletingLastPathComponent().appendingPathComponent("share/beit-seg/models"))
        return folders.map { $0.appendingPathComponent(name).path }
    }

    package static var executablePath: String { Bundle.main.executablePath ?? CommandLine.arguments[0] }
}
