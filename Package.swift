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

let package = Package(
  name: "Sardonyx",
  platforms: [.macOS(.v26)],
  products: [
    .library(name: "Sardonyx", targets: ["Sardonyx"]),
    .executable(name: "sardonyx", targets: ["SardonyxCommand"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0")
  ],
  targets: [
    .systemLibrary(
      name: "CProtobuf", pkgConfig: "libprotobuf-c",
      providers: [.apt(["libprotobuf-c-dev"]), .brew(["protobuf-c"])]),
    .target(name: "COnnx", dependencies: ["CProtobuf"]),
    .target(
      name: "CKernels", cSettings: [.treatAllWarnings(as: .error)],
      linkerSettings: [.linkedLibrary("m", .when(platforms: [.linux]))]),
    .target(name: "Sardonyx", dependencies: ["COnnx", "CKernels"], swiftSettings: settings),
    .executableTarget(
      name: "SardonyxCommand",
      dependencies: [
        "Sardonyx", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "SardonyxTests", dependencies: ["Sardonyx"], swiftSettings: settings),
  ],
  swiftLanguageModes: [.v6]
)
