// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "segment-photos",
    platforms: [.macOS(.v15)],
    // Elsewhere: .package(url: "https://…/beit-seg", branch: "main")
    dependencies: [.package(name: "beit-seg", path: "../..")],
    targets: [
        .executableTarget(
            name: "segment-photos", dependencies: [.product(name: "BEiTSeg", package: "beit-seg")], path: "Sources")
    ]
)
