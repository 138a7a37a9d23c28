import Testing

@testable import Sardonyx

@Suite struct PoolingTests {
  static let square = counting(1, 1, 3, 3)

  @Test func theLargestOfEachWindowAndItsPlace() throws {
    let attributes: [String: Attribute] = ["kernel_shape": .ints([2, 2])]
    let both = try run("MaxPool", [.tensor(Self.square)], attributes, outputs: 2)
    #expect(both[0]!.tensor!.floats == [4, 5, 7, 8])
    #expect(both[1]!.tensor!.array(of: Int64.self) == [4, 5, 7, 8])
    let columnMajor = try run(
      "MaxPool", [.tensor(Self.square)], attributes.merging(["storage_order": .int(1)]) { $1 },
      outputs: 2)
    #expect(columnMajor[1]!.tensor!.array(of: Int64.self) == [4, 7, 5, 8])
  }

  @Test func ofEqualNumbersTheFirstCounts() throws {
    let x = Tensor([Float(2), 2, 1], [1, 1, 3])
    let both = try run("MaxPool", [.tensor(x)], ["kernel_shape": .ints([2])], outputs: 2)
    #expect(both[1]!.tensor!.array(of: Int64.self) == [0, 1])
  }

  @Test func notANumberIsLargerThanAll() throws {
    let x = Tensor([Float(2), .nan, 1, 0], [1, 1, 4])
    let pooled = try run("MaxPool", [x], ["kernel_shape": .ints([2])]).floats
    #expect(pooled[0].isNaN && pooled[1].isNaN && pooled[2] == 1)
    let both = try run("MaxPool", [.tensor(x)], ["kernel_shape": .ints([2])], outputs: 2)
    #expect(both[1]!.tensor!.array(of: Int64.self) == [1, 1, 2])
  }

  @Test func integersHaveMaximaToo() throws {
    let x = Tensor([Int8(-3), -5, -4], [1, 1, 3])
    let y = try run("MaxPool", [x], ["kernel_shape": .ints([3]), "pads": .ints([2, 0])])
    #expect(y.array(of: Int8.self) == [-3, -3, -3])
  }

  @Test func aLastPartialWindowCountsIfItBeginsInside() throws {
    let x = counting(1, 1, 4)
    let ceiling: [String: Attribute] = [
      "kernel_shape": .ints([2]), "strides": .ints([3]), "ceil_mode": .int(1),
    ]
    #expect(try run("MaxPool", [x], ceiling).floats == [1, 3])
    #expect(try run("AveragePool", [x], ceiling).floats == [0.5, 3])
    let far = ceiling.merging(["strides": .ints([5])]) { $1 }
    #expect(try run("MaxPool", [x], far).floats == [1])
  }

  @Test func paddingCountsWhereItIsToldTo() throws {
    let x = Tensor([Float(6), 6], [1, 1, 2])
    let attributes: [String: Attribute] = ["kernel_shape": .ints([3]), "pads": .ints([1, 1])]
    #expect(try run("AveragePool", [x], attributes).floats == [6, 6])
    let counted = attributes.merging(["count_include_pad": .int(1)]) { $1 }
    #expect(try run("AveragePool", [x], counted).floats == [4, 4])
    #expect(try run("AveragePool", opset: 1, [x], attributes).floats == [6, 6])
    // Beyond the padding nothing counts.
    let ceiling = counted.merging(["strides": .ints([2]), "ceil_mode": .int(1)]) { $1 }
    let y = try run("AveragePool", [Tensor([Float(6), 6, 6], [1, 1, 3])], ceiling)
    #expect(y.floats == [4, 4])
    let wide = try run(
      "AveragePool", [Tensor([Float(6), 6, 6, 6], [1, 1, 4])], ceiling)
    #expect(wide.floats == [4, 6, 3])
  }

  struct Case: Sendable, CustomTestStringConvertible {
    var x: [Int]
    var attributes: [String: Attribute]
    var testDescription: String { "\(x) \(attributes.keys.sorted())" }
  }

