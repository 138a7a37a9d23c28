import Testing

@testable import Sardonyx

@Suite struct BatchNormalizationTests {
  static let x = Tensor([Float(1), 3, 10, 20], [2, 2])
  static let scale = Tensor([Float(2), 1])
  static let shift = Tensor([Float(0), 5])
  static let mean = Tensor([Float(1), 3])
  static let variance = Tensor([Float(4), 1])

  static let inputs: [Tensor?] = [x, scale, shift, mean, variance]
  static let exact: [String: Attribute] = ["epsilon": .float(0)]

  static func values(_ inputs: [Tensor?] = inputs) -> [Value?] {
    inputs.map { $0.map(Value.tensor) }
  }

  @Test(arguments: [7, 9, 14, 15]) func storedStatisticsAreUsedInInference(opset: Int) throws {
    let y = try run("BatchNormalization", opset: opset, Self.inputs, Self.exact)
    #expect(y.isClose(to: [0, 5, 9, 22]))
  }

  @Test(arguments: [1, 6]) func beforeVersion7AnAttributeMakesInference(opset: Int) throws {
    var attributes = Self.exact.merging(["is_test": .int(1)]) { $1 }
    if opset == 1 { attributes["consumed_inputs"] = .ints([0, 0, 0, 1, 1]) }
    let y = try run("BatchNormalization", opset: opset, Self.inputs, attributes)
    #expect(y.isClose(to: [0, 5, 9, 22]))
    attributes["is_test"] = nil
    let trained = try run("BatchNormalization", opset: opset, Self.inputs, attributes)
    #expect(trained.isClose(to: [-2, 4, 2, 6]))
  }

  @Test(arguments: [7, 9]) func moreOutputsMakeTraining(opset: Int) throws {
    let results = try run(
      "BatchNormalization", opset: opset, Self.values(),
      Self.exact.merging(["momentum": .float(0.5)]) { $1 }, outputs: 5)
    let tensors = results.map { $0!.tensor! }
    #expect(tensors[0].isClose(to: [-2, 4, 2, 6]))
    #expect(tensors[1].isClose(to: [3.25, 7.25]) && tensors[3].isClose(to: [5.5, 11.5]))
    #expect(tensors[2].isClose(to: [12.125, 36.625]) && tensors[4].isClose(to: [20.25, 72.25]))
  }

