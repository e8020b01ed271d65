package struct UperNetTemp { package struct Aux { package var channels = 0, convolutions = 0, concat = false; package var weight: Float = 0 }
 package var features = [0], poolScales = [1]; package var auxiliary: Aux? }
extension DecoderConfiguration { package var upernet: UperNetTemp? { nil } }
