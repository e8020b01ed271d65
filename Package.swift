// swift-tools-version: 6.1
import PackageDescription

#if os(macOS)
    let hdf5PackageName = "hdf5"
    let jpegPackageName = "libjpeg"
#else
    let hdf5PackageName = "hdf5-serial"
    let jpegPackageName = "libjpeg"
#endif

/// `#if` of each trait.
let traits: [SwiftSetting] = ["OneDNN", "TIFF", "WebP", "MPI"].map { .define($0, .when(traits: [$0])) }

/// The module of a room: two modules of one name do not go into one program, so ours have names of their own.
func module(_ room: String) -> String {
    if room == "BEiTSeg" { return room }
    let isC = room.hasPrefix("C") && room.dropFirst().first?.isUppercase == true
    return isC ? "CBEiT" + room.dropFirst() : "BEiT" + room
}

/// A Swift target in its folder of `Sources`; `dependencies` are rooms of ours.
func room(_ name: String, _ dependencies: [String], products: [Target.Dependency] = []) -> Target {
    .target(
        name: module(name), dependencies: dependencies.map { .byName(name: module($0)) } + products,
        path: "Sources/" + name, swiftSettings: traits)
}

/// A room's tests, which see the rooms that it imports as well.
func tests(_ name: String, _ dependencies: [String], fixtures: Bool = false) -> Target {
    .testTarget(
        name: module(name) + "Tests", dependencies: ([name] + dependencies).map { .byName(name: module($0)) },
        path: "Tests/" + name + "Tests", resources: fixtures ? [.copy("Fixtures")] : [], swiftSettings: traits)
}

/// A library of the system.
func system(_ name: String, pkgConfig: String? = nil, apt: String, brew: String) -> Target {
    .systemLibrary(
        name: module(name), path: "Sources/" + name, pkgConfig: pkgConfig,
        providers: [.apt([apt]), .brew([brew])])
}

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")

