public import ArgumentParser
import Sardonyx
public import SardonyxData

/// How an image becomes a tensor.
struct ImageOptions: ParsableArguments {
  @OptionGroup var form: ImageFormOptions

  @Option(
    help: """
      What white is: 1, or 255 for models that take the numbers of bytes. Black is 0. An input of \
      uint8 gets the bytes in any case. (default: 1)
      """)
  var range = ImagePreparation.Range.unit

  @Option(
    help: ArgumentHelp(
      "Subtract from the numbers, in the scale of --range: one number, or one per channel.",
      valueName: "m,m,m"))
  var mean: NumberList?

  @Option(
    help: ArgumentHelp(
      "Then divide by: one number, or one per channel.", valueName: "s,s,s"))
  var std: NumberList?

  func validate() throws {
    if let std, std.numbers.contains(0) {
      throw ValidationError("--std: expected numbers other than 0")
    }
  }

  /// What is done to bytes to make numbers of them.
  var normalization: InputNormalization {
    var normalization = InputNormalization()
    // --mean and --std are in the scale of --range.
    normalization.divisor = range == .unit ? 255 : 1
    normalization.mean = mean?.numbers.map(Double.init) ?? []
    normalization.deviation = std?.numbers.map(Double.init) ?? []
    return normalization
  }

  /// What the library calls these options.
  var preparation: ImagePreparation {
    var preparation = form.preparation
    preparation.range = range
    preparation.mean = mean?.numbers ?? []
    preparation.deviation = std?.numbers ?? []
    return preparation
  }
}

/// How large an image is made, and in which order its numbers stand.
struct ImageFormOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Resize images to this size, by Pillow's bilinear filter with anti-aliasing.",
      valueName: "WxH"))
  var resize: ImageSize?

  @Option(
    help: ArgumentHelp(
      "Resize images so that the shorter side has this extent, the shape kept.",
      valueName: "extent"))
  var resizeShorter: Int?

  @Option(
    help: ArgumentHelp(
      """
      Resize images to fit into this size, the shape kept, with gray (114) around them, as YOLO \
      does.
      """, valueName: "WxH"))
  var letterbox: ImageSize?

  @Option(
    help: ArgumentHelp(
      "Keep this rectangle in the middle, after resizing.", valueName: "WxH"))
  var crop: ImageSize?

  @Option(
    help: """
      The order of axes: nchw or nhwc. (default: nchw; an input of rank 3 gets no batch axis)
      """)
  var layout = ImagePreparation.Layout.nchw

  @Option(
    help: """
      rgb, bgr or gray. (default: gray where the input declares one channel, else rgb)
      """)
  var channels: ImagePreparation.Channels?

  func validate() throws {
    let sizings = [resize != nil, resizeShorter != nil, letterbox != nil].count { $0 }
    guard sizings <= 1 else {
      throw ValidationError("--resize, --resize-shorter and --letterbox: expected one of them")
    }
    if let resizeShorter, !(1...1 << 15).contains(resizeShorter) {
      throw ValidationError("--resize-shorter: expected 1 to 32768, got \(resizeShorter)")
    }
  }

  /// What the library calls these options.
  var preparation: ImagePreparation {
    var preparation = ImagePreparation()
    if let resize { preparation.sizing = .stretched(resize.size) }
    if let resizeShorter { preparation.sizing = .shorterSide(resizeShorter) }
    if let letterbox { preparation.sizing = .letterboxed(letterbox.size) }
    preparation.crop = crop?.size
    preparation.layout = layout
    preparation.channels = channels
    return preparation
  }
}

extension ImagePreparation.Range: ExpressibleByArgument {}
extension ImagePreparation.Layout: ExpressibleByArgument {}
extension ImagePreparation.Channels: ExpressibleByArgument {}

/// `WxH` of `--resize`.
struct ImageSize: ExpressibleByArgument, Sendable {
  let size: ImagePreparation.Size

  init?(argument: String) {
    let extents = argument.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
    guard extents.count == 2, let width = extents[0], let height = extents[1],
      (1...1 << 15).contains(width), (1...1 << 15).contains(height)
    else { return nil }
    size = ImagePreparation.Size(width: width, height: height)
  }
}

/// Numbers with commas between them.
struct NumberList: ExpressibleByArgument, Sendable {
  let numbers: [Float]

  init?(argument: String) {
    let numbers = argument.split(separator: ",", omittingEmptySubsequences: false).map { Float($0) }
    guard !numbers.contains(nil) else { return nil }
    self.numbers = numbers.compactMap(\.self)
  }
}
