import BEiTSeg

let segmenter = try Segmenter()
for path in CommandLine.arguments.dropFirst() {
    let photo = try segmenter.segment(path)
    print(path, photo.areas.map { "\($0.name) \(Int((100 * $0.share).rounded())) %" }.joined(separator: ", "))
    try photo.writeMask(to: path + ".mask.png")
    try photo.writeOverlay(to: path + ".overlay.png")
}
