import ArgumentParser
import BEiTFiles
import BEiTPrediction

struct Merge: Command {
    static let configuration = CommandConfiguration(
        commandName: "merge", abstract: "Join the parts of a divided run.",
        discussion: HelpText.discussion(
            """
            Of `predict --shard I/N`, and of processes under mpirun or srun where beit-seg was built without MPI, each
            part has its own predictions-I-of-N.json, review, areas and COCO file. When all parts are done this makes one
            of each, as one process would have written them, and removes those of the parts. The status is 1 where an
            image failed, as that of predict.
            """,
            examples: "beit-seg merge masks/"))

    @Argument(help: "The folder with the results.")
    var folder: String

    @OptionGroup var json: JSONOptions
    @OptionGroup var common: CommonOptions

    func execute() throws {
        let manifest = try PartJoin(folder).join()
        if json.json { try Console.print(json: manifest) }
        let failed = manifest.images.count { $0.status == .failed }
        log.info("\(manifest.images.count.counted("image")) in one manifest\(failed > 0 ? ", \(failed) failed" : "")")
        if failed > 0 { throw ExitCode(1) }
    }
}
