// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
]

/// Only for the trait `Images`, so that the library alone needs libprotobuf-c alone.
let images = Target.Dependency.target(name: "SardonyxImages", condition: .when(traits: ["Images"]))

/// A product of the packages that only the server needs: without the trait `Server` they are not even fetched.
func serving(_ product: String, _ package: String) -> Target.Dependency {
  .product(name: product, package: package, condition: .when(traits: ["Server"]))
}

let package = Package(
  name: "Sardonyx",
  platforms: [.macOS(.v15), .iOS(.v18)],
  products: [
    .library(name: "Sardonyx", targets: ["Sardonyx"]),
    .library(name: "SardonyxData", targets: ["SardonyxData"]),
    .library(name: "SardonyxC", type: .dynamic, targets: ["SardonyxC"]),
    .library(name: "SardonyxCStatic", type: .static, targets: ["SardonyxC"]),
    .executable(name: "sardonyx", targets: ["SardonyxCommand"]),
    .executable(name: "sardonyx-server", targets: ["SardonyxServer"]),
    .executable(name: "sardonyx-fuzz", targets: ["SardonyxFuzz"]),
  ],
  traits: [
    .trait(name: "Images", description: "Decode PNG, JPEG, TIFF, WebP, JPEG 2000, BMP and PNM."),
    .trait(
      name: "Server", description: "Build sardonyx-server, which brings an HTTP stack with it."),
    .default(enabledTraits: ["Images"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(
      url: "https://github.com/hummingbird-project/hummingbird", from: "2.21.1", traits: []),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.14.0"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.9.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
  ],
  targets: [
    .systemLibrary(
      name: "CProtobuf", pkgConfig: "libprotobuf-c",
      providers: [.apt(["libprotobuf-c-dev"]), .brew(["protobuf-c"])]),
    .systemLibrary(
      name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"]), .brew(["libpng"])]),
    .systemLibrary(
      name: "CJPEG", pkgConfig: "libturbojpeg",
      providers: [.apt(["libturbojpeg0-dev"]), .brew(["jpeg-turbo"])]),
    .systemLibrary(
      name: "CTIFF", pkgConfig: "libtiff-4",
      providers: [.apt(["libtiff-dev"]), .brew(["libtiff"])]),
    .systemLibrary(
      name: "CWebP", pkgConfig: "libwebp", providers: [.apt(["libwebp-dev"]), .brew(["webp"])]),
    .systemLibrary(
      name: "CJPEG2000", pkgConfig: "libopenjp2",
      providers: [.apt(["libopenjp2-7-dev"]), .brew(["openjpeg"])]),
    .systemLibrary(
      name: "CZip", pkgConfig: "libzip", providers: [.apt(["libzip-dev"]), .brew(["libzip"])]),
    .target(name: "COnnx", dependencies: ["CProtobuf"]),
    .target(
      name: "CKernels", cSettings: [.treatAllWarnings(as: .error)],
      linkerSettings: [.linkedLibrary("m", .when(platforms: [.linux]))]),
    .target(
      name: "CImages", dependencies: ["CPNG", "CJPEG", "CTIFF", "CWebP", "CJPEG2000"],
      cSettings: [.treatAllWarnings(as: .error)]),
    .target(name: "SardonyxImages", dependencies: ["CImages"], swiftSettings: settings),
    .target(
      name: "Sardonyx", dependencies: ["COnnx", "CKernels", images], swiftSettings: settings),
    .target(
      name: "SardonyxData", dependencies: ["Sardonyx", "CZip", images], swiftSettings: settings),
    .target(name: "CSardonyx", cSettings: [.treatAllWarnings(as: .error)]),
    .target(
      name: "SardonyxC", dependencies: ["Sardonyx", "CSardonyx"], swiftSettings: settings),
    .executableTarget(
      name: "SardonyxCommand",
      dependencies: [
        "Sardonyx", "SardonyxData",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "SardonyxServer",
      dependencies: [
        "Sardonyx",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        serving("Hummingbird", "hummingbird"), serving("HummingbirdCore", "hummingbird"),
        serving("HummingbirdTLS", "hummingbird"),
        serving("ServiceLifecycle", "swift-service-lifecycle"),
        serving("UnixSignals", "swift-service-lifecycle"), serving("Logging", "swift-log"),
        serving("Metrics", "swift-metrics"), serving("NIOCore", "swift-nio"),
        serving("NIOSSL", "swift-nio-ssl"), serving("HTTPTypes", "swift-http-types"),
        serving("Histogram", "hdrhistogram-swift"),
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "SardonyxFuzz", dependencies: ["Sardonyx"], swiftSettings: settings),
    .target(
      name: "CAllocations", path: "Tests/CAllocations", cSettings: [.treatAllWarnings(as: .error)]),
    .testTarget(
      name: "SardonyxTests", dependencies: ["Sardonyx", "CAllocations"],
      exclude: ["Fixtures", "Conformance/exclusions.txt"], swiftSettings: settings),
    .testTarget(
      name: "SardonyxImagesTests", dependencies: ["SardonyxImages"], exclude: ["Fixtures"],
      swiftSettings: settings),
    .testTarget(
      name: "SardonyxDataTests", dependencies: ["SardonyxData", "Sardonyx"],
      swiftSettings: settings),
    .testTarget(
      name: "SardonyxCommandTests",
      dependencies: [
        "SardonyxCommand", "SardonyxData", "Sardonyx",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
  ],
  swiftLanguageModes: [.v6]
)

// Documentation alone needs its plugin: see tools/documentation.
if Context.environment["SARDONYX_DOCUMENTATION"] != nil {
  package.dependencies.append(
    .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.4.3"))
}
