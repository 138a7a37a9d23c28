import ArgumentParser

/// How an image becomes a tensor.
struct ImageOptions: ParsableArguments {
  /// The order of a tensor's axes.
  enum Layout: String, ExpressibleByArgument, CaseIterable, Sendable { case nchw, nhwc }

  /// The channels of a tensor.
  enum Channels: String, ExpressibleByArgument, CaseIterable, Sendable { case rgb, bgr, gray }

  @Option(
    help: ArgumentHelp(
      """
      Resize images, by bilinear interpolation between the centres of pixels, without \
      anti-aliasing.
      """, valueName: "WxH"))
  var resize: ImageSize?

  @Option(
    help: ArgumentHelp(
      "Subtract from values in [0, 1]: one number, or one per channel.", valueName: "m,m,m"))
  var mean: NumberList?

  @Option(
    help: ArgumentHelp(
      "Then divide by: one number, or one per channel.", valueName: "s,s,s"))
  var std: NumberList?

  @Option(
    help: """
      The order of axes: nchw or nhwc. (default: nchw; an input of rank 3 gets no batch axis)
      """)
  var layout: Layout = .nchw

  @Option(
    help: """
      rgb, bgr or gray. (default: gray where the input declares one channel, else rgb)
      """)
  var channels: Channels?
}

/// `WxH` of `--resize`.
struct ImageSize: ExpressibleByArgument, Sendable {
  let width: Int
  let height: Int

  init?(argument: String) {
    let extents = argument.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
    guard extents.count == 2, let width = extents[0], let height = extents[1],
      (1...1 << 15).contains(width), (1...1 << 15).contains(height)
    else { return nil }
    self.width = width
    self.height = height
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
