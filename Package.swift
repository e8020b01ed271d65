// swift-tools-version: 6.1
import PackageDescription

#if os(macOS)
    let hdf5PackageName = "hdf5"
    let jpegPackageName = "libjpeg"
#else
    let hdf5PackageName = "hdf5-serial"
    let jpegPackageName = "libjpeg"
#endif

let oneDNN: SwiftSetting = .define("OneDNN", .when(traits: ["OneDNN"]))

/// A Swift target with its tests beside it.
func room(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: [oneDNN])
}

func tests(_ name: String, _ dependencies: [Target.Dependency], fixtures: Bool = false) -> Target {
    .testTarget(
        name: name + "Tests", dependencies: [.byName(name: name)] + dependencies,
        resources: fixtures ? [.copy("Fixtures")] : [], swiftSettings: [oneDNN])
}

let package = Package(
    name: "beit-seg",
    platforms: [.macOS(.v15)],
    products: [
        .library(
            name: "BEiTSeg",
            targets: [
                "Files", "TensorCore", "Ops", "Layers", "Models", "HDF5", "Checkpoints", "ImageIO", "Datasets",
                "Training", "Evaluation",
            ]),
        .executable(name: "beit-seg", targets: ["beit-seg"]),
    ],
    traits: [
        .trait(name: "OneDNN", description: "Matrix products by oneDNN, with weights packed once (else OpenBLAS)."),
        .default(enabledTraits: ["OneDNN"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    ],
    targets: [
        .systemLibrary(
            name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"]), .brew(["openblas"])]),
        .systemLibrary(name: "COneDNN", providers: [.apt(["libdnnl-dev"]), .brew(["onednn"])]),
        .systemLibrary(
            name: "CHDF5", pkgConfig: hdf5PackageName, providers: [.apt(["libhdf5-dev"]), .brew(["hdf5"])]),
        .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"]), .brew(["libpng"])]),
        .systemLibrary(
            name: "CJPEG", pkgConfig: jpegPackageName,
            providers: [.apt(["libjpeg62-turbo-dev"]), .brew(["jpeg-turbo"])]),

        .target(name: "CHDF5Shim", dependencies: ["CHDF5"]),
        .target(name: "CImageShim", dependencies: ["CPNG", "CJPEG"]),
        .target(
            name: "COneDNNShim",
            dependencies: [.target(name: "COneDNN", condition: .when(traits: ["OneDNN"]))],
            cSettings: [.define("BEITSEG_ONEDNN", .when(traits: ["OneDNN"]))],
            linkerSettings: [.linkedLibrary("dnnl", .when(traits: ["OneDNN"]))]),
        .target(name: "CKernels", linkerSettings: [.linkedLibrary("m")]),

        room("Files", []),
        room("TensorCore", []),
        room("Ops", ["TensorCore", "CKernels", "COpenBLAS", "COneDNNShim"]),
        room("Layers", ["Ops"]),
        room("Models", ["Layers"]),
        room("HDF5", ["Files", "CHDF5", "CHDF5Shim"]),
        room("Checkpoints", ["Models", "HDF5"]),
        room("ImageIO", ["Files", "CImageShim"]),
        room("Datasets", ["ImageIO", "TensorCore", "Files"]),
        room("Training", ["Models", "Datasets", "Checkpoints", .product(name: "Logging", package: "swift-log")]),
        room("Evaluation", ["Models", "Datasets", "Checkpoints"]),
        room(
            "Commands",
            [
                "Training", "Evaluation", .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ]),
        .executableTarget(name: "beit-seg", dependencies: ["Commands"]),

        tests("Files", []),
        tests("TensorCore", []),
        tests("Ops", ["HDF5"], fixtures: true),
        tests("Models", ["HDF5", "Checkpoints"], fixtures: true),
        tests("HDF5", [], fixtures: true),
        tests("ImageIO", ["Files"], fixtures: true),
        tests("Checkpoints", ["HDF5"], fixtures: true),
        tests("Datasets", ["ImageIO", "TensorCore"], fixtures: true),
        tests("Training", ["HDF5", "ImageIO", "Files"], fixtures: true),
        tests("Evaluation", []),
        tests("Commands", ["HDF5"], fixtures: true),
    ]
)
