#if Images
  private import SardonyxImages
#endif

/// Pictures in files, and how they were prepared by experimental operators that ONNX dropped.
let images: OperatorFamily = [
  "Crop": Crop.init,
  "ImageDecoder": ImageDecoder.init,
  "ImageScaler": ImageScaler.init,
]

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

/// The part of images N×C×H×W inside borders, or of a size given, behind the left and top borders.
struct Crop: Operator {
  /// Left, top, right and bottom.
  private let border: [Int]
  /// Height and width.
  private let size: [Int]?

  init(_ node: inout NodeReader) throws(ModelError) {
    border = try node.ints("border") ?? []
    guard border.count == 4, border.allSatisfy({ $0 >= 0 && $0 <= Int(Int32.max) }) else {
      throw node.invalid("border", expected: "4 numbers from 0 on", got: border)
    }
    size = try node.ints("scale").flatMap { $0.isEmpty ? nil : $0 }
    guard size.map({ $0.count == 2 && $0.allSatisfy { $0 >= 0 } }) ?? true else {
      throw node.invalid("scale", expected: "2 numbers from 0 on", got: size ?? [])
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(try inputs.type(0), try region(inputs.shape(0)).extents)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    outputs[0].copy(inputs[0], from: try region(inputs[0].shape), on: outputs.context.crew)
  }

  private func region(_ shape: Shape) throws(ModelError) -> Region {
    try checkRank(shape, 4, "input")
    let extents = size ?? [shape[2] - border[1] - border[3], shape[3] - border[0] - border[2]]
    guard extents.allSatisfy({ $0 >= 0 }), extents[0] <= shape[2] - border[1],
      extents[1] <= shape[3] - border[0]
    else {
      throw .unexpected(
        "extents of the input", expected: "at least the borders and the scale",
        got: "[\(shape.joined)]")
    }
    return Region(shape).sliced(2, from: border[1], count: extents[0])
      .sliced(3, from: border[0], count: extents[1])
  }
}

/// scale·x + bias of each channel of images N×C×H×W.
struct ImageScaler: Operator {
  private let scale: Float
  private let bias: [Float]

  init(_ node: inout NodeReader) throws(ModelError) {
    scale = try node.float("scale", default: 1)
    bias = try node.floats("bias") ?? []
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    try checkRank(shape, 4, "input")
    guard bias.count == shape[1] else {
      throw .unexpected("attribute bias", expected: "\(shape[1]) numbers", got: "\(bias.count)")
    }
    return [Fact(try inputs.type(0), shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    let block = AxisBlock(inputs[0].shape, axis: 1)
    var interruption = Interruption()
    for outer in 0..<block.outer {
      for channel in 0..<block.count {
        if interruption.isDue(after: 300) { return }
        let range = block.range(outer: outer, channel)
        UnaryFunction.affine(alpha: scale, beta: bias[channel])
          .apply(inputs[0].part(range), into: outputs[0].part(range), on: outputs.context.crew)
      }
    }
  }

  var reusableInput: Int? { 0 }
}
