extension Image {
  /// The rectangle of a size in the middle of the picture, as torchvision's `CenterCrop` takes it.
  /// - Returns: nil where the picture is smaller.
  public func cropped(width: Int, height: Int) -> Image? {
    guard width <= self.width, height <= self.height, width > 0, height > 0 else { return nil }
    // Halves are rounded to even, as Python does.
    let top = Int((Double(self.height - height) / 2).rounded(.toNearestOrEven))
    let left = Int((Double(self.width - width) / 2).rounded(.toNearestOrEven))
    let channels = format.channels
    var result: [UInt8] = []
    result.reserveCapacity(width * height * channels)
    for row in top..<top + height {
      let first = (row * self.width + left) * channels
      result += samples[first..<first + width * channels]
    }
    return Image(width: width, height: height, format: format, samples: result)
  }

  /// The picture made so large that its shorter side has an extent, as torchvision's `Resize` does;
  /// the fraction of the longer side is cut off.
  public func resized(shorterSide extent: Int) -> Image {
    let (short, long) = (min(width, height), max(width, height))
    let other = max(1, Int(Double(extent) * Double(long) / Double(short)))
    return width <= height
      ? resized(width: extent, height: other) : resized(width: other, height: extent)
  }

  /// The whole picture as large as a frame holds it, in the middle of the frame, whose rest is gray
  /// (114), as YOLO's training did it; an odd row or column more stands at the end.
  public func letterboxed(width: Int, height: Int) -> Image {
    let scale = min(Double(width) / Double(self.width), Double(height) / Double(self.height))
    func extent(_ own: Int, _ limit: Int) -> Int {
      min(limit, max(1, Int((Double(own) * scale).rounded(.toNearestOrEven))))
    }
    let inner = resized(width: extent(self.width, width), height: extent(self.height, height))
    let channels = format.channels
    var result = [UInt8](repeating: 114, count: width * height * channels)
    let (top, left) = ((height - inner.height) / 2, (width - inner.width) / 2)
    for row in 0..<inner.height {
      let source = row * inner.width * channels
      let target = ((top + row) * width + left) * channels
      result.replaceSubrange(
        target..<target + inner.width * channels,
        with: inner.samples[source..<source + inner.width * channels])
    }
    return Image(width: width, height: height, format: format, samples: result)
  }

  /// The picture as its file says it is to be looked at.
  /// - Parameter orientation: what ``orientation(of:)`` tells, 1 to 8.
  public func oriented(_ orientation: Int) -> Image {
    guard (2...8).contains(orientation) else { return self }
    let isTransposed = orientation >= 5
    let (rows, columns) = isTransposed ? (width, height) : (height, width)
    let channels = format.channels
    var result: [UInt8] = []
    result.reserveCapacity(samples.count)
    for y in 0..<rows {
      for x in 0..<columns {
        var (row, column) = isTransposed ? (x, y) : (y, x)
        if [3, 4, 6, 7].contains(orientation) { row = height - 1 - row }
        if [2, 3, 7, 8].contains(orientation) { column = width - 1 - column }
        let first = (row * width + column) * channels
        result += samples[first..<first + channels]
      }
    }
    return Image(width: columns, height: rows, format: format, samples: result)
  }

  /// How a JPEG, PNG or WebP file wants its picture turned: EXIF's number, 1 where it says nothing.
  ///
  /// Source: CIPA DC-008, "Exif", tag 274.
  public static func orientation(of bytes: [UInt8]) -> Int {
    guard let block = exifBlock(of: bytes) else { return 1 }
    return orientation(inExif: block) ?? 1
  }

  /// The TIFF structure that holds EXIF's tags.
  private static func exifBlock(of bytes: [UInt8]) -> ArraySlice<UInt8>? {
    let mark = Array("Exif".utf8) + [0, 0]
    func bigEndian(_ place: Int, _ count: Int) -> Int {
      guard place + count <= bytes.count else { return 0 }
      return bytes[place..<place + count].reduce(0) { $0 << 8 | Int($1) }
    }
    switch ImageContainer(bytes) {
    case .jpeg:
      var place = 2
      while place + 4 <= bytes.count, bytes[place] == 0xFF, bytes[place + 1] != 0xDA {
        let end = min(bytes.count, place + 2 + bigEndian(place + 2, 2))
        guard end > place + 4 else { return nil }
        let content = bytes[(place + 4)..<end]
        if bytes[place + 1] == 0xE1, content.starts(with: mark) { return content.dropFirst(6) }
        place = end
      }
    case .png:
      var place = 8
      while place + 8 <= bytes.count {
        let length = bigEndian(place, 4)
        guard length <= bytes.count - place - 8 else { return nil }
        if bytes[(place + 4)..<(place + 8)].elementsEqual("eXIf".utf8) {
          return bytes[(place + 8)..<(place + 8 + length)]
        }
        place += 12 + length
      }
    case .webp:
      var place = 12
      while place + 8 <= bytes.count {
        let length = (0..<4).reduce(0) { $0 | Int(bytes[place + 4 + $1]) << (8 * $1) }
        guard length <= bytes.count - place - 8 else { return nil }
        let content = bytes[(place + 8)..<(place + 8 + length)]
        if bytes[place..<place + 4].elementsEqual("EXIF".utf8) {
          return content.starts(with: mark) ? content.dropFirst(6) : content
        }
        place += 8 + length + length % 2
      }
    default: break
    }
    return nil
  }

  private static func orientation(inExif block: ArraySlice<UInt8>) -> Int? {
    let bytes = Array(block)
    let isLittle = bytes.starts(with: [0x49, 0x49])
    guard bytes.count >= 8, isLittle || bytes.starts(with: [0x4D, 0x4D]) else { return nil }
    func number(_ place: Int, _ count: Int) -> Int? {
      guard place >= 0, place <= bytes.count - count else { return nil }
      return (0..<count).reduce(0) {
        $0 | Int(bytes[place + $1]) << (8 * (isLittle ? $1 : count - 1 - $1))
      }
    }
    guard let directory = number(4, 4), let count = number(directory, 2) else { return nil }
    for index in 0..<count {
      let entry = directory + 2 + 12 * index
      guard let tag = number(entry, 2) else { return nil }
      if tag == 0x0112 { return number(entry + 8, 2).flatMap { (1...8).contains($0) ? $0 : nil } }
    }
    return nil
  }
}
