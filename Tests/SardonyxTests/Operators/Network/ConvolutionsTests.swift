import Testing

@testable import Sardonyx

@Suite struct ConvolutionsTests {
  static let square = Tensor([Float(1), 2, 3, 4, 5, 6, 7, 8, 9], [1, 1, 3, 3])

  @Test func windowsAreWeightedAndSummed() throws {
    let w = Tensor([Float(1), 10, 100, 1000], [1, 1, 2, 2])
    #expect(try run("Conv", [Self.square, w]).floats == [5421, 6532, 8754, 9865])
    let bias = Tensor([Float(1)])
    #expect(try run("Conv", [Self.square, w, bias]).floats == [5422, 6533, 8755, 9866])
    #expect(try run("Conv", [Self.square, w, nil]).floats == [5421, 6532, 8754, 9865])
  }

  @Test func anOddPaddingIsLargerWhereAutoPadSays() throws {
    let x = Tensor([Float(1), 2, 3], [1, 1, 3])
    let w = Tensor([Float(1), 1], [1, 1, 2])
    let upper = try run("Conv", [x, w], ["auto_pad": .string("SAME_UPPER")])
    #expect(upper.floats == [3, 5, 3])
    let lower = try run("Conv", [x, w], ["auto_pad": .string("SAME_LOWER")])
    #expect(lower.floats == [1, 3, 5])
    let valid = try run("Conv", [x, w], ["auto_pad": .string("VALID"), "pads": .ints([1, 1])])
    #expect(valid.floats == [3, 5])
  }

  @Test func groupsSeeTheirOwnChannels() throws {
    let x = Tensor([Float(1), 2, 3, 4], [1, 4, 1])
    let w = Tensor([Float(1), 10, 100, 1000], [2, 2, 1])
    #expect(try run("Conv", [x, w], ["group": .int(2)]).floats == [21, 4300])
    let depthwise = Tensor([Float(1), 10, 100, 1000], [4, 1, 1])
    #expect(try run("Conv", [x, depthwise], ["group": .int(4)]).floats == [1, 20, 300, 4000])
  }

  struct Case: Sendable, CustomTestStringConvertible {
    var x: [Int]
    var w: [Int]
    var group = 1
    var strides: [Int]?
    var dilations: [Int]?
    var pads: [Int]?

    var testDescription: String { "\(x) \(w) group \(group)" }

    var attributes: [String: Attribute] {
      var attributes: [String: Attribute] = ["group": .int(group)]
      if let strides { attributes["strides"] = .ints(strides) }
      if let dilations { attributes["dilations"] = .ints(dilations) }
      if let pads { attributes["pads"] = .ints(pads) }
      return attributes
    }
  }

  static let cases = [
    Case(x: [2, 3, 9], w: [4, 3, 3], strides: [2], pads: [1, 2]),
    Case(x: [1, 4, 7, 6], w: [6, 4, 1, 1]),
    Case(x: [1, 4, 7, 6], w: [6, 2, 3, 2], group: 2, strides: [2, 1], pads: [1, 0, 2, 1]),
    Case(x: [2, 8, 9, 9], w: [8, 1, 3, 3], group: 8, pads: [1, 1, 1, 1]),
    Case(x: [1, 2, 9, 9], w: [6, 1, 3, 3], group: 2, strides: [2, 2], dilations: [2, 1]),
    Case(x: [1, 3, 12, 10], w: [5, 3, 3, 3], dilations: [3, 2], pads: [3, 2, 0, 4]),
    Case(x: [1, 2, 5, 6, 7], w: [3, 2, 2, 3, 2], strides: [1, 2, 3], pads: [1, 1, 0, 0, 1, 2]),
    Case(x: [1, 2, 3, 3, 3, 3], w: [2, 2, 2, 2, 2, 2]),
    Case(x: [0, 3, 5, 5], w: [2, 3, 3, 3]),
  ]

