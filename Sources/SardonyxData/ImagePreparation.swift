public import Sardonyx

#if Images
  private import SardonyxImages
#endif

/// How a picture becomes the input of a model: turned, sized, cropped, scaled, laid out.
public struct ImagePreparation: Sendable {
  /// The order of a tensor's axes.
  public enum Layout: String, CaseIterable, Sendable {
    /// Channel by channel, as PyTorch has it.
    case nchw
    /// Pixel by pixel, as TensorFlow has it.
    case nhwc
  }

  /// The channels of a tensor.
  public enum Channels: String, CaseIterable, Sendable {
    /// Red, green, blue.
    case rgb
    /// Blue, green, red, as OpenCV and Caffe have it.
    case bgr
    /// One: the luminance.
    case gray
  }

  /// What numbers stand for black and white.
  public enum Range: String, CaseIterable, Sendable {
    /// 0 and 1.
    case unit = "1"
    /// 0 and 255.
    case bytes = "255"
  }

  /// A width and a height in pixels.
  public struct Size: Sendable, Equatable {
    /// Pixels of a row.
    public var width: Int
    /// Rows.
    public var height: Int

    /// - Parameters:
    ///   - width: pixels of a row.
    ///   - height: rows.
    public init(width: Int, height: Int) { (self.width, self.height) = (width, height) }
  }

  /// How large a picture is made, by Pillow's bilinear filter with anti-aliasing.
  public enum Sizing: Sendable, Equatable {
    /// As it is.
    case none
    /// To this size, whatever its shape.
    case stretched(Size)
    /// So that its shorter side has this extent, its shape kept.
    case shorterSide(Int)
    /// As large as fits into this size, its shape kept, with gray (114) around it.
    case letterboxed(Size)
  }

  /// The size, before ``crop``.
  public var sizing = Sizing.none
  /// The rectangle in the middle that is kept; nil for all.
  public var crop: Size?
  /// nil for gray where the input declares one channel, else RGB.
  public var channels: Channels?
  /// The order of the axes.
  public var layout = Layout.nchw
  /// The range of the numbers, which ``mean`` and ``deviation`` are in too.
  public var range = Range.unit
  /// Subtracted from the numbers: one for all channels, or one per channel; empty for none.
  public var mean: [Float] = []
  /// Divides them then, likewise.
  public var deviation: [Float] = []

  /// A picture as it is, in [0, 1].
  public init() {}

  /// Whether bytes begin as those of a picture that can be read.
  public static func isImage(_ bytes: [UInt8]) -> Bool {
    #if Images
      Image.isKnown(bytes)
    #else
      bytes.starts(with: [0x89, 0x50, 0x4E, 0x47]) || bytes.starts(with: [0xFF, 0xD8, 0xFF])
    #endif
  }

  /// The picture in a PNG, JPEG, TIFF, WebP, JPEG 2000, BMP or PNM file as an input of a model, with a
  /// batch axis of 1 unless the input has rank 3.
  ///
  /// It is turned as EXIF says (JPEG, PNG and WebP). An input of uint8 gets the bytes as they are.
  /// - Throws: ``ModelError``: malformed, mismatch where the input has no room for a picture or the
  ///   numbers do not suit it, or unsupported in a build without the trait `Images`.
  public func tensor(_ file: [UInt8], for input: ValueDefinition) throws(ModelError) -> Tensor {
    #if Images
      let rank = input.shape?.count ?? 4
      guard rank == 3 || rank == 4, let type = input.type?.elementType else {
        throw ModelError(
          .mismatch,
          "an image as input \"\(input.name)\": expected an input of rank 3 or 4, got \(rank)")
      }
      let picture = try framed(try decoded(file, isGray: declaresOneChannel(input)))
      try checkSize(picture, input)
      let (channels, width, height) = (picture.format.channels, picture.width, picture.height)
      let samples = layout == .nchw ? picture.planar : picture.samples
      let extents = layout == .nchw ? [channels, height, width] : [height, width, channels]
      let shape = rank == 4 ? [1] + extents : extents
      guard type != .uint8 else {
        guard mean.isEmpty, deviation.isEmpty, range == .unit else {
          throw ModelError(
            .mismatch,
            "mean, deviation and range: input \"\(input.name)\" is of uint8 and gets the bytes as "
              + "they are", hint: "leave them out; the model does that itself")
        }
        return try Tensor(samples, shape: shape)
      }
      let numbers = try normalized(samples, pixels: width * height, channels)
      return try Tensor(numbers, shape: shape).converted(to: type)
    #else
      throw ModelError(
        .unsupported, "this build of Sardonyx decodes no images",
        hint: "build it with the package trait Images")
    #endif
  }
}

