#if Images
  private import SardonyxImages
#endif

/// Pictures in files.
let images: OperatorFamily = ["ImageDecoder": ImageDecoder.init]

/// A PNG, JPEG, TIFF, WebP, JPEG 2000, BMP or PNM file, as uint8 [bytes], to pixels [H, W, C].
///
/// What cannot be decoded gives an empty image [0, 0, C], as the specification asks.
struct ImageDecoder: Operator {
  private let pixelFormat: String
  private var channels: Int { pixelFormat == "Grayscale" ? 1 : 3 }

  init(_ node: inout NodeReader) throws(ModelError) {
    pixelFormat = try node.string("pixel_format", default: "RGB")
    guard ["RGB", "BGR", "Grayscale"].contains(pixelFormat) else {
      throw node.invalid("pixel_format", expected: "RGB, BGR or Grayscale", got: pixelFormat)
    }
    #if !Images
      throw ModelError(
        .unsupported, "this build of Sardonyx decodes no images",
        hint: "build it with the package trait Images")
    #endif
  }

  func outputs(_ inputs: Facts) -> [Fact] { [Fact(.uint8, nil)] }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    #if Images
      let limit = min(Image.defaultPixelLimit, outputs.context.account.limit / 3)
      let image = try? Image(
        decoding: inputs[0].array(of: UInt8.self),
        as: Image.PixelFormat(rawValue: pixelFormat) ?? .rgb, pixelLimit: limit)
      let shape = [image?.height ?? 0, image?.width ?? 0, channels]
      try outputs.place(0, .uint8, shape).store(elements: image?.samples ?? [])
    #endif
  }
}
