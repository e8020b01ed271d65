import BEiTCheckpoints
import BEiTModels
import BEiTTensorCore
import BEiTWeightFiles

/// How far a model's logits are from those that another framework computed of the same pixels.
package struct LogitsCheck: Sendable {
    /// The largest absolute difference, and the largest of the logits compared with.
    package let difference, largest: Float
    package let images: Int

    /// Beyond that, the models are not the same.
    private static let limit: Float = 0.01

    /// - Parameters:
    ///   - file: HDF5 or safetensors, with `pixel_values` `[N, 3, H, W]` as the model takes them, `logits`, and for masked
    ///     image modeling `bool_masked_pos` `[N, patches]`, all of floating-point numbers.
    /// - Throws: ``LogitsError`` where the file does not fit the model, and what reading it throws.
    package init(_ model: Model, _ configuration: ModelConfiguration, against file: String) throws {
        let source = try TensorFile.open(file)
        func tensor(_ name: String) throws -> Tensor {
            guard let stored = source.tensors.first(where: { $0.name == name }) else {
                let names = source.tensors.map(\.name).prefix(5).joined(separator: ", ")
                throw LogitsError(
                    file, "there is no \(name) in it (there are \(names)); a check needs pixel_values and logits")
            }
            guard let count = stored.shape.boundedCount(1 << 31), stored.elementType.isFloat else {
                throw LogitsError(file, "\(name) has the shape \(stored.shape) and the type \(stored.elementType)")
            }
            let result = Tensor(uninitialized: stored.shape)
            precondition(result.count == count)
            try stored.read(result.buffer)
            guard result.isFinite else { throw LogitsError(file, "\(name) is not finite") }
            return result
        }
        let pixels = try tensor("pixel_values"), wanted = try tensor("logits")
        try Self.checkPixels(pixels.shape, configuration, file)
        var mask: [Bool] = []
        if configuration.mim != nil {
            mask = try tensor("bool_masked_pos").values.map { $0 != 0 }
            let patches = pixels.shape[0] * (configuration.backbone?.patchCount ?? 0)
            guard mask.count == patches else {
                throw LogitsError(file, "bool_masked_pos has \(mask.count) values, needed are \(patches)")
            }
        }
        var (difference, largest): (Float, Float) = (0, 0)
        let perImage = max(1, mask.count / pixels.shape[0])
        for image in 0..<pixels.shape[0] {
            let part = mask.isEmpty ? [] : Array(mask[image * perImage..<(image + 1) * perImage])
            let found = ModelAnswer(of: model, to: pixels.rows(image..<image + 1), mask: part).logits
            guard [pixels.shape[0]] + found.shape.dropFirst() == wanted.shape else {
                throw LogitsError(
                    file,
                    "logits have the shape \(wanted.shape), the model's are \([pixels.shape[0]] + found.shape.dropFirst())"
                )
            }
            let target = wanted.rows(image..<image + 1)
            for (a, b) in zip(found.buffer, target.buffer) {
                // Not `max`, which would let NaN pass.
                difference = abs(a - b) <= difference ? difference : abs(a - b)
                largest = max(largest, abs(b))
            }
        }
        (self.difference, self.largest, images) = (difference, largest, pixels.shape[0])
        guard difference <= Self.limit * largest else { throw LogitsError(file, "\(text): this is not the same model") }
    }

    private static func checkPixels(_ shape: [Int], _ configuration: ModelConfiguration, _ file: String) throws {
        let size = Array(shape.dropFirst(2))
        var fits = shape.count == 4 && shape[0] > 0 && shape[1] == 3
        if let backbone = configuration.backbone { fits = fits && size == backbone.imageSize }
        if let step = configuration.tokenizer?.downsampling {
            fits = fits && size.allSatisfy { $0 > 0 && $0 % step == 0 }
        }
        guard fits else {
            let wanted = configuration.backbone.map { "3, \($0.imageSize[0]), \($0.imageSize[1])" } ?? "3, H, W"
            throw LogitsError(file, "pixel_values has the shape \(shape), the model takes [N, \(wanted)]")
        }
    }

    /// In half a line.
    package var text: String {
        "largest difference \(difference) in logits up to \(largest), of \(images) image\(images == 1 ? "" : "s")"
    }
}

extension [Int] {
    /// The number of elements; nil where that is more than `most`, or a side is negative.
    fileprivate func boundedCount(_ most: Int) -> Int? {
        var count = 1
        for side in self {
            let (product, overflows) = count.multipliedReportingOverflow(by: side)
            guard side >= 0, !overflows, product <= most else { return nil }
            count = product
        }
        return count
    }
}