#if Images
  extension ImagePreparation {
    private func decoded(_ bytes: [UInt8], isGray: Bool) throws(ModelError) -> Image {
      let format: Image.PixelFormat =
        switch channels ?? (isGray ? .gray : .rgb) {
        case .rgb: .rgb
        case .bgr: .bgr
        case .gray: .grayscale
        }
      do throws(ImageError) {
        return try Image(decoding: bytes, as: format).oriented(Image.orientation(of: bytes))
      } catch {
        throw ModelError(.malformed, error.description)
      }
    }

    private func framed(_ picture: Image) throws(ModelError) -> Image {
      let sized =
        switch sizing {
        case .none: picture
        case .stretched(let size): picture.resized(width: size.width, height: size.height)
        case .shorterSide(let extent): picture.resized(shorterSide: extent)
        case .letterboxed(let size): picture.letterboxed(width: size.width, height: size.height)
        }
      guard let crop else { return sized }
      guard let part = sized.cropped(width: crop.width, height: crop.height) else {
        throw ModelError(
          .mismatch,
          "crop: expected a picture of at least \(crop.width)x\(crop.height), "
            + "got \(sized.width)x\(sized.height)",
          hint: "make it larger first, by its shorter side: \(max(crop.width, crop.height))")
      }
      return part
    }

    private func declaresOneChannel(_ input: ValueDefinition) -> Bool {
      guard let shape = input.shape, shape.count >= 3 else { return false }
      return (layout == .nchw ? shape[shape.count - 3] : shape[shape.count - 1]) == .known(1)
    }

    /// Tells a picture of the wrong size before the model does, with what to do about it.
    private func checkSize(_ picture: Image, _ input: ValueDefinition) throws(ModelError) {
      guard let shape = input.shape else { return }
      let first = shape.count - (layout == .nchw ? 2 : 3)
      guard case .known(let height) = shape[first], case .known(let width) = shape[first + 1],
        (width, height) != (picture.width, picture.height)
      else { return }
      throw ModelError(
        .mismatch,
        "size of the image for input \"\(input.name)\": expected \(width)x\(height), "
          + "got \(picture.width)x\(picture.height)",
        hint: "--resize \(width)x\(height)")
    }

    private func normalized(_ samples: [UInt8], pixels: Int, _ channels: Int) throws(ModelError)
      -> [Float]
    {
      let means = try numbers("--mean", mean, standard: 0, channels)
      let deviations = try numbers("--std", deviation, standard: 1, channels)
      if let zero = deviations.first(where: { $0 == 0 || !$0.isFinite }) {
        throw ModelError(.mismatch, "--std: expected numbers other than 0, got \(zero)")
      }
      if range == .unit, let large = (means + deviations).first(where: { abs($0) > 1 }) {
        throw ModelError(
          .mismatch,
          "--mean and --std: expected numbers for pixels in [0, 1], got \(large)",
          hint: "for a model that takes 0 to 255 add --range 255; else divide them by 255")
      }
      return samples.indices.map { index in
        let channel = layout == .nchw ? index / pixels : index % channels
        let number = range == .unit ? Float(samples[index]) / 255 : Float(samples[index])
        return (number - means[channel]) / deviations[channel]
      }
    }

    private func numbers(
      _ option: String, _ list: [Float], standard: Float, _ channels: Int
    ) throws(ModelError) -> [Float] {
      let numbers = list.isEmpty ? [standard] : list
      guard numbers.count == 1 || numbers.count == channels else {
        throw ModelError(
          .mismatch, "\(option): expected 1 or \(channels) numbers, got \(numbers.count)")
      }
      return numbers.count == 1 ? Array(repeating: numbers[0], count: channels) : numbers
    }
  }

  extension Image {
    /// Channel by channel (CHW).
    fileprivate var planar: [UInt8] {
      let channels = format.channels
      return (0..<channels).flatMap { channel in
        stride(from: channel, to: samples.count, by: channels).map { samples[$0] }
      }
    }
  }
#endif
