import BEiTFiles

/// What a manifest says beside its images. The model's fingerprint is computed beside the run's work: a large file takes as
/// long as an image.
package struct PredictionHeading: Sendable {
    /// The model's file.
    let model: String
    /// As it was before it was read.
    private let file: KnownFile?
    private let fingerprint: PendingDigest
    /// What changes results beside the model.
    package var options = ""

    /// To be made before the model is read.
    package init(model: String) {
        (self.model, file, fingerprint) = (model, KnownFile(model: model), PendingDigest(ofFile: model))
    }

    /// The manifest without images, as far as it is known now.
    var soFar: PredictionManifest {
        PredictionManifest(model: model, modelFingerprint: fingerprint.known, modelFile: file, options: options)
    }

    /// The same, when the fingerprint is known. Throws `FileError` where the model cannot be read.
    func manifest() throws -> PredictionManifest {
        var manifest = soFar
        manifest.modelFingerprint = try fingerprint.wait()
        return manifest
    }
}