  static let cases = [
    Case(x: [2, 3, 9], attributes: ["kernel_shape": .ints([3]), "pads": .ints([1, 2])]),
    Case(
      x: [1, 2, 8, 7],
      attributes: [
        "kernel_shape": .ints([3, 2]), "strides": .ints([2, 3]), "ceil_mode": .int(1),
        "pads": .ints([1, 0, 1, 1]),
      ]),
    Case(
      x: [1, 2, 9, 9],
      attributes: ["kernel_shape": .ints([2, 3]), "dilations": .ints([3, 2])]),
    Case(
      x: [2, 1, 5, 6, 7],
      attributes: ["kernel_shape": .ints([2, 3, 2]), "auto_pad": .string("SAME_LOWER")]),
    Case(x: [0, 3, 5, 5], attributes: ["kernel_shape": .ints([2, 2])]),
  ]

  @Test(arguments: cases, ["MaxPool", "AveragePool"])
  func singlePrecisionAgreesWithDouble(_ one: Case, name: String) throws {
    var numbers = Numbers(seed: 4)
    let difference = try differenceOfFastAndPlain(name, [numbers.tensor(one.x)], one.attributes)
    #expect(difference < 1e-6)
  }

  @Test(arguments: cases) func averagesThatCountPaddingAgreeToo(_ one: Case) throws {
    var numbers = Numbers(seed: 4)
    let difference = try differenceOfFastAndPlain(
      "AveragePool", [numbers.tensor(one.x)],
      one.attributes.merging(["count_include_pad": .int(1)]) { $1 })
    #expect(difference < 1e-6)
  }

  @Test func wholePlanesBecomeOneNumber() throws {
    let x = Tensor([Float(3), -4, 0, 12], [1, 2, 2])
    #expect(try run("GlobalAveragePool", [x]).floats == [-0.5, 6])
    #expect(try run("GlobalMaxPool", [x]).floats == [3, 12])
    #expect(try run("GlobalLpPool", [x]).floats == [5, 12])
    #expect(try run("GlobalLpPool", opset: 1, [x], ["p": .float(1)]).floats == [7, 12])
    #expect(try run("GlobalAveragePool", [counting(2, 1, 3, 2)]).shape == [2, 1, 1, 1])
    #expect(try run("GlobalMaxPool", [Tensor(zeros: .float, [0, 2, 3])]).shape == [0, 2, 1])
  }

  @Test func normsOfWindows() throws {
    let x = Tensor([Float(3), -4, 0], [1, 1, 3])
    #expect(try run("LpPool", [x], ["kernel_shape": .ints([2])]).floats == [5, 4])
    let sums = try run("LpPool", [x], ["kernel_shape": .ints([2]), "p": .int(1)])
    #expect(sums.floats == [7, 4])
    let first = try run(
      "LpPool", opset: 1, [x], ["kernel_shape": .ints([2]), "p": .float(1)])
    #expect(first.floats == [7, 4])
  }

  @Test func maximaGoBackToTheirPlaces() throws {
    let x = Tensor([Float(7), 9], [1, 1, 2])
    let places = Tensor([Int64(1), 2], [1, 1, 2])
    let attributes: [String: Attribute] = ["kernel_shape": .ints([2]), "strides": .ints([2])]
    #expect(try run("MaxUnpool", [x, places], attributes).floats == [0, 7, 9, 0])
    let larger = try run("MaxUnpool", [x, places, Tensor([Int64(1), 1, 5])], attributes)
    #expect(larger.floats == [0, 7, 9, 0, 0])
    #expect(throws: ModelError(.mismatch, "indices: expected numbers from 0 to 3, got 4")) {
      try run("MaxUnpool", [x, Tensor([Int64(1), 4], [1, 1, 2])], attributes)
    }
  }

  @Test("Maxima go back to a shape of which the pooling left something over")
  func indicesInTheShapeOfTheOutput() throws {
    for (extent, isCeiling) in [(5, 0), (5, 1), (45, 0), (6, 0)] {
      let attributes: [String: Attribute] = [
        "kernel_shape": .ints([2, 2]), "strides": .ints([2, 2]),
      ]
      for seed in 1...20 {
        let x = randomTensor([1, 2, extent, extent], seed: seed)
        let pooled = try run(
          "MaxPool", [.tensor(x)], attributes.merging(["ceil_mode": .int(isCeiling)]) { $1 },
          outputs: 2
        ).map { $0!.tensor! }
        let y = try run(
          "MaxUnpool", [pooled[0], pooled[1], ints(1, 2, extent, extent)], attributes)
        var expected = [Float](repeating: 0, count: x.elementCount)
        for (value, index) in zip(pooled[0].floats, pooled[1].array(of: Int64.self)) {
          expected[Int(index)] = value
        }
        #expect(y.floats == expected)
      }
    }
    let error = #expect(throws: ModelError.self) {
      try run(
        "MaxUnpool", [counting(1, 1, 2), ints(0, 1).reshaped([1, 1, 2]), ints(1, 2, 5)],
        ["kernel_shape": .ints([2])])
    }
    #expect(error?.message == "output_shape: expected 3 numbers that begin with 1,1, got [1,2,5]")
  }

  @Test func wrongInputsAreToldApart() throws {
    let x = Tensor(zeros: .float, [1, 1, 3])
    #expect(throws: ModelError(.mismatch, "rank of X: expected at least 3, got 2")) {
      try run("MaxPool", [Tensor(zeros: .float, [1, 3])], ["kernel_shape": .ints([1])])
    }
    #expect(
      throws: ModelError(
        .mismatch,
        "spatial axis 0 with its padding: expected at least 5, the extent of the kernel, got 3")
    ) { try run("AveragePool", [x], ["kernel_shape": .ints([5])]) }
    #expect(
      throws: ModelError(
        .invalid, "attribute kernel_shape: expected 1 numbers from 1 on, got [1,2]")
    ) { try run("MaxPool", [x], ["kernel_shape": .ints([1, 2])]) }
  }
}