  @Test(arguments: [14, 15]) func trainingIsAnAttributeFromVersion14On(opset: Int) throws {
    let attributes = Self.exact.merging(["momentum": .float(0.5), "training_mode": .int(1)]) { $1 }
    let results = try run(
      "BatchNormalization", opset: opset, Self.values(), attributes, outputs: 3)
    #expect(results[0]!.tensor!.isClose(to: [-2, 4, 2, 6]))
    #expect(results[1]!.tensor!.isClose(to: [3.25, 7.25]))
    #expect(results[2]!.tensor!.isClose(to: [12.125, 36.625]))
    let message = "outputs: expected Y alone, as training_mode is 0, got 3"
    #expect(throws: ModelError(.invalid, message)) {
      try run("BatchNormalization", opset: opset, Self.values(), Self.exact, outputs: 3)
    }
  }

  @Test func everyElementMayHaveParametersOfItsOwn() throws {
    let x = Tensor([Float(1), 2, 3, 4], [1, 2, 2])
    func parameter(_ numbers: [Float]) -> Tensor { Tensor(numbers, [2, 2]) }
    let inputs = [
      x, parameter([1, 2, 3, 4]), parameter([0, 0, 0, 1]), parameter([0, 1, 2, 3]),
      parameter([1, 1, 1, 4]),
    ]
    let y = try run(
      "BatchNormalization", opset: 7, inputs, Self.exact.merging(["spatial": .int(0)]) { $1 })
    #expect(y.isClose(to: [1, 2, 3, 3]))
  }

  @Test func aTensorOfRankOneHasOneChannel() throws {
    let two = Tensor([Float(2)])
    let y = try run("BatchNormalization", opset: 9, [Tensor([Float(1), 5]), two, two, two, two])
    #expect(y.isClose(to: [0.585786, 6.242641], 1e-4))
  }

  @Test func typesMayDiffer() throws {
    let x = Tensor(converting: [Float(1), 3], to: .float16, [1, 2])
    let results = try run(
      "BatchNormalization", opset: 15,
      Self.values([x, Self.scale, Self.shift, Self.mean, Self.variance]),
      ["training_mode": .int(1)], outputs: 3)
    #expect(results[0]!.tensor!.type == .float16)
    #expect(results[1]!.tensor!.type == .float)
  }

  @Test(arguments: [[2, 3], [2, 3, 67], [1, 5, 6, 7], [0, 3, 4]])
  func singlePrecisionAgreesWithDouble(shape: [Int]) throws {
    var numbers = Numbers(seed: 1)
    let count = shape[1]
    let positive = Tensor(numbers.array(count).map { $0 * $0 + 0.1 }, [count])
    let inputs = [numbers.tensor(shape)] + (0..<3).map { _ in numbers.tensor(count) } + [positive]
    #expect(try differenceOfFastAndPlain("BatchNormalization", inputs) < 1e-6)
  }

  @Test func aNegativeVarianceIsNotANumber() throws {
    let one = Tensor([Float(1)])
    let y = try run(
      "BatchNormalization", [Tensor([Float(1)], [1, 1]), one, one, one, Tensor([Float(-1)])])
    #expect(y.floats[0].isNaN)
  }

  @Test func wrongParametersAreNamed() throws {
    #expect(throws: ModelError(.mismatch, "elements of var: expected 2, got 3")) {
      try run("BatchNormalization", Self.inputs.dropLast() + [Tensor([Float(1), 1, 1])])
    }
  }
}

@Suite struct NormalizationsTests {
  static let row = Tensor([Float(1), 3, 1, 3, 2, 2], [1, 2, 3])

