import Testing

@testable import Sardonyx

@Suite struct SmallFloatTests {
  static let formats: [(format: SmallFloat, bits: Int, largest: Double)] = [
    (.float16, 16, 65504), (.bfloat16, 16, 0x1.FEp127), (.float8e4m3fn, 8, 448),
    (.float8e4m3fnuz, 8, 240), (.float8e5m2, 8, 57344), (.float8e5m2fnuz, 8, 57344),
    (.float4e2m1, 4, 6), (.float6e2m3, 6, 7.5), (.float6e3m2, 6, 28),
  ]

  @Test(arguments: 0..<9) func everyBitPatternSurvivesDecodingAndEncoding(_ index: Int) {
    let (format, bits, _) = Self.formats[index]
    for pattern in 0..<(1 << bits) {
      let value = format.decode(UInt16(pattern))
      if value.isNaN {
        #expect(format.decode(format.encode(value, saturate: false)).isNaN)
      } else {
        #expect(format.encode(value, saturate: false) == UInt16(pattern))
      }
    }
  }

  @Test(arguments: 0..<9) func theLargestValueIsThatOfTheSpecification(_ index: Int) {
    let (format, _, largest) = Self.formats[index]
    #expect(format.decode(format.encode(1e300, saturate: true)) == largest)
    #expect(format.decode(format.encode(-1e300, saturate: true)) == -largest)
    #expect(format.decode(format.encode(largest, saturate: false)) == largest)
  }

  @Test func roundingIsToNearestWithTiesToEven() {
    #expect(
      SmallFloat.float8e4m3fn.decode(SmallFloat.float8e4m3fn.encode(17, saturate: true)) == 16)
    #expect(
      SmallFloat.float8e4m3fn.decode(SmallFloat.float8e4m3fn.encode(19, saturate: true)) == 20)
    #expect(SmallFloat.bfloat16.encode(1 + 0x1p-8, saturate: false) == 0x3F80)
    #expect(SmallFloat.bfloat16.encode(1 + 0x1.8p-7, saturate: false) == 0x3F82)
  }

  @Test func float16AgreesWithTheProcessor() {
    #if !(os(macOS) && arch(x86_64))
      for step in 0..<100_000 {
        let value = Float(bitPattern: UInt32(step) &* 2_654_435_761)
        guard !value.isNaN else { continue }
        #expect(
          SmallFloat.float16.encode(Double(value), saturate: false) == Float16(value).bitPattern)
      }
    #endif
  }

  @Test func overflowIsInfinityOrNotANumberUnlessSaturated() {
    #expect(
      SmallFloat.float8e5m2.decode(SmallFloat.float8e5m2.encode(1e9, saturate: false)) == .infinity)
    #expect(
      SmallFloat.float8e4m3fn.decode(SmallFloat.float8e4m3fn.encode(1e9, saturate: false)).isNaN)
    #expect(SmallFloat.float8e4m3fnuz.encode(-0.0, saturate: false) == 0)
  }
}
