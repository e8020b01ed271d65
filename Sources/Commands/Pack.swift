import ArgumentParser
import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTTensorCore

extension ShardSource.Kind: ExpressibleByArgument {}

struct Pack: ImageCommand {
    static let configuration = CommandConfiguration(
        commandName: "pack", abstract: "Write a data set as tar shards (WebDataset).",
        discussion: HelpText.discussion(
            """
            For sets that outgrow a file system: thousands of photos in one file, read where they lie. DIR is a data set for
            segmentation, class folders (train/CLASS/photo.jpg) or a folder of photos. The shards train-000000.tar,
            val-000000.tar, … hold the files as they are: NAME.jpg with its mask NAME.seg.png or the number of its class,
            NAME.cls; classes.txt beside them has the classes. Masks whose values are no class indices (ADE20K, annotations
            of labelling programs, a label map) are drawn anew. Damaged photos are left out.

            The samples are shuffled over the shards by --seed; the same photos and seed give the same bytes. `--data` of
            the trainings, `predict` and the other commands take the folder, a .tar file or a pattern
            ('shards/train-{000000..000099}.tar').
            """,
            examples: "beit-seg pack DATA/ -o shards/",
            "beit-seg pack photos/ -o shards/ --samples-per-shard 5000",
            "beit-seg pretrain --data shards/ --tokenizer tokenizer.h5 -o RUN/"))

    @Argument(help: "A data set for segmentation, class folders, or a folder of photos.")
    var folder: String

    @Option(name: .shortAndLong, help: ArgumentHelp("The folder of the shards.", valueName: "folder"))
    var output: String

    @Option(help: "What DIR is (default: as it looks).")
    var kind: ShardSource.Kind?

    @Option(help: ArgumentHelp("Samples of a shard, at most.", valueName: "n"))
    var samplesPerShard = ShardSize().samples

    @Option(help: ArgumentHelp("Bytes of a shard, at most; a larger sample is alone in one.", valueName: "n"))
    var shardBytes = ShardSize().bytes

    @Option(help: ArgumentHelp("Only this split (default: all).", valueName: "name"))
    var split: String?

    @Option(help: ArgumentHelp("Seed of the shuffle.", valueName: "n"))
    var seed: UInt64 = 0

    @Flag(inversion: .prefixedNo, help: "Shuffle the samples over the shards; else they keep their order.")
    var shuffle = true

    @OptionGroup(title: "Labels") var labels: LabelOptions
    @OptionGroup var json: JSONOptions
    @OptionGroup var reading: ReadingOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if folder.isEmpty { throw ValidationError("name a data set") }
        if output.isEmpty { throw ValidationError("--output is empty; name a folder") }
        for (name, value) in [("samples-per-shard", samplesPerShard), ("shard-bytes", shardBytes)] where value < 1 {
            throw ValidationError("--\(name) \(value) is not at least 1")
        }
    }

    func execute() throws {
        try beginReading()
        var source = try ShardSource(labels.options([folder]), kind, as: reading.choice.applied(to: ImageReading()))
        if let split { try source.keep(split) }
        var size = ShardSize()
        (size.samples, size.bytes) = (samplesPerShard, shardBytes)
        let writer = try ShardWriter(
            source, to: output, size: size, seed: shuffle ? seed : nil,
            sources: [folder] + labels.labelMap.filter { $0 != "-" })
        for note in source.parts.flatMap(\.notes) { log.warning("\(note)") }
        var failed: [FailedPhoto] = []
        let written = try working(on: writer.count) { progress in
            try writer.run(threads: WorkerPool.current.threads, progress: progress.note(done:)) { photo, error in
                failed.append(FailedPhoto(image: photo, reason: "\(error)"))
                progress.fail("left out: \(error)")
            }
        }
        let result = PackResult(folder: output, kind: source.kind.rawValue, parts: written, failed: failed)
        if json.json { try Console.print(json: result) }
        log.info("\(output): \(result.summary)")
        if !failed.isEmpty { throw ExitCode(1) }
    }
}

/// What `pack` made.
private struct PackResult: Encodable {
    var folder: String
    var kind: String
    var parts: [ShardWriter.Written]
    var failed: [FailedPhoto]

    var summary: String {
        parts.map { "\($0.samples.counted("sample")) in \($0.shards.counted("shard")) \($0.name)-*.tar" }.joined(
            separator: ", ")
    }
}
