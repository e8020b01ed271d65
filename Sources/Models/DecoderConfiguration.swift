import BEiTLayers

/// The head that turns features of patches into class logits; the JSON `config.decoder`. What is in it beside `classes`
/// depends on its `kind`.
package struct DecoderConfiguration: Codable, Equatable, Sendable {
    package enum Kind: Equatable, Sendable {
        case deconvolution(DeconvolutionConfiguration)
        case linear(LinearConfiguration)
        case upernet(UperNetConfiguration)
    }

    /// As the kinds are called.
    package enum Name: String, Codable, CaseIterable, Sendable {
        case deconvolution, linear, upernet
    }

    package var kind: Kind
    /// K, the number of classes.
    package var classes: Int

    package init(_ kind: Kind = .deconvolution(DeconvolutionConfiguration()), classes: Int = 150) {
        (self.kind, self.classes) = (kind, classes)
    }

    /// The usual one of a kind, for ``complete(for:)`` to fit to a backbone.
    package init(_ name: Name, classes: Int = 150) {
        switch name {
        case .deconvolution: self.init(.deconvolution(DeconvolutionConfiguration()), classes: classes)
        case .linear: self.init(.linear(LinearConfiguration()), classes: classes)
        case .upernet: self.init(.upernet(UperNetConfiguration()), classes: classes)
        }
    }

    private enum CodingKeys: String, CodingKey { case kind, classes }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        classes = try values.decode(Int.self, forKey: .classes)
        switch try values.decode(Name.self, forKey: .kind) {
        case .deconvolution: kind = .deconvolution(try DeconvolutionConfiguration(from: decoder))
        case .linear: kind = .linear(LinearConfiguration())
        case .upernet: kind = .upernet(try UperNetConfiguration(from: decoder))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(name, forKey: .kind)
        try values.encode(classes, forKey: .classes)
        try architecture.encode(to: encoder)
    }

    package var name: Name {
        switch kind {
        case .deconvolution: .deconvolution
        case .linear: .linear
        case .upernet: .upernet
        }
    }

    /// Nil for another kind.
    package var upernet: UperNetConfiguration? {
        guard case .upernet(let architecture) = kind else { return nil }
        return architecture
    }

    private var architecture: any DecoderArchitecture {
        switch kind {
        case .deconvolution(let architecture): architecture
        case .linear(let architecture): architecture
        case .upernet(let architecture): architecture
        }
    }
}

/// All that is known of a kind of decoder before there is one. Sizes are in Double: absurd ones do not fit an integer.
protocol DecoderArchitecture: Codable, Equatable, Sendable {
    /// The blocks whose outputs it takes, counted from 0, −1 for the embedding; nil for the last one's after the final norm.
    var wantedFeatures: [Int]? { get }
    /// Beginnings of the paths of the parameters whose rows are classes.
    var classHeads: [String] { get }
    /// For people, in half a line.
    var summary: String { get }

    /// What makes it impossible, in one sentence; nil if nothing does.
    func problem(behind backbone: BackboneConfiguration) -> String?
    /// Weights of its matrices and kernels.
    func weightCount(width: Double, classes: Double) -> Double
    /// Operations of a forward pass of one image.
    func forwardFlops(width: Double, patches: Double, classes: Double) -> Double
    /// Numbers of one image that the way back needs, at least.
    func keptCount(width: Double, patches: Double, classes: Double) -> Double
    func makeDecoder(width: Int, classes: Int, _ initializer: Initializer) -> any SegmentationDecoder
}

extension DecoderConfiguration {
    package var wantedFeatures: [Int]? { architecture.wantedFeatures }
    package var classHeads: [String] { architecture.classHeads }
    package var summary: String { "\(name.rawValue)\(architecture.summary), \(classes) classes" }

    /// Fills in what has been left to the backbone's shape.
    package mutating func complete(for backbone: BackboneConfiguration) {
        if let upernet { kind = .upernet(upernet.completed(for: backbone)) }
    }

    func problem(behind backbone: BackboneConfiguration) -> String? {
        if classes < 1 || classes > 65_535 { return "decoder.classes is \(classes)" }
        return architecture.problem(behind: backbone)
    }

    package func weightCount(width: Int) -> Double {
        architecture.weightCount(width: Double(width), classes: Double(classes))
    }

    func forwardFlops(_ backbone: BackboneConfiguration) -> Double {
        architecture.forwardFlops(
            width: Double(backbone.width), patches: Double(backbone.patchCount), classes: Double(classes))
    }

    package func keptCount(width: Int, patches: Double) -> Double {
        architecture.keptCount(width: Double(width), patches: patches, classes: Double(classes))
    }

    func makeDecoder(width: Int, _ initializer: Initializer) -> any SegmentationDecoder {
        architecture.makeDecoder(width: width, classes: classes, initializer)
    }
}