let package = Package(
    name: "beit-seg",
    platforms: [.macOS(.v15)],
    products: [
        .library(
            name: "BEiTSeg",
            targets: ["BEiTSeg"]),
        .executable(name: "beit-seg", targets: ["beit-seg"]),
    ],
    traits: [
        .trait(name: "OneDNN", description: "In training, matrix products by oneDNN (else OpenBLAS)."),
        .trait(name: "TIFF", description: "Images in TIFF and GeoTIFF, by libtiff."),
        .trait(name: "WebP", description: "Images in WebP, by libwebp."),
        .trait(name: "MPI", description: "Runs that several processes share, by MPI."),
        .default(enabledTraits: ["OneDNN", "TIFF", "WebP"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.4.0"),
    ],
    targets: [
        system("COpenBLAS", pkgConfig: "openblas", apt: "libopenblas-dev", brew: "openblas"),
        system("COneDNN", apt: "libdnnl-dev", brew: "onednn"),
        system("CMPI", pkgConfig: "mpi", apt: "libopenmpi-dev", brew: "open-mpi"),
        system("CHDF5", pkgConfig: hdf5PackageName, apt: "libhdf5-dev", brew: "hdf5"),
        // Files of PyTorch are zip archives; their directories are read by a library that has met hostile ones.
        system("CZip", pkgConfig: "libzip", apt: "libzip-dev", brew: "libzip"),
        system("CPNG", pkgConfig: "libpng", apt: "libpng-dev", brew: "libpng"),
        system("CZlib", pkgConfig: "zlib", apt: "zlib1g-dev", brew: "zlib"),
        system("CCrypto", pkgConfig: "libcrypto", apt: "libssl-dev", brew: "openssl@3"),
        system("CJPEG", pkgConfig: jpegPackageName, apt: "libjpeg62-turbo-dev", brew: "jpeg-turbo"),
        system("CTIFF", pkgConfig: "libtiff-4", apt: "libtiff-dev", brew: "libtiff"),
        system("CWebP", pkgConfig: "libwebp", apt: "libwebp-dev", brew: "webp"),

        .target(name: module("CHDF5Shim"), dependencies: [.byName(name: module("CHDF5"))], path: "Sources/CHDF5Shim"),
        .target(
            name: module("CImageShim"),
            dependencies: [
                .byName(name: module("CPNG")), .byName(name: module("CJPEG")),
                .target(name: module("CTIFF"), condition: .when(traits: ["TIFF"])),
                .target(name: module("CWebP"), condition: .when(traits: ["WebP"])),
            ], path: "Sources/CImageShim",
            cSettings: [
                .define("BEITSEG_TIFF", .when(traits: ["TIFF"])), .define("BEITSEG_WEBP", .when(traits: ["WebP"])),
            ],
            linkerSettings: [
                .linkedLibrary("tiff", .when(traits: ["TIFF"])), .linkedLibrary("webp", .when(traits: ["WebP"])),
            ]),
        .target(
            name: module("COneDNNShim"),
            dependencies: [.target(name: module("COneDNN"), condition: .when(traits: ["OneDNN"]))],
            path: "Sources/COneDNNShim",
            cSettings: [.define("BEITSEG_ONEDNN", .when(traits: ["OneDNN"]))],
            linkerSettings: [.linkedLibrary("dnnl", .when(traits: ["OneDNN"]))]),
        .target(
            name: module("CMPIShim"),
            dependencies: [.target(name: module("CMPI"), condition: .when(traits: ["MPI"]))],
            path: "Sources/CMPIShim", cSettings: [.define("BEITSEG_MPI", .when(traits: ["MPI"]))],
            linkerSettings: [.linkedLibrary("mpi", .when(traits: ["MPI"]))]),
        .target(name: module("CAllocation"), path: "Sources/CAllocation"),
        .target(name: module("CFilesShim"), path: "Sources/CFilesShim"),
        .target(name: module("CKernels"), path: "Sources/CKernels", linkerSettings: [.linkedLibrary("m")]),

        room("Files", ["CCrypto", "CFilesShim"]),
        room("TensorCore", ["CKernels"]),
        room("Ops", ["TensorCore", "CKernels", "COpenBLAS", "COneDNNShim"]),
        room("Layers", ["TensorCore", "Ops"]),
        room("Models", ["TensorCore", "Ops", "Layers"]),
        room("Processes", ["Files", "TensorCore", "CMPIShim"]),
        room("HDF5", ["Files", "TensorCore", "CHDF5", "CHDF5Shim"]),
        room("ImageIO", ["Files", "CImageShim"]),
        room("WeightFiles", ["Files", "TensorCore", "HDF5", "CZip"]),
        room(
            "Checkpoints", ["Files", "TensorCore", "Ops", "Layers", "Models", "HDF5", "WeightFiles", "ImageIO"]),
        room("Annotations", ["Files", "ImageIO", "CZlib"]),
        room("Datasets", ["Files", "TensorCore", "Processes", "ImageIO", "Annotations"]),
        room("Metrics", ["Files", "TensorCore", "ImageIO", "Datasets"]),
        room(
            "Prediction",
            [
                "Files", "TensorCore", "Processes", "Ops", "Models", "HDF5", "WeightFiles", "Checkpoints", "ImageIO",
                "Datasets",
            ]),
        room(
            "Scoring",
            [
                "Files", "TensorCore", "Processes", "Ops", "Models", "Checkpoints", "ImageIO", "Datasets", "Metrics",
                "Prediction",
            ]),
        room("Reports", ["Files", "Checkpoints", "ImageIO", "Datasets", "Metrics", "Scoring"]),
        room(
            "Training",
            [
                "Files", "TensorCore", "Ops", "Layers", "Models", "HDF5", "Checkpoints", "ImageIO", "Datasets",
                "Metrics", "Prediction", "Scoring", "Reports", "Processes",
            ], products: [logging]),
        .target(
            name: module("ShippedModels"), path: "models", exclude: ["README.md"],
            resources: [.copy("beit-seg.h5"), .copy("beit-tiny.h5")]),
        room(
            "BEiTSeg",
            ["Files", "Models", "Checkpoints", "ImageIO", "Datasets", "Prediction", "Training", "ShippedModels"]),
        room(
            "Commands",
            [
                "Files", "TensorCore", "Ops", "Layers", "Models", "HDF5", "Checkpoints", "ImageIO", "Datasets",
                "Metrics", "Prediction", "Scoring", "Reports", "Processes", "Training", "BEiTSeg",
            ], products: [argumentParser, logging]),
        .executableTarget(
            name: "beit-seg",
            dependencies: [.byName(name: module("Commands")), .byName(name: module("CAllocation"))]),

        .target(name: module("Mutants"), path: "Tests/Mutants"),
        .target(
            name: module("Teams"), dependencies: [.byName(name: module("Processes"))], path: "Tests/Teams"),
        tests("Files", []),
        tests("TensorCore", ["CKernels"]),
        tests("Ops", ["TensorCore", "CKernels", "HDF5"], fixtures: true),
        tests(
            "Models", ["Files", "TensorCore", "Ops", "Layers", "HDF5", "WeightFiles", "Checkpoints"], fixtures: true),
        tests("HDF5", ["Files", "TensorCore"], fixtures: true),
        tests("WeightFiles", ["Files", "TensorCore", "HDF5", "Mutants"], fixtures: true),
        tests("ImageIO", ["Files", "Mutants"], fixtures: true),
        tests("Checkpoints", ["Files", "TensorCore", "Ops", "Layers", "Models", "HDF5", "ImageIO"], fixtures: true),
        tests("Annotations", ["Files", "ImageIO"], fixtures: true),
        tests(
            "Datasets", ["Files", "TensorCore", "Processes", "ImageIO", "Annotations", "Mutants", "Teams"],
            fixtures: true),
        tests("Metrics", ["TensorCore", "ImageIO", "Datasets"]),
        tests(
            "Prediction",
            [
                "Files", "TensorCore", "Processes", "Ops", "Layers", "Models", "Checkpoints", "ImageIO", "Datasets",
                "Teams",
            ],
            fixtures: true),
        tests(
            "Scoring",
            [
                "Files", "TensorCore", "Processes", "Ops", "Layers", "Models", "Checkpoints", "ImageIO", "Datasets",
                "Metrics", "Prediction", "Teams",
            ]),
        tests("Reports", ["Checkpoints", "ImageIO", "Datasets", "Metrics", "Scoring"]),
        tests(
            "Training",
            [
                "Files", "TensorCore", "Ops", "Layers", "Models", "HDF5", "Checkpoints", "ImageIO", "Datasets",
                "Metrics", "Prediction", "Scoring", "Reports", "Processes", "Teams",
            ], fixtures: true),
        tests(
            "Commands",
            [
                "Files", "TensorCore", "Ops", "Layers", "Models", "HDF5", "Checkpoints", "ImageIO", "Datasets",
                "Metrics", "Prediction", "Scoring", "Reports", "Processes", "Training", "BEiTSeg",
            ], fixtures: true),
        tests("BEiTSeg", ["Files", "ImageIO"]),
    ]
)