  @Test(arguments: cases, [false, true])
  func singlePrecisionAgreesWithDouble(_ one: Case, constants: Bool) throws {
    var numbers = Numbers(seed: 7)
    let inputs = [numbers.tensor(one.x), numbers.tensor(one.w), numbers.tensor(one.w[0])]
    let difference = try differenceOfFastAndPlain(
      "Conv", inputs, one.attributes, constants: constants)
    #expect(difference < 1e-5)
  }

  @Test(arguments: cases)
  func aTransposedConvolutionIsTheTransposeOfOne(_ one: Case) throws {
    var numbers = Numbers(seed: 3)
    let x = Tensor(numbers.array(one.x.reduce(1, *)).map { Double($0) }, one.x)
    let w = Tensor(numbers.array(one.w.reduce(1, *)).map { Double($0) }, one.w)
    let y = try run("Conv", [x, w], one.attributes)
    let z = Tensor(numbers.array(y.elementCount).map { Double($0) }, y.shape)
    var attributes = one.attributes
    let least = try run("ConvTranspose", [z, w], attributes).shape
    attributes["output_padding"] = .ints(zip(one.x, least).dropFirst(2).map { $0 - $1 })
    let back = try run("ConvTranspose", [z, w], attributes)
    #expect(back.shape == [z.shape[0]] + one.x.dropFirst())
    func product(_ left: Tensor, _ right: Tensor) -> Double {
      zip(left.array(of: Double.self), right.array(of: Double.self)).reduce(0) { $0 + $1.0 * $1.1 }
    }
    #expect(abs(product(y, z) - product(x, back)) < 1e-10)
  }

  @Test(arguments: cases, [false, true])
  func transposedSinglePrecisionAgreesWithDouble(_ one: Case, constants: Bool) throws {
    var numbers = Numbers(seed: 9)
    let x = [one.x[0], one.w[0]] + one.x.dropFirst(2)
    let inputs = [numbers.tensor(x), numbers.tensor(one.w), numbers.tensor(one.w[1] * one.group)]
    let difference = try differenceOfFastAndPlain(
      "ConvTranspose", inputs, one.attributes, constants: constants)
    #expect(difference < 1e-5)
  }