  @Test func eachChannelOfEachImageForItself() throws {
    let x = Tensor([Float(1), 3, 5, 5], [1, 2, 2])
    let y = try run(
      "InstanceNormalization", [x, Tensor([Float(2), 3]), Tensor([Float(1), 7])],
      ["epsilon": .float(1e-9)])
    #expect(y.isClose(to: [-1, 3, 7, 7]))
    #expect(throws: ModelError(.mismatch, "shape of scale: expected [2], got [3]")) {
      try run(
        "InstanceNormalization", [x, Tensor([Float(2), 3, 4]), Tensor([Float(1), 7])])
    }
  }

  @Test func groupsOfChannelsTogether() throws {
    let x = Tensor([Float(1), 3, 10, 30], [1, 4, 1])
    let attributes: [String: Attribute] = ["num_groups": .int(2), "epsilon": .float(0)]
    let (two, four) = (Tensor([Float(1), 2]), Tensor([Float(1), 2, 3, 4]))
    let old = try run("GroupNormalization", opset: 18, [x, two, two], attributes)
    #expect(old.isClose(to: [0, 2, 0, 4]))
    let new = try run("GroupNormalization", opset: 21, [x, four, four], attributes)
    #expect(new.isClose(to: [0, 4, 0, 8]))
    #expect(throws: ModelError(.mismatch, "channels of X: expected a multiple of 3, got 4")) {
      try run("GroupNormalization", [x, four, four], ["num_groups": .int(3)])
    }
  }

  @Test func layersWithTheirStatistics() throws {
    let x = Tensor([Float(1), 3, 10, 30], [2, 2])
    let results = try run(
      "LayerNormalization", [.tensor(x), .tensor(Tensor([Float(1), 2]))],
      ["epsilon": .float(0)], outputs: 3)
    #expect(results[0]!.tensor!.isClose(to: [-1, 2, -1, 2]))
    #expect(results[1]!.tensor!.floats == [2, 20] && results[1]!.tensor!.shape == [2, 1])
    #expect(results[2]!.tensor!.isClose(to: [1, 0.1]))
    #expect(
      throws: ModelError(
        .mismatch, "shape of Scale: expected one that broadcasts to [2,2], got [3]")
    ) { try run("LayerNormalization", [x, Tensor([Float(1), 2, 3])]) }
    #expect(throws: ModelError(.mismatch, "axis: expected -2 to 1, got 2")) {
      try run("LayerNormalization", [x, Tensor([Float(1)])], ["axis": .int(2)])
    }
  }

  @Test(arguments: [-1, 1, 0], [[7], [1], [3, 1], [5, 3, 7]])
  func layersOfSinglePrecisionAgreeWithDouble(axis: Int, scale: [Int]) throws {
    var numbers = Numbers(seed: 6)
    let inputs = [numbers.tensor(5, 3, 7), numbers.tensor(scale), numbers.tensor(scale)]
    let attributes: [String: Attribute] = ["axis": .int(axis)]
    #expect(
      try differenceOfFastAndPlain("LayerNormalization", inputs, attributes, outputs: 3) < 2e-6)
    let two = Array(inputs.dropLast())
    #expect(try differenceOfFastAndPlain("RMSNormalization", two, attributes) < 2e-6)
  }

  @Test(arguments: [[2, 6, 35], [1, 6, 3, 4], [3, 6, 1]])
  func blocksOfSinglePrecisionAgreeWithDouble(shape: [Int]) throws {
    var numbers = Numbers(seed: 8)
    let inputs = [numbers.tensor(shape), numbers.tensor(6), numbers.tensor(6)]
    #expect(try differenceOfFastAndPlain("InstanceNormalization", inputs) < 5e-6)
    #expect(
      try differenceOfFastAndPlain("GroupNormalization", inputs, ["num_groups": .int(3)]) < 5e-6)
  }

  @Test func rootMeanSquares() throws {
    let x = Tensor([Float(3), 4, 0, 0], [2, 2])
    let y = try run("RMSNormalization", [x, Tensor([Float(1), 2])], ["epsilon": .float(0.5)])
    let factor = 1 / Float(13).squareRoot()
    #expect(y.isClose(to: [3 * factor, 8 * factor, 0, 0]))
  }

  @Test func normsAlongAnAxis() throws {
    let x = Tensor([Float(3), -4, 0, 0], [2, 2])
    #expect(try run("LpNormalization", [x]).isClose(to: [0.6, -0.8, 0, 0]))
    #expect(try run("LpNormalization", [x], ["p": .int(1)]).isClose(to: [3 / 7, -4 / 7, 0, 0]))
    #expect(try run("LpNormalization", [x], ["axis": .int(0)]).floats == [1, -1, 0, 0])
    #expect(throws: ModelError(.invalid, "attribute p: expected 1 or 2, got 3")) {
      try run("LpNormalization", [x], ["p": .int(3)])
    }
  }

  @Test func meanAndVarianceOverGivenAxes() throws {
    let x = Tensor([Float(1), 3, 10, 30], [2, 2, 1, 1])
    let y = try run("MeanVarianceNormalization", [x])
    #expect(y.isClose(to: [-1, -1, 1, 1]))
    let rows = try run("MeanVarianceNormalization", [x], ["axes": .ints([1])])
    #expect(rows.isClose(to: [-1, 1, -1, 1]))
  }

  @Test func neighbouringChannelsDampEachOther() throws {
    let x = Tensor([Float(1), 2, 3], [1, 3, 1, 1])
    let y = try run(
      "LRN", [x],
      ["size": .int(2), "alpha": .float(2), "beta": .float(1), "bias": .float(1)])
    #expect(y.isClose(to: [1.0 / 6, 2.0 / 14, 3.0 / 10]))
  }

  @Test func emptyTensors() throws {
    let one = Tensor([Float(1), 1])
    let empty = Tensor(zeros: .float, [0, 2, 3])
    #expect(try run("InstanceNormalization", [empty, one, one]).shape == [0, 2, 3])
    #expect(try run("LayerNormalization", [empty, Tensor([Float(1)])]).shape == [0, 2, 3])
    #expect(try run("LpNormalization", [empty]).shape == [0, 2, 3])
  }
}