@Suite struct RegionPoolingTests {
  static let square = counting(1, 1, 4, 4)

  @Test func theLargestOfEachCell() throws {
    let regions = Tensor([Float(0), 0, 0, 3, 3, 0, 1, 1, 1, 1], [2, 5])
    let y = try run("MaxRoiPool", [Self.square, regions], ["pooled_shape": .ints([2, 2])])
    #expect(y.shape == [2, 1, 2, 2])
    #expect(y.floats == [5, 7, 13, 15, 5, 5, 5, 5])
    #expect(throws: ModelError(.mismatch, "image of a region: expected a number below 1, got 2")) {
      try run(
        "MaxRoiPool", [Self.square, Tensor([Float(2), 0, 0, 3, 3], [1, 5])],
        ["pooled_shape": .ints([1, 1])])
    }
  }

  @Test func regionsAreScaledInSinglePrecision() throws {
    // 5 · 0.7 is 3.5 there, which rounds to 4; in double precision it is 3.4999999.
    let y = try run(
      "MaxRoiPool", [counting(1, 1, 8, 8), Tensor([Float(0), 0, 0, 5, 5], [1, 5])],
      ["pooled_shape": .ints([1, 1]), "spatial_scale": .float(0.7)])
    #expect(y.floats == [36])
    // 60 · 0.1 is 6 there, of which each of 3 bins takes 2 points; in double precision a bit more.
    let image = randomTensor([1, 1, 8, 8])
    let region = Tensor([Float(0), 0, 60, 60], [1, 4])
    func align(_ ratio: Int) throws -> [Float] {
      try run(
        "RoiAlign", [image, region, Tensor([Int64(0)])],
        [
          "sampling_ratio": .int(ratio), "spatial_scale": .float(0.1), "output_height": .int(3),
          "output_width": .int(3),
        ]
      ).floats
    }
    #expect(try align(0) == align(2))
    #expect(try align(0) != align(3))
  }

  @Test func meansOfInterpolatedPoints() throws {
    let (region, image) = (Tensor([Float(1), 1, 3, 3], [1, 4]), Tensor([Int64(0)]))
    func align(opset: Int, _ attributes: [String: Attribute] = [:]) throws -> [Float] {
      try run("RoiAlign", opset: opset, [Self.square, region, image], attributes).floats
    }
    // The centre of the region is (2, 2), or (1.5, 1.5) where pixels have their middle at ½.
    let one: [String: Attribute] = ["sampling_ratio": .int(1)]
    #expect(try align(opset: 10, one) == [10])
    #expect(try align(opset: 16, one) == [7.5])
    let two = one.merging(["output_width": .int(2)]) { $1 }
    #expect(try align(opset: 16, two) == [7, 8])
    let old = two.merging(["coordinate_transformation_mode": .string("output_half_pixel")]) { $1 }
    #expect(try align(opset: 22, old) == [9.5, 10.5])
    let limit = ModelError(.mismatch, "points of a bin: expected at most 1024 a side, got 1025")
    #expect(throws: limit) { try align(opset: 22, ["sampling_ratio": .int(1025)]) }
  }
}
