import BEiTDatasets
import BEiTFiles
import Foundation

/// A photo to segment, and where its results go.
package struct InputImage: Equatable, Sendable {
    /// As it is opened.
    package var path: String
    /// Below the output folder, without an ending: `a/b` for `a/b.jpg`.
    package var stem: String

    package init(path: String, stem: String) { (self.path, self.stem) = (path, stem) }
}

/// Finds the images that `PATH...` stands for.
package enum InputImages {
    /// The images of all paths, in the order of the paths and by name within a folder.
    ///
    /// - A folder stands for the images below it; hidden files and the folder `excluding` (the output's) are left out.
    /// - A `.txt` file is a list of images, one path a line, as seen from the working directory.
    /// - `-` reads such a list from `standardInput`.
    /// - Throws: ``FileError`` for a path that does not exist or a folder without images. What a list names is not
    ///   looked at.
    package static func find(
        _ paths: [String], excluding output: String? = nil, standardInput: () -> [String] = readLines
    ) throws(FileError) -> [InputImage] {
        var result: [InputImage] = []
        for path in paths {
            if path == "-" {
                result += standardInput().map(listed)
            } else if PhotoFiles.isFolder(path) {
                result += try below(path, excluding: output)
            } else if (path as NSString).pathExtension.lowercased() == "txt" {
                result += try lines(of: path).map(listed)
            } else {
                guard FileManager.default.fileExists(atPath: path) else {
                    throw FileError.system(path, doing: "open", code: ENOENT)
                }
                result.append(InputImage(path: path, stem: stem((path as NSString).lastPathComponent)))
            }
        }
        return result
    }

    private static func below(_ folder: String, excluding output: String?) throws(FileError) -> [InputImage] {
        let images = try PhotoFiles.below(folder, excluding: output)
        return images.map { InputImage(path: (folder as NSString).appendingPathComponent($0), stem: stem($0)) }
    }

    private static func lines(of path: String) throws(FileError) -> [String] {
        guard let bytes = FileManager.default.contents(atPath: path) else {
            throw FileError.system(path, doing: "read")
        }
        return String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).map(String.init)
            .filter { !$0.isEmpty }
    }

    /// The lines of standard input.
    package static func readLines() -> [String] {
        var lines: [String] = []
        while let line = readLine() { if !line.isEmpty { lines.append(line) } }
        return lines
    }

    /// A listed image keeps its folders below the output, unless they would lead out of it.
    private static func listed(_ path: String) -> InputImage {
        let leadsOut = path.hasPrefix("/") || path.split(separator: "/").contains("..")
        let kept = path.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
        return InputImage(path: path, stem: stem(leadsOut ? (path as NSString).lastPathComponent : kept))
    }

    private static func stem(_ path: String) -> String { (path as NSString).deletingPathExtension }
}

/// An environment that names a rank and a number of processes which do not go together.
package struct LauncherError: ExitStatus, Equatable {
    package let rank, size: String
    package let exitStatus: Int32 = 64
    package var description: String {
        "the environment's \(rank) and \(size) are no rank and number of processes; unset them, or see to the launcher"
    }
}

/// A part of the images, for several processes that share the work: images number, number + count, number + 2·count …
package struct Shard: Equatable, Sendable {
    /// 1 … count.
    package var number: Int
    package var count: Int

    package init?(number: Int, count: Int) {
        guard count >= 1, (1...count).contains(number) else { return nil }
        (self.number, self.count) = (number, count)
    }

    /// `I/N`, I from 1 to N.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 2, let number = parts[0], let count = parts[1] else { return nil }
        self.init(number: number, count: count)
    }

    /// The part of this rank under `mpirun` (Open MPI, MPICH and its kin) or `srun`; nil outside of them, and for a
    /// process that is alone.
    ///
    /// Slurm's numbers are those of a step: a batch script that starts the program itself has one process, whatever the
    /// job's number of tasks.
    /// - Throws: ``LauncherError`` where what the environment says is no rank of so many processes: every process would do
    ///   all of the work, or the wrong part.
    package static func ofLauncher(_ environment: [String: String]) throws(LauncherError) -> Shard? {
        let launchers = [
            ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMI_RANK", "PMI_SIZE"),
            ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
        ]
        for (rankName, sizeName) in launchers {
            guard let rankText = environment[rankName], let sizeText = environment[sizeName] else { continue }
            guard let rank = Int(rankText), let size = Int(sizeText), (0..<max(0, size)).contains(rank) else {
                throw LauncherError(rank: "\(rankName)=\(rankText)", size: "\(sizeName)=\(sizeText)")
            }
            return size > 1 ? Shard(number: rank + 1, count: size) : nil
        }
        return nil
    }

    package func part<Element>(of all: [Element]) -> [Element] {
        stride(from: number - 1, to: all.count, by: count).map { all[$0] }
    }
}
