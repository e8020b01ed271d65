import Foundation

/// The shape of a BEiT backbone; the JSON of a checkpoint's `config.backbone`.
package struct BackboneConfiguration: Codable, Equatable, Sendable {
    package enum Position: String, Codable, CaseIterable, Sendable {
        /// A learned vector per token, cls included.
        case absolute
        /// A table of relative position biases in each block.
        case relative
        /// One table for all blocks (pre-training).
        case relativeShared = "relative-shared"
        case none
    }

    /// D, the width of a token.
    package var width = 768
    /// L, the number of blocks.
    package var depth = 12
    package var heads = 12
    /// Width of the MLP's hidden layer ÷ D.
    package var mlpRatio = 4.0
    /// P, the side of a patch in pixels.
    package var patchSize = 16
    /// Height and width in pixels; multiples of the patch size.
    package var imageSize = [224, 224]
    package var position = Position.relative
    /// First value of γ; 0 for a model without layer scale.
    package var layerScale: Float = 0.1
    /// Stochastic depth of the last block; linear from 0 at the first.
    package var dropPath: Float = 0.1
    /// A layer norm after the last block.
    package var finalNorm = true
    package var normEps: Float = 1e-6

    package init() {}

    enum CodingKeys: String, CodingKey {
        case width, depth, heads
        case mlpRatio = "mlp_ratio"
        case patchSize = "patch_size"
        case imageSize = "image_size"
        case position
        case layerScale = "layer_scale"
        case dropPath = "drop_path"
        case finalNorm = "final_norm"
        case normEps = "norm_eps"
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        func value<T: Decodable>(_ key: CodingKeys, _ standard: T) throws -> T {
            try values.decodeIfPresent(T.self, forKey: key) ?? standard
        }
        width = try values.decode(Int.self, forKey: .width)
        depth = try values.decode(Int.self, forKey: .depth)
        heads = try values.decode(Int.self, forKey: .heads)
        mlpRatio = try value(.mlpRatio, 4)
        patchSize = try value(.patchSize, 16)
        imageSize = try values.decode([Int].self, forKey: .imageSize)
        position = try value(.position, .relative)
        layerScale = try value(.layerScale, 0)
        dropPath = try value(.dropPath, 0)
        finalNorm = try value(.finalNorm, true)
        normEps = try value(.normEps, 1e-6)
    }

    package var gridHeight: Int { imageSize[0] / patchSize }
    package var gridWidth: Int { imageSize[1] / patchSize }
    /// N, the number of patches.
    package var patchCount: Int { gridHeight * gridWidth }
    package var hiddenWidth: Int { Int((Double(width) * mlpRatio).rounded()) }
    /// Rows of a relative position bias table.
    package var tableRows: Int { (2 * gridHeight - 1) * (2 * gridWidth - 1) + 3 }

    /// The rate of stochastic depth of each block, rising evenly from 0 to ``dropPath``.
    package var dropPathRates: [Float] {
        (0..<depth).map { dropPath * Float($0) / Float(max(1, depth - 1)) }
    }

    /// What makes the configuration impossible, in one sentence; nil if nothing does.
    package var problem: String? {
        let sizes = [("width", width), ("depth", depth), ("heads", heads), ("patch_size", patchSize)]
        for (name, value) in sizes where value < 1 || value > 1 << 16 { return "backbone.\(name) is \(value)" }
        if width % heads != 0 { return "backbone.width \(width) cannot be divided among \(heads) heads" }
        if !mlpRatio.isFinite || mlpRatio <= 0 || mlpRatio > 64 || hiddenWidth < 1 {
            return "backbone.mlp_ratio is \(mlpRatio)"
        }
        if imageSize.count != 2 || imageSize.contains(where: { $0 < patchSize || $0 > 1 << 15 || $0 % patchSize != 0 })
        {
            return "backbone.image_size \(imageSize) is not two multiples of the patch size \(patchSize)"
        }
        if !(normEps > 0) || normEps > 1 { return "backbone.norm_eps is \(normEps)" }
        if !layerScale.isFinite || layerScale < 0 { return "backbone.layer_scale is \(layerScale)" }
        if !(dropPath >= 0) || dropPath >= 1 {
            return "backbone.drop_path is \(dropPath), and must be from 0 to below 1"
        }
        return nil
    }
}

/// The named sizes (`--preset`).
package enum Preset: String, CaseIterable, Sendable {
    case tiny, small, base, large, huge
    case billion1 = "1b"
    case billion2 = "2b"

    package var backbone: BackboneConfiguration {
        var result = BackboneConfiguration()
        func set(_ width: Int, _ depth: Int, _ heads: Int, hidden: Int, patch: Int, layerScale: Float) {
            (result.width, result.depth, result.heads, result.patchSize) = (width, depth, heads, patch)
            (result.mlpRatio, result.layerScale) = (Double(hidden) / Double(width), layerScale)
        }
        switch self {
        case .tiny: set(192, 12, 3, hidden: 768, patch: 16, layerScale: 0.1)
        case .small: set(384, 12, 6, hidden: 1536, patch: 16, layerScale: 0.1)
        case .base: set(768, 12, 12, hidden: 3072, patch: 16, layerScale: 0.1)
        case .large: set(1024, 24, 16, hidden: 4096, patch: 16, layerScale: 1e-5)
        case .huge: set(1280, 32, 16, hidden: 5120, patch: 14, layerScale: 0)
        case .billion1: set(1408, 40, 16, hidden: 6144, patch: 14, layerScale: 0)
        case .billion2: set(1664, 48, 16, hidden: 8192, patch: 14, layerScale: 0)
        }
        return result
    }
}
