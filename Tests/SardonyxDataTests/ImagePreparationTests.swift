#if Images
  import Testing

  @testable import Sardonyx
  @testable import SardonyxData

  @Suite struct ImagePreparationTests {
    /// 2 × 1 pixels: (255, 0, 51) and (0, 102, 255).
    private let image = Array("P6 2 1 255\n".utf8) + [255, 0, 51, 0, 102, 255]

    private func input(
      _ type: ElementType = .float, _ shape: [Dimension]? = nil
    ) -> ValueDefinition {
      ValueDefinition(name: "x", type: .tensor(type), shape: shape)
    }

    private func tensor(
      _ input: ValueDefinition? = nil, _ change: (inout ImagePreparation) -> Void = { _ in }
    ) throws(ModelError) -> Tensor {
      var preparation = ImagePreparation()
      change(&preparation)
      return try preparation.tensor(image, for: input ?? self.input())
    }

    private func fault(
      _ input: ValueDefinition? = nil, _ change: (inout ImagePreparation) -> Void
    ) -> ModelError? {
      do throws(ModelError) { _ = try tensor(input, change) } catch { return error }
      return nil
    }

    @Test("By default pixels become numbers in [0, 1], channel by channel")
    func scales() throws {
      let tensor = try tensor()
      #expect(tensor.shape == [1, 3, 1, 2])
      #expect(try tensor.elements(of: Float.self) == [1, 0, 0, 0.4, 0.2, 1])
      let bytes = try self.tensor { $0.range = .bytes }
      #expect(try bytes.elements(of: Float.self) == [255, 0, 0, 102, 51, 255])
    }

    @Test("nhwc and bgr order axes and channels")
    func orders() throws {
      let tensor = try tensor {
        $0.layout = .nhwc
        $0.channels = .bgr
      }
      #expect(tensor.shape == [1, 1, 2, 3])
      #expect(try tensor.elements(of: Float.self) == [0.2, 0, 1, 1, 0.4, 0])
    }

    @Test("Mean and deviation apply per channel, in the scale of the numbers")
    func normalizes() throws {
      let tensor = try tensor {
        $0.mean = [0.5, 0.2, 0]
        $0.deviation = [0.5]
      }
      #expect(try tensor.elements(of: Float.self) == [1, -1, -0.4, 0.4, 0.4, 2])
      let bytes = try self.tensor {
        $0.range = .bytes
        $0.mean = [55, 2, 1]
      }
      #expect(try bytes.elements(of: Float.self) == [200, -55, -2, 100, 50, 254])
    }

    @Test("An input with one channel gets gray, one of rank 3 no batch axis")
    func fitsInput() throws {
      let gray = input(.float, [.known(1), .symbol("h"), .unknown])
      #expect(try tensor(gray).shape == [1, 1, 2])
    }

    @Test("uint8 gets the bytes, float16 the nearest numbers")
    func fitsType() throws {
      let bytes = try tensor(input(.uint8))
      #expect(try bytes.elements(of: UInt8.self) == [255, 0, 0, 102, 51, 255])
      let halves = try tensor(input(.float16))
      #expect(halves.type == .float16)
      #expect(try halves.numbers()[4] == 0.199951171875)
    }

    @Test("Sizes are stretched, kept or framed, and the middle is cropped")
    func sizes() throws {
      let size = ImagePreparation.Size(width: 4, height: 2)
      let stretched = try tensor {
        $0.sizing = .stretched(size)
        $0.channels = .gray
      }
      #expect(stretched.shape == [1, 1, 2, 4])
      let framed = try tensor { $0.sizing = .letterboxed(.init(width: 2, height: 3)) }
      #expect(framed.shape == [1, 3, 3, 2])
      #expect(try framed.elements(of: Float.self).prefix(2) == [114.0 / 255, 114.0 / 255])
      let cropped = try tensor {
        $0.sizing = .shorterSide(4)
        $0.crop = .init(width: 5, height: 3)
      }
      #expect(cropped.shape == [1, 3, 3, 5])
      let crop = fault { $0.crop = .init(width: 5, height: 3) }
      #expect(crop?.message == "crop: expected a picture of at least 5x3, got 2x1")
    }

    @Test("A size that the input does not have is told with the option that helps")
    func tellsSize() throws {
      let fixed = input(.float, [.known(1), .known(3), .known(8), .known(16)])
      let error = fault(fixed) { _ in }
      #expect(error?.message == "size of the image for input \"x\": expected 16x8, got 2x1")
      #expect(error?.hint == "--resize 16x8")
    }

    @Test("Numbers that do not suit the input are told")
    func tellsMismatch() throws {
      #expect(
        fault(input(.float, [.known(4)])) { _ in }?.message
          == "an image as input \"x\": expected an input of rank 3 or 4, got 1")
      #expect(
        fault { $0.mean = [0.1, 0.2] }?.message == "--mean: expected 1 or 3 numbers, got 2")
      let scale = fault { $0.mean = [123.675, 116.28, 103.53] }
      #expect(
        scale?.message == "--mean and --std: expected numbers for pixels in [0, 1], got 123.675")
      #expect(
        scale?.hint
          == "for a model that takes 0 to 255 add --range 255; else divide them by 255")
      #expect(
        fault { $0.deviation = [0] }?.message == "--std: expected numbers other than 0, got 0.0")
      #expect(
        fault(input(.uint8)) { $0.mean = [0.5] }?.message
          == "mean, deviation and range: input \"x\" is of uint8 and gets the bytes as they are")
    }
  }
#endif