  @Test func transposedExtentsFollowTheAttributes() throws {
    let x = counting(1, 1, 3)
    let w = Tensor([Float(1), 1, 1], [1, 1, 3])
    func result(_ attributes: [String: Attribute]) throws -> [Float] {
      try run("ConvTranspose", [x, w], attributes.merging(["strides": .ints([2])]) { $1 }).floats
    }
    #expect(try result([:]) == [0, 0, 1, 1, 3, 2, 2])
    #expect(try result(["pads": .ints([1, 1])]) == [0, 1, 1, 3, 2])
    #expect(try result(["output_padding": .ints([1])]) == [0, 0, 1, 1, 3, 2, 2, 0])
    #expect(try result(["output_shape": .ints([6])]) == [0, 1, 1, 3, 2, 2])
    #expect(
      try result(["output_shape": .ints([6]), "auto_pad": .string("SAME_UPPER")])
        == [0, 0, 1, 1, 3, 2])
    #expect(try result(["auto_pad": .string("SAME_LOWER")]) == [0, 1, 1, 3, 2, 2])
  }

  @Test func halvesAreComputedInSinglePrecision() throws {
    let x = Tensor(converting: [Float(1), 2049.0 / 2048], to: .float16, [1, 2, 1])
    let w = Tensor(converting: [Float(1), 1], to: .float16, [1, 2, 1])
    let y = try run("Conv", [x, w])
    #expect(y.type == .float16 && y.converted(to: Float.self) == [2])
  }

  @Test func aFusedActivationAndResidualComeLast() throws {
    var reader = NodeReader(
      NodeDefinition(operatorName: "Conv", inputs: ["x", "w", "", "r"], outputs: ["y"]),
      operatorSet: 22, version: 22)
    var conv = try Conv(&reader)
    conv.activation = .relu
    conv.addsResidual = true
    for type in [ElementType.float, .double] {
      func tensor(_ numbers: [Float], _ shape: Shape) -> Value {
        .tensor(Tensor(converting: numbers, to: type, shape))
      }
      let y = try conv.evaluate(
        Inputs(
          [
            tensor([1, 2], [1, 1, 2]), tensor([-3], [1, 1, 1]), nil, tensor([4, 4], [1, 1, 2]),
          ],
          .trusting()),
        wanted: [true], context: RunContext())
      #expect(y[0]!.tensor!.converted(to: Float.self) == [1, 0])
    }
  }

  @Test func emptyTensors() throws {
    let w = Tensor(zeros: .float, [2, 3, 1])
    #expect(try run("Conv", [Tensor(zeros: .float, [0, 3, 4]), w]).shape == [0, 2, 4])
    #expect(try run("Conv", [Tensor(zeros: .float, [1, 3, 0]), w]).shape == [1, 2, 0])
    let none = try run(
      "Conv", [Tensor(zeros: .float, [1, 0, 4]), Tensor(zeros: .float, [2, 0, 1])])
    #expect(none.floats == [Float](repeating: 0, count: 8))
  }

  @Test func wrongShapesAreToldApart() throws {
    let x = Tensor(zeros: .float, [1, 4, 5, 5])
    func expect(_ message: String, _ inputs: [Tensor?], _ attributes: [String: Attribute] = [:]) {
      #expect(throws: ModelError(.mismatch, message)) { try run("Conv", inputs, attributes) }
    }
    func zeros(_ shape: Int...) -> Tensor { Tensor(zeros: .float, shape) }
    expect("channels of X: expected 3, got 4", [x, zeros(2, 3, 1, 1)])
    expect("rank of W: expected 4 as X has, got 3", [x, zeros(2, 4, 1)])
    expect("rank of X: expected at least 3, got 2", [zeros(2, 2), zeros(2, 2)])
    expect("shape of B: expected [2], got [3]", [x, zeros(2, 4, 1, 1), zeros(3)])
    expect(
      "spatial axis 0 with its padding: expected at least 6, the extent of the kernel, got 5",
      [x, zeros(2, 4, 6, 1)])
    expect(
      "output channels of W: expected a multiple of 2, the number of groups, got 3",
      [x, zeros(3, 2, 1, 1)], ["group": .int(2)])
  }

  @Test func wrongAttributesAreToldApart() throws {
    let (x, w) = (Tensor(zeros: .float, [1, 1, 5]), Tensor(zeros: .float, [1, 1, 2]))
    func expect(_ message: String, _ attributes: [String: Attribute]) {
      #expect(throws: ModelError(.invalid, message)) { try run("Conv", [x, w], attributes) }
    }
    expect(
      "attribute strides: expected 1 numbers from 1 on, got [0]", ["strides": .ints([0])])
    expect("attribute pads: expected 2 numbers from 0 on, got [1]", ["pads": .ints([1])])
    expect(
      "attribute auto_pad: expected one of NOTSET, SAME_UPPER, SAME_LOWER, VALID, got SAME",
      ["auto_pad": .string("SAME")])
    expect("attribute group: expected a positive number, got 0", ["group": .int(0)])
    #expect(
      throws: ModelError(
        .mismatch, "attribute kernel_shape: expected [2] as W has, got [3]")
    ) { try run("Conv", [x, w], ["kernel_shape": .ints([3])]) }
  }
}

@Suite struct DeformConvTests {
  @Test func withoutOffsetsItIsAConvolution() throws {
    var numbers = Numbers(seed: 5)
    let (x, w) = (numbers.tensor(2, 4, 5, 6), numbers.tensor(6, 2, 3, 2))
    let attributes: [String: Attribute] = [
      "group": .int(2), "strides": .ints([2, 1]), "pads": .ints([1, 0, 1, 1]),
    ]
    let plain = try run("Conv", [x, w], attributes)
    let offset = Tensor(zeros: .float, [2, 2 * 12] + plain.shape.dropFirst(2))
    let deformed = try run(
      "DeformConv", [x, w, offset], attributes.merging(["offset_group": .int(2)]) { $1 })
    #expect(deformed.isClose(to: plain.floats, 1e-5))
  }

