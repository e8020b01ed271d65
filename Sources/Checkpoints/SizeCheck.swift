import BEiTFiles
import BEiTModels
import BEiTWeightFiles
import Foundation

extension ModelConfiguration {
    /// Throws ``CheckpointError/impossibleSize(file:reason:)`` if a model of this configuration has far more
    /// parameters than the files can hold. Called before memory is reserved for them.
    func checkFits(_ tensors: [StoredTensor], in files: [String]) throws {
        let file = files.joined(separator: ", ")
        if let depth = backbone?.depth, depth > tensors.count {
            throw CheckpointError.impossibleSize(
                file: file, reason: "config says \(depth) blocks, but there are \(tensors.count) parameters in the file"
            )
        }
        let declared = tensors.reduce(0.0) { $0 + $1.shape.reduce(1.0) { $0 * Double($1) } }
        let bytes = try files.reduce(0) {
            try $0 + FileSystem.requireStatus(of: $1).size
        }
        // Float16 at zlib's best ratio.
        let held = min(declared, Double(bytes) * 1032 / 2)
        // A file that merely lacks some weights shall hear which; and 64 MB do no harm.
        guard leastParameterCount <= max(held * 4, 0x1p24) else {
            throw CheckpointError.impossibleSize(
                file: file,
                reason: String(
                    format: "config describes a model of at least %.3g parameters, the file can hold %.3g",
                    leastParameterCount, held))
        }
    }

    /// A lower bound, near the truth where a model is large. In Double: absurd sizes do not fit an integer.
    private var leastParameterCount: Double {
        guard let backbone else { return tokenizer?.leastParameterCount ?? 0 }
        let outputs = mim?.vocabulary ?? classifier?.classes ?? 0
        return backbone.leastParameterCount + Double(backbone.width) * Double(outputs)
            + (decoder?.weightCount(width: backbone.width) ?? 0)
    }
}

extension BackboneConfiguration {
    fileprivate var leastParameterCount: Double {
        let (width, depth) = (Double(width), Double(depth))
        let table = Double(tableRows) * Double(heads)
        let positions =
            switch position {
            case .absolute: width * Double(patchCount)
            case .relative: depth * table
            case .relativeShared: table
            case .none: 0.0
            }
        let blocks = depth * width * (4 * width + 2 * Double(hiddenWidth))
        return blocks + 3 * width * Double(patchSize * patchSize) + positions
    }
}

extension TokenizerConfiguration {
    fileprivate var leastParameterCount: Double {
        let top = Double(hidden << (groups - 1))
        // Of each half's widest group, two 3×3 convolutions a block.
        return Double(vocabulary) * (top + Double(codeWidth)) + Double(blocks) * 36 * (top / 4) * (top / 4)
    }
}
