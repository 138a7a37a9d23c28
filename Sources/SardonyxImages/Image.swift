/// A picture decoded to 8 bits a sample: rows from the top, channels interleaved (HWC).
public struct Image: Sendable, Equatable {
  /// The order of the channels, spelled as ONNX's ImageDecoder spells it.
  public enum PixelFormat: String, Sendable, CaseIterable {
    case rgb = "RGB"
    case bgr = "BGR"
    case grayscale = "Grayscale"

    /// Samples of a pixel.
    public var channels: Int { self == .grayscale ? 1 : 3 }
  }

  /// Pixels of a row.
  public let width: Int
  /// Rows.
  public let height: Int
  /// The order of the channels in ``samples``.
  public let format: PixelFormat
  /// height × width × channels.
  public let samples: [UInt8]

  /// More pixels than this are refused unless the caller allows them: a file of some kilobytes can
  /// claim any size.
  public static let defaultPixelLimit = 1 << 27

  /// Decodes a PNG, JPEG, TIFF, WebP, JPEG 2000, BMP or PNM file.
  ///
  /// The result is that of Pillow, which made ONNX's expected outputs: gamma, colour profile and
  /// orientation of photographs stay unapplied, alpha is dropped, palettes are resolved, 16 bits
  /// lose the lower 8, and gray is `(19595 R + 38470 G + 7471 B + 32768) / 65536`.
  /// - Throws: ``ImageError`` with the reason.
  public init(
    decoding bytes: [UInt8], as format: PixelFormat, pixelLimit: Int = defaultPixelLimit
  ) throws(ImageError) {
    guard let container = ImageContainer(bytes) else {
      throw ImageError("not an image of a known format")
    }
    let raster = try container.decode(bytes, pixelLimit: pixelLimit)
    self.init(raster, as: format)
  }

  /// An image of samples that fit its size.
  init(width: Int, height: Int, format: PixelFormat, samples: [UInt8]) {
    (self.width, self.height, self.format) = (width, height, format)
    self.samples = samples
  }

  init(_ raster: RGBRaster, as format: PixelFormat) {
    width = raster.width
    height = raster.height
    self.format = format
    let rgb = raster.samples
    switch format {
    case .rgb: samples = rgb
    case .bgr:
      var swapped = rgb
      for first in stride(from: 0, to: rgb.count, by: 3) { swapped.swapAt(first, first + 2) }
      samples = swapped
    case .grayscale:
      samples = stride(from: 0, to: rgb.count, by: 3).map { first in
        let red = 19595 * UInt32(rgb[first])
        let green = 38470 * UInt32(rgb[first + 1])
        let blue = 7471 * UInt32(rgb[first + 2])
        return UInt8((red + green + blue + 32768) >> 16)
      }
    }
  }
}

/// Why a file is not an image that can be decoded.
public struct ImageError: Error, Equatable, CustomStringConvertible {
  /// The reason, with the format of the file.
  public let description: String
  init(_ description: String) { self.description = description }
}

/// What every decoder makes: 8-bit RGB, rows from the top.
struct RGBRaster {
  var width: Int
  var height: Int
  var samples: [UInt8]

  /// A black image.
  /// - Throws: ``ImageError`` where it is empty or has more pixels than allowed.
  init(width: Int, height: Int, pixelLimit: Int) throws(ImageError) {
    guard width > 0, height > 0 else { throw ImageError("its width or height is out of bounds") }
    guard width <= pixelLimit / height else {
      throw ImageError("\(width) × \(height) pixels are over the limit of \(pixelLimit)")
    }
    self.width = width
    self.height = height
    samples = [UInt8](repeating: 0, count: width * height * 3)
  }

  /// An image of samples that fit its size.
  init(width: Int, height: Int, samples: [UInt8]) {
    self.width = width
    self.height = height
    self.samples = samples
  }

  mutating func set(_ x: Int, _ y: Int, _ red: UInt8, _ green: UInt8, _ blue: UInt8) {
    let first = (y * width + x) * 3
    samples[first] = red
    samples[first + 1] = green
    samples[first + 2] = blue
  }
}