  @Test func offsetsMoveTapsAndTheMaskWeighsThem() throws {
    let x = Tensor([Float(1), 2, 3], [1, 1, 1, 3])
    let w = Tensor([Float(1)], [1, 1, 1, 1])
    let offset = Tensor([Float(0), 0, 0, 1, 0.5, 0.25], [1, 2, 1, 3])
    #expect(try run("DeformConv", [x, w, offset]).floats == [2, 2.5, 2.25])
    let mask = Tensor([Float(2), 0, 1], [1, 1, 1, 3])
    #expect(try run("DeformConv", [x, w, offset, nil, mask]).floats == [4, 0, 2.25])
  }

  @Test func wrongShapesAreToldApart() throws {
    let x = Tensor(zeros: .float, [1, 1, 3, 3])
    let w = Tensor(zeros: .float, [1, 1, 2, 2])
    #expect(throws: ModelError(.mismatch, "shape of offset: expected [1,8,2,2], got [1,4,2,2]")) {
      try run("DeformConv", [x, w, Tensor(zeros: .float, [1, 4, 2, 2])])
    }
  }
}

@Suite struct CausalConvWithStateTests {
  @Test func aSequenceInPartsIsTheWholeSequence() throws {
    var numbers = Numbers(seed: 2)
    let (weight, bias) = (numbers.tensor(3, 1, 4), numbers.tensor(3))
    let x = numbers.array(3 * 6)
    func part(_ range: Range<Int>) -> Tensor {
      Tensor(
        (0..<3).flatMap { x[($0 * 6 + range.lowerBound)..<($0 * 6 + range.upperBound)] },
        [
          1, 3, range.count,
        ])
    }
    func step(_ range: Range<Int>, _ state: Value?) throws -> [Value?] {
      try run(
        "CausalConvWithState",
        [.tensor(part(range)), .tensor(weight), .tensor(bias), state],
        ["activation": .string("silu")], outputs: 2)
    }
    let whole = try step(0..<6, nil)
    let first = try step(0..<2, nil)
    let second = try step(2..<6, first[1])
    #expect(second[1]!.tensor!.floats == whole[1]!.tensor!.floats)
    let all = whole[0]!.tensor!.floats
    for channel in 0..<3 {
      let row = Array(all[channel * 6..<(channel + 1) * 6])
      let begin = first[0]!.tensor!.floats[channel * 2..<(channel + 1) * 2]
      let end = second[0]!.tensor!.floats[channel * 4..<(channel + 1) * 4]
      #expect(zip(row, begin + end).allSatisfy { abs($0 - $1) < 1e-6 })
    }
  }
}

@Suite struct HostileConvolutionTests {
  @Test func hugeAttributesAreRefusedWithoutATrap() throws {
    let (x, w) = (Tensor(zeros: .float, [1, 3, 4]), Tensor(zeros: .float, [2, 3, 2]))
    for name in ["Conv", "ConvTranspose"] {
      for attribute in [
        "group": Attribute.int(.max), "strides": .ints([.max]), "dilations": .ints([.max]),
        "pads": .ints([.max, .max]), "kernel_shape": .ints([.max]),
      ] {
        #expect(throws: ModelError.self) {
          try run(name, [x, w], [attribute.key: attribute.value])
        }
      }
    }
  }

  @Test func shapesWhoseExtentsOverflowAreRefused() {
    #expect([0, 1 << 40, 1 << 40].checkedElementCount == nil)
    #expect([1 << 40, 1 << 40, 0].checkedElementCount == nil)
    #expect([0, 1 << 31].checkedElementCount == 0)
    #expect([0, 1 << 40].checkedElementCount == nil)
    #expect([0, -1].checkedElementCount == nil)
  }

  @Test func smallInputsWithLargePaddingNeedNoCopyOfIt() throws {
    let one = Tensor([Float(1)], [1, 1, 1])
    let attributes: [String: Attribute] = [
      "pads": .ints([1 << 30, 0]), "strides": .ints([1 << 29]),
    ]
    #expect(try run("Conv", [one, one], attributes).floats == [0, 0, 1])
  }
}
