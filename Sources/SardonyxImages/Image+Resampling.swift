extension Image {
  /// The picture at another size, as Pillow's `Image.resize(size, Image.Resampling.BILINEAR)` makes
  /// it, bit for bit: first along the rows, then along the columns, or the other way round where it
  /// loses more than twice as many rows as columns; each sample a weighted mean of all that a triangle
  /// reaches which grows as the picture shrinks.
  ///
  /// Source: Pillow 13, `libImaging/Resample.c`; the order as its results show it.
  /// - Parameters:
  ///   - width: in pixels, at least 1.
  ///   - height: in pixels, at least 1.
  public func resized(width: Int, height: Int) -> Image {
    precondition(width > 0 && height > 0, "an image has at least one pixel")
    let (lostRows, lostColumns) = (self.height - height, self.width - width)
    if lostRows > 0, 2 * lostColumns < lostRows {
      return resampled(columns: height).resampled(rows: width)
    }
    return resampled(rows: width).resampled(columns: height)
  }

  private func resampled(rows count: Int) -> Image {
    if count == width { return self }
    let channels = format.channels
    let taps = Tap.all(count, of: width)
    var result = [UInt8](repeating: 0, count: height * count * channels)
    for row in 0..<height {
      for (column, tap) in taps.enumerated() {
        for channel in 0..<channels {
          let first = (row * width + tap.first) * channels + channel
          result[(row * count + column) * channels + channel] = tap.sum(samples, first, channels)
        }
      }
    }
    return Image(width: count, height: height, format: format, samples: result)
  }

  private func resampled(columns count: Int) -> Image {
    if count == height { return self }
    let stride = width * format.channels
    var result = [UInt8](repeating: 0, count: count * stride)
    for (row, tap) in Tap.all(count, of: height).enumerated() {
      for column in 0..<stride {
        result[row * stride + column] = tap.sum(samples, tap.first * stride + column, stride)
      }
    }
    return Image(width: width, height: count, format: format, samples: result)
  }
}

/// What a sample of the result is made of along one axis.
private struct Tap {
  /// Bits behind the binary point of the weights.
  private static let precision = 22

  let first: Int
  let weights: [Int32]

  /// The taps of `count` samples along an axis of `extent`.
  static func all(_ count: Int, of extent: Int) -> [Tap] {
    let scale = Double(extent) / Double(count)
    let support = max(scale, 1)
    return (0..<count).map { index in
      let center = (Double(index) + 0.5) * scale
      // Truncated toward zero, as a conversion in C does it.
      let first = max(0, Int(center - support + 0.5))
      let end = min(extent, Int(center + support + 0.5))
      var weights = (first..<end).map { place in
        max(0, 1 - abs((Double(place) - center + 0.5) * (1 / support)))
      }
      let sum = weights.reduce(0, +)
      if sum != 0 { weights = weights.map { $0 / sum } }
      return Tap(
        first: first,
        weights: weights.map { Int32(0.5 + $0 * Double(1 << Self.precision)) })
    }
  }

  /// The weighted mean of samples that lie `step` apart.
  func sum(_ samples: [UInt8], _ first: Int, _ step: Int) -> UInt8 {
    var sum: Int32 = 1 << (Self.precision - 1)
    var place = first
    for weight in weights {
      sum &+= Int32(samples[place]) &* weight
      place += step
    }
    return UInt8(clamping: sum >> Self.precision)
  }
}
