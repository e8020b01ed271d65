import BEiTCheckpoints
import BEiTHDF5
import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTTensorCore
import Testing

/// The discrete VAE against PyTorch.
@Suite struct DiscreteVAETests {
    private func load() throws -> DiscreteVAE {
        let files = try ["encoder_state", "decoder_state"].map { try OracleModel.file("dvae/\($0)") }
        let model = try ForeignModel(files).load().model
        guard case .tokenizer(let tokenizer) = model else { throw HDF5Error.notFound(file: "tokenizer") }
        return tokenizer
    }

    private func array(_ name: String) throws -> Tensor {
        let (shape, values) = try HDF5Reader(OracleModel.file("dvae/arrays")).readFloats("/" + name)
        return Tensor(values, shape)
    }

    private func channelsLast(_ name: String) throws -> Tensor { try array(name).transposed([0, 2, 3, 1]) }

    @Test(arguments: MatrixEngine.available) func encoderGivesTheSameTokens(_ engine: MatrixEngine) throws {
        try MatrixEngine.$current.withValue(engine) {
            let logits = try load().encoder(Variable(channelsLast("encoder_input")), Tape(.inference)).value
            let want = try channelsLast("encoder_logits")
            try #require(logits.shape == want.shape)
            #expect(largestError(logits.values, want.values) < 2e-4)
            let tokens = try HDF5Reader(OracleModel.file("dvae/arrays")).readInts("/tokens").values.map(Int32.init)
            #expect(logits.argmax() == tokens)
        }
    }

    @Test(arguments: MatrixEngine.available) func decoderGivesTheSamePictures(_ engine: MatrixEngine) throws {
        try MatrixEngine.$current.withValue(engine) {
            let model = try load()
            let tokens = try channelsLast("encoder_logits")
            let best = tokens.argmax()
            let oneHot = Tensor.zeros(tokens.shape)
            for (row, token) in best.enumerated() { oneHot.pointer[row * tokens.shape[3] + Int(token)] = 1 }
            let output = model.decoder(Variable(oneHot), Tape(.inference)).value
            #expect(largestError(output.values, try channelsLast("decoder_output").values) < 2e-4)

            let tape = Tape(.inference)
            let soft = model.decoder(tape.softmax(Variable(tokens)), tape).value
            #expect(largestError(soft.values, try channelsLast("decoder_output_soft").values) < 2e-4)
            #expect(largestError(decode(output), try channelsLast("decoded_image").values) < 1e-4)
        }
    }

    /// Pixels 0…1 from the first three of the decoder's six channels.
    private func decode(_ output: Tensor) -> [Float] {
        stride(from: 0, to: output.count, by: 6).flatMap { pixel in
            (0..<3).map { DiscreteVAE.unmapPixels(sigmoid(output.pointer[pixel + $0])) }
        }
    }

    private func sigmoid(_ x: Float) -> Float {
        Tape(.inference).softmax(Variable(Tensor([x, 0], [1, 2]))).value.values[0]
    }

    @Test func pixelMapsMatch() throws {
        let mapped = try array("map_input").values.map(DiscreteVAE.mapPixels)
        #expect(largestError(mapped, try array("map_output").values) < 1e-6)
        let unmapped = try array("unmap_input").values.map(DiscreteVAE.unmapPixels)
        #expect(largestError(unmapped, try array("unmap_output").values) < 1e-6)
    }
}
