import Testing

@testable import Sardonyx
@testable import SardonyxCommand

@Suite struct RandomValuesTests {
  private func value(
    _ type: ElementType, _ shape: [Dimension]?, seed: UInt64 = 1, extents: [String: Int] = [:]
  ) throws -> Tensor {
    var random = RandomValues(seed: seed)
    let input = ValueDefinition(name: "x", type: .tensor(type), shape: shape)
    return try #require(random.value(for: input, extents: extents).tensor)
  }

  @Test("The same seed gives the same values, another seed others")
  func followsSeed() throws {
    let values = try value(.float, [.known(9)])
    #expect(try value(.float, [.known(9)]).rawBytes == values.rawBytes)
    #expect(try value(.float, [.known(9)], seed: 2).rawBytes != values.rawBytes)
  }

  @Test("Floating-point numbers lie in [-1, 1) and spread over it")
  func staysInRange() throws {
    let numbers = try value(.double, [.known(1000)]).numbers()
    #expect(numbers.allSatisfy { $0 >= -1 && $0 < 1 })
    #expect(numbers.contains { $0 < -0.9 } && numbers.contains { $0 > 0.9 })
  }

  @Test("Integers of 8 bits take their range, others are 0 or 1")
  func drawsIntegers() throws {
    #expect(Set(try value(.int64, [.known(100)]).numbers()) == [0, 1])
    #expect(try value(.int8, [.known(1000)]).numbers().min()! < -100)
    #expect(try value(.uint8, [.known(1000)]).numbers().max()! > 200)
  }

  @Test("Symbols take the extents given; dimensions without a name are called INPUT[AXIS]")
  func replacesSymbols() throws {
    let tensor = try value(
      .float, [.symbol("n"), .known(3), .unknown], extents: ["n": 2, "x[2]": 4])
    #expect(tensor.shape == [2, 3, 4])
  }

  @Test("An extent that is not given is told with the option that gives it")
  func tellsMissingExtent() {
    let error = #expect(throws: ModelError.self) {
      try value(.float, [.symbol("n"), .known(3)])
    }
    #expect(error?.message == "input \"x\" [n,3]: the extent of n is not known")
    #expect(error?.hint == "--dim n=1")
    #expect(throws: ModelError.self) { try value(.float, nil) }
    #expect(throws: ModelError.self) { try value(.complex64, []) }
  }
}
