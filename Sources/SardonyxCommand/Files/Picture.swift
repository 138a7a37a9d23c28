import Sardonyx

#if Images
  import SardonyxImages
#endif

#if Images
  /// Whether the bytes begin as those of an image.
  func isImage(_ bytes: [UInt8]) -> Bool { Image.isKnown(bytes) }

  extension ImageOptions {
    /// The image as an input of a model: resized, scaled to [0, 1], normalised, laid out.
    ///
    /// An input of uint8 gets the bytes themselves, unless a mean or deviation is given.
    /// - Throws: ``ModelError``: malformed, or mismatch where the input has no room for an image.
    func tensor(_ bytes: [UInt8], for input: ValueDefinition) throws(ModelError) -> Tensor {
      let rank = input.shape?.count ?? 4
      guard rank == 3 || rank == 4, let type = input.type?.elementType else {
        throw ModelError(
          .mismatch,
          "an image as input \"\(input.name)\": expected an input of rank 3 or 4, got \(rank)")
      }
      var picture = Picture(try decode(bytes, isGray: declaresOneChannel(input)))
      if let resize { picture = picture.resized(to: resize) }
      try checkSize(picture, input)
      let isNormalized = type != .uint8 || mean != nil || std != nil
      if isNormalized { try normalize(&picture) }
      let planes = layout == .nchw ? picture.planar : picture.samples
      let shape =
        layout == .nchw
        ? [picture.channels, picture.height, picture.width]
        : [picture.height, picture.width, picture.channels]
      return try Tensor(planes, shape: rank == 4 ? [1] + shape : shape).converted(to: type)
    }

    private func decode(_ bytes: [UInt8], isGray: Bool) throws(ModelError) -> Image {
      let format: Image.PixelFormat =
        switch channels ?? (isGray ? .gray : .rgb) {
        case .rgb: .rgb
        case .bgr: .bgr
        case .gray: .grayscale
        }
      do throws(ImageError) { return try Image(decoding: bytes, as: format) } catch {
        throw ModelError(.malformed, error.description)
      }
    }

    private func declaresOneChannel(_ input: ValueDefinition) -> Bool {
      guard let shape = input.shape, shape.count >= 3 else { return false }
      return (layout == .nchw ? shape[shape.count - 3] : shape[shape.count - 1]) == .known(1)
    }

    /// Tells a picture of the wrong size before the model does, with what to do about it.
    private func checkSize(_ picture: Picture, _ input: ValueDefinition) throws(ModelError) {
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

    private func normalize(_ picture: inout Picture) throws(ModelError) {
      let means = try numbers("--mean", mean, standard: 0, picture.channels)
      let deviations = try numbers("--std", std, standard: 1, picture.channels)
      for index in picture.samples.indices {
        let channel = index % picture.channels
        picture.samples[index] =
          (picture.samples[index] / 255 - means[channel]) / deviations[channel]
      }
    }

    private func numbers(
      _ option: String, _ list: NumberList?, standard: Float, _ channels: Int
    ) throws(ModelError) -> [Float] {
      let numbers = list?.numbers ?? [standard]
      guard numbers.count == 1 || numbers.count == channels else {
        throw ModelError(
          .mismatch, "\(option): expected 1 or \(channels) numbers, got \(numbers.count)")
      }
      return numbers.count == 1 ? Array(repeating: numbers[0], count: channels) : numbers
    }
  }

  /// An image of floating-point samples 0…255, channels interleaved.
  private struct Picture {
    var width: Int
    var height: Int
    var channels: Int
    var samples: [Float]

    init(_ image: Image) {
      width = image.width
      height = image.height
      channels = image.format.channels
      samples = image.samples.map(Float.init)
    }

    /// Channel by channel (CHW).
    var planar: [Float] {
      (0..<channels).flatMap { channel in
        stride(from: channel, to: samples.count, by: channels).map { samples[$0] }
      }
    }

    /// Each pixel of the result is interpolated at its centre from the four pixels around.
    func resized(to size: ImageSize) -> Picture {
      let columns = Self.neighbours(size.width, width)
      let rows = Self.neighbours(size.height, height)
      var result = self
      result.width = size.width
      result.height = size.height
      result.samples = []
      result.samples.reserveCapacity(size.width * size.height * channels)
      for row in rows {
        let (top, bottom) = (row.first * width, row.second * width)
        for column in columns {
          for channel in 0..<channels {
            let at = { (start: Int, x: Int) in samples[(start + x) * channels + channel] }
            let upper = at(top, column.first) * (1 - column.weight)
            let lower = at(bottom, column.first) * (1 - column.weight)
            let upperRow = upper + at(top, column.second) * column.weight
            let lowerRow = lower + at(bottom, column.second) * column.weight
            result.samples.append(upperRow * (1 - row.weight) + lowerRow * row.weight)
          }
        }
      }
      return result
    }

    /// For each of `count` positions the two of `source` it lies between, and the second's weight.
    private static func neighbours(
      _ count: Int, _ source: Int
    ) -> [(first: Int, second: Int, weight: Float)] {
      (0..<count).map { index in
        let scale = Float(source) / Float(count)
        let position = min(max((Float(index) + 0.5) * scale - 0.5, 0), Float(source - 1))
        let first = Int(position)
        return (first, min(first + 1, source - 1), position - Float(first))
      }
    }
  }
#else
  /// Whether the bytes begin as those of the most common images, to tell why they are refused.
  func isImage(_ bytes: [UInt8]) -> Bool {
    bytes.starts(with: [0x89, 0x50, 0x4E, 0x47]) || bytes.starts(with: [0xFF, 0xD8, 0xFF])
  }

  extension ImageOptions {
    func tensor(_ bytes: [UInt8], for input: ValueDefinition) throws(ModelError) -> Tensor {
      throw ModelError(
        .unsupported, "this build of Sardonyx decodes no images",
        hint: "build it with the package trait Images")
    }
  }
#endif
