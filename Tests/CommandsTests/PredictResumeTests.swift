import BEiTFiles
import BEiTImageIO
import BEiTPrediction
import Foundation
import Testing

/// `--resume` knows files, not how they are spelled.
@Suite struct PredictResumeTests {
    private func workshop() throws -> Scratch {
        let folder = try Scratch()
        try SmallModel.save(to: folder["model.h5"])
        for index in 0..<3 { try SmallModel.photo(40 + index, 30, seed: UInt64(index), to: folder["in/p\(index).png"]) }
        return folder
    }

    private func resume(_ folder: Scratch, _ path: String) throws -> String {
        let run = try Program(
            arguments: ["predict", path, "-m", folder["model.h5"], "-o", folder["out"], "--resume"])
        #expect(run.status == 0, "\(run.errors)")
        return run.errors.last ?? ""
    }

    private func records(_ folder: Scratch) throws -> [PredictionRecord] {
        let data = try Data(contentsOf: URL(fileURLWithPath: folder["out/predictions.json"]))
        return try JSONDecoder().decode(PredictionManifest.self, from: data).images
    }

    @Test func aFolderIsOneHoweverItIsSpelled() throws {
        let folder = try workshop()
        try FileManager.default.createSymbolicLink(atPath: folder["link"], withDestinationPath: folder["in"])
        #expect(try resume(folder, folder["in"]).contains("3 images segmented"))
        for path in [folder["./in"], folder["in/"], folder["in/../in"], folder["link"]] {
            #expect(try resume(folder, path).contains("3 were complete already"))
        }
        #expect(try records(folder).count == 3)
    }

    @Test func aReplacedPhotoIsDoneAgain() throws {
        let folder = try workshop()
        _ = try resume(folder, folder["in"])
        try SmallModel.photo(41, 30, seed: 8, to: folder["in/p1.png"])
        #expect(try resume(folder, folder["in"]).contains("1 image segmented"))
        try FileManager.default.setAttributes([.modificationDate: Date()], ofItemAtPath: folder["in/p0.png"])
        #expect(try resume(folder, folder["in"]).contains("1 image segmented"))
        #expect(try resume(folder, folder["in"]).contains("3 were complete already"))
    }

    @Test func inputsOfEarlierRunsStay() throws {
        let folder = try workshop()
        _ = try resume(folder, folder["in"])
        try SmallModel.photo(50, 30, seed: 5, to: folder["more/q.png"])
        _ = try resume(folder, folder["more"])
        let all = try records(folder)
        #expect(all.map { ($0.path as NSString).lastPathComponent } == ["q.png", "p0.png", "p1.png", "p2.png"])
        #expect(all.allSatisfy { $0.files?.count == 2 && ($0.meanConfidence ?? 0) > 0.2 && $0.photo != nil })
        #expect(all[0].files == ["q.png", "q.overlay.png"])
        // A photo whose results take the place of another's.
        try SmallModel.photo(50, 31, seed: 5, to: folder["other/p1.png"])
        _ = try resume(folder, folder["other"])
        #expect(
            try records(folder).map(\.path)
                == ["other/p1.png", "more/q.png", "in/p0.png", "in/p2.png"].map { folder[$0] })
    }

    @Test func everyByteOfTheModelCounts() throws {
        let folder = try workshop()
        _ = try resume(folder, folder["in"])
        var model = [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder["model.h5"])))
        model.append(0)
        try AtomicFile.write(model, to: folder["model.h5"])
        let run = try Program(
            arguments: ["predict", folder["in"], "-m", folder["model.h5"], "-o", folder["out"], "--resume"])
        #expect(run.status == 64 && run.errors.first?.contains("as it was then") == true, "\(run.errors)")
    }

    /// A run that was cut off before it knew its model's fingerprint is known by the model's file as it was.
    @Test func aJournalWithoutAFingerprint() throws {
        let folder = try workshop()
        _ = try resume(folder, folder["in"])
        let data = try Data(contentsOf: URL(fileURLWithPath: folder["out/predictions.json"]))
        var heading = try JSONDecoder().decode(PredictionManifest.self, from: data)
        #expect(heading.modelFingerprint == (try SHA256.hexDigest(ofFile: folder["model.h5"])))
        let records = try heading.images.dropLast().map { try JSONText.line($0) }
        (heading.images, heading.modelFingerprint) = ([], nil)
        let journal = try ([JSONText.line(heading)] + records).joined(separator: "\n") + "\n"
        try AtomicFile.write(journal, to: folder["out/.predictions.json.journal"])
        #expect(try resume(folder, folder["in"]).contains("1 image segmented"))
        try FileManager.default.setAttributes([.modificationDate: Date()], ofItemAtPath: folder["model.h5"])
        #expect(try resume(folder, folder["in"]).contains("3 were complete already"))
        try AtomicFile.write(journal, to: folder["out/.predictions.json.journal"])
        let run = try Program(
            arguments: ["predict", folder["in"], "-m", folder["model.h5"], "-o", folder["out"], "--resume"])
        #expect(run.status == 64, "\(run.errors)")
    }

    /// Edited by hand, or cut off.
    @Test(
        arguments: [
            ("\"width\" : 40", "\"width\" : -40"), ("\"width\" : 40", "\"width\" : 4e30"),
            ("\"status\" : \"done\"", "\"status\" : \"fine\""), ("\"images\" : [", "\"images\" : [ 7,"),
            ("\"mean_confidence\" : 0", "\"mean_confidence\" : -7"), ("\"pixels\" : {", "\"pixels\" : { \"d\" : -5,"),
            ("}", ""),
        ])
    func aManifestThatMakesNoSenseIsNamed(_ old: String, _ new: String) throws {
        let folder = try workshop()
        _ = try resume(folder, folder["in"])
        let path = folder["out/predictions.json"]
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let place = try #require(text.range(of: old), "\(text)")
        try AtomicFile.write(text.replacingCharacters(in: place, with: new), to: path)
        let run = try Program(
            arguments: ["predict", folder["in"], "-m", folder["model.h5"], "-o", folder["out"], "--resume"])
        #expect(run.status == 65 && run.errors.count == 1, "\(run.errors)")
        #expect(run.errors.first?.contains("predictions.json") == true, "\(run.errors)")
    }

    @Test(arguments: ["", "{}\n", "nonsense\n{}\n"]) func aJournalThatMakesNoSenseIsNamed(_ text: String) throws {
        let folder = try workshop()
        _ = try resume(folder, folder["in"])
        try AtomicFile.write(text, to: folder["out/.predictions.json.journal"])
        let run = try Program(
            arguments: ["predict", folder["in"], "-m", folder["model.h5"], "-o", folder["out"], "--resume"])
        #expect(run.status == 65 && run.errors.first?.contains(".journal") == true, "\(run.errors)")
    }
}
