#if Images
  import ArgumentParser
  import Testing

  @testable import Sardonyx
  @testable import SardonyxCommand

  @Suite struct PictureTests {
    /// 2 × 1 pixels: (255, 0, 51) and (0, 102, 255).
    private let image = Array("P6 2 1 255\n".utf8) + [255, 0, 51, 0, 102, 255]

    private func input(
      _ type: ElementType = .float, _ shape: [Dimension]? = nil
    ) -> ValueDefinition {
      ValueDefinition(name: "x", type: .tensor(type), shape: shape)
    }

    private func options(_ arguments: String...) throws -> ImageOptions {
      try ImageOptions.parse(arguments)
    }

    @Test("By default pixels become numbers in [0, 1], channel by channel")
    func scales() throws {
      let tensor = try options().tensor(image, for: input())
      #expect(tensor.shape == [1, 3, 1, 2])
      #expect(try tensor.elements(of: Float.self) == [1, 0, 0, 0.4, 0.2, 1])
    }

    @Test("nhwc and bgr order axes and channels")
    func orders() throws {
      let tensor = try options("--layout", "nhwc", "--channels", "bgr").tensor(image, for: input())
      #expect(tensor.shape == [1, 1, 2, 3])
      #expect(try tensor.elements(of: Float.self) == [0.2, 0, 1, 1, 0.4, 0])
    }

    @Test("Mean and deviation apply per channel, in the scale of [0, 1]")
    func normalizes() throws {
      let tensor = try options("--mean", "0.5,0.2,0", "--std", "0.5").tensor(image, for: input())
      #expect(try tensor.elements(of: Float.self) == [1, -1, -0.4, 0.4, 0.4, 2])
    }

    @Test("An input with one channel gets gray, one of rank 3 no batch axis")
    func fitsInput() throws {
      let gray = input(.float, [.known(1), .symbol("h"), .unknown])
      #expect(try options().tensor(image, for: gray).shape == [1, 1, 2])
    }

    @Test("uint8 gets the bytes, float16 the nearest numbers")
    func fitsType() throws {
      let bytes = try options().tensor(image, for: input(.uint8))
      #expect(try bytes.elements(of: UInt8.self) == [255, 0, 0, 102, 51, 255])
      let halves = try options().tensor(image, for: input(.float16))
      #expect(halves.type == .float16)
      #expect(try halves.numbers()[4] == 0.199951171875)
    }

    @Test("Resizing interpolates between the centres of pixels")
    func resizes() throws {
      let tensor = try options("--resize", "4x2", "--channels", "gray").tensor(
        Array("P5 2 1 255\n".utf8) + [0, 255], for: input())
      #expect(tensor.shape == [1, 1, 2, 4])
      #expect(try tensor.elements(of: Float.self) == [0, 0.25, 0.75, 1, 0, 0.25, 0.75, 1])
    }

    @Test("A size that the input does not have is told with the option that helps")
    func tellsSize() throws {
      let fixed = input(.float, [.known(1), .known(3), .known(8), .known(16)])
      let error = #expect(throws: ModelError.self) { try options().tensor(image, for: fixed) }
      #expect(
        error?.message == "size of the image for input \"x\": expected 16x8, got 2x1")
      #expect(error?.hint == "--resize 16x8")
    }

    @Test("Inputs and options that do not fit images are told")
    func tellsMismatch() throws {
      let flat = input(.float, [.known(4)])
      let rank = #expect(throws: ModelError.self) { try options().tensor(image, for: flat) }
      #expect(
        rank?.message
          == "an image as input \"x\": expected an input of rank 3 or 4, got 1")
      let count = #expect(throws: ModelError.self) {
        try options("--mean", "1,2").tensor(image, for: input())
      }
      #expect(count?.message == "--mean: expected 1 or 3 numbers, got 2")
    }
  }
#endif
