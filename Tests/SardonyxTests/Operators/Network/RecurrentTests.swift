import Testing

@testable import Sardonyx

@Suite struct RecurrentTests {
  private func doubles(_ numbers: [Double], _ shape: Int...) -> Value {
    .tensor(Tensor(numbers, shape))
  }

  @Test func aPlainNetworkAddsUp() throws {
    let x = doubles([1, 2, 3], 3, 1, 1)
    let one = doubles([1], 1, 1, 1)
    func sums(_ direction: String) throws -> [[Double]] {
      try run(
        "RNN", [x, one, one],
        [
          "hidden_size": .int(1), "direction": .string(direction),
          "activations": .strings(["Affine"]), "activation_alpha": .floats([1]),
        ], outputs: 2
      ).map { $0!.tensor!.array(of: Double.self) }
    }
    #expect(try sums("forward") == [[1, 3, 6], [6]])
    #expect(try sums("reverse") == [[6, 5, 3], [6]])
  }

  @Test func shortSequencesEndEarly() throws {
    let x = doubles([1, 10, 2, 20, 3, 30], 3, 2, 1)
    let one = doubles([1, 1], 2, 1, 1)
    let results = try run(
      "RNN", [x, one, one, nil, .tensor(Tensor([Int32(2), 0]))],
      ["direction": .string("bidirectional"), "activations": .strings(["Relu", "Relu"])],
      outputs: 2
    ).map { $0!.tensor!.array(of: Double.self) }
    #expect(results[0] == [1, 0, 3, 0, 3, 0, 2, 0, 0, 0, 0, 0])
    #expect(results[1] == [3, 0, 3, 0])
    #expect(throws: ModelError(.mismatch, "sequence_lens: expected 0 to 3, got 4")) {
      try run(
        "RNN", [x, one, one, nil, .tensor(Tensor([Int32(4), 0]))],
        [
          "direction": .string("bidirectional")
        ])
    }
  }

  @Test func inputsAreClipped() throws {
    let one = doubles([1], 1, 1, 1)
    let y = try run(
      "RNN", [doubles([5, -5], 2, 1, 1), one, one],
      ["clip": .float(2), "activations": .strings(["Affine"])])[0]!.tensor!
    #expect(y.array(of: Double.self) == [2, -2])
  }

  @Test("A clip of 0 is none", arguments: [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
  func noClip(_ network: (name: String, gates: Int)) throws {
    let rows = network.gates * 2
    let inputs = [
      randomTensor([3, 1, 2]), randomTensor([1, rows, 2], seed: 2),
      randomTensor([1, rows, 2], seed: 3),
    ]
    let attributes: [String: Attribute] = ["hidden_size": .int(2)]
    let y = try run(network.name, inputs, attributes)
    let zero = try run(network.name, inputs, attributes.merging(["clip": .float(0)]) { $1 })
    #expect(y.floats == zero.floats && y.floats.contains { $0 != 0 })
  }

  @Test func gruMixesTheOldAndTheNewState() throws {
    // With all weights 0 and a bias of the candidate, z = r = ½ and h = bias.
    let zero = doubles([0, 0, 0], 1, 3, 1)
    let attributes: [String: Attribute] = ["activations": .strings(["Sigmoid", "Affine"])]
    func state(_ bias: [Double], _ more: [String: Attribute] = [:]) throws -> Double {
      try run(
        "GRU",
        [
          doubles([0], 1, 1, 1), zero, zero, doubles(bias, 1, 6), nil, doubles([4], 1, 1, 1),
        ], attributes.merging(more) { $1 })[0]!.tensor!.array(of: Double.self)[0]
    }
    #expect(try state([0, 0, 2, 0, 0, 6]) == 6)
    #expect(try state([0, 0, 2, 0, 0, 6], ["linear_before_reset": .int(1)]) == 4.5)
  }

  @Test func lstmForgetsAndRemembers() throws {
    let zero = doubles([0, 0, 0, 0], 1, 4, 1)
    let affine: [String: Attribute] = [
      "activations": .strings(["Sigmoid", "Affine", "Affine"])
    ]
    func states(_ attributes: [String: Attribute], peepholes: [Double]? = nil) throws -> [Double] {
      try run(
        "LSTM",
        [
          doubles([0], 1, 1, 1), zero, zero, doubles([0, 0, 0, 6, 0, 0, 0, 2], 1, 8), nil,
          doubles([0], 1, 1, 1), doubles([10], 1, 1, 1), peepholes.map { doubles($0, 1, 3) },
        ], affine.merging(attributes) { $1 }, outputs: 3
      ).dropFirst().map { $0!.tensor!.array(of: Double.self)[0] }
    }
    #expect(try states([:]) == [4.5, 9])
    // An input gate that sees a large negative cell is shut.
    #expect(try states([:], peepholes: [-1e9, 0, 0]) == [2.5, 5])
    #expect(try states(["input_forget": .int(1)], peepholes: [-1e9, 0, 0]) == [5, 10])
  }

  @Test(arguments: ["RNN", "GRU", "LSTM"], ["forward", "reverse", "bidirectional"])
  func singlePrecisionAgreesWithDouble(name: String, direction: String) throws {
    var numbers = Numbers(seed: 21)
    let directions = direction == "bidirectional" ? 2 : 1
    let gates = ["RNN": 1, "GRU": 3, "LSTM": 4][name]! * 19
    var inputs: [Tensor?] = [
      numbers.tensor(6, 3, 7), numbers.tensor(directions, gates, 7),
      numbers.tensor(directions, gates, 19), numbers.tensor(directions, 2 * gates),
      Tensor([Int32(6), 2, 4]), numbers.tensor(directions, 3, 19),
    ]
    if name == "LSTM" {
      inputs += [numbers.tensor(directions, 3, 19), numbers.tensor(directions, 57)]
    }
    var attributes: [String: Attribute] = ["direction": .string(direction)]
    for variant in [0, 1] where name != "LSTM" || variant == 0 {
      if name == "GRU" { attributes["linear_before_reset"] = .int(variant) }
      for constants in [false, true] {
        let difference = try differenceOfFastAndPlain(
          name, inputs, attributes, outputs: name == "LSTM" ? 3 : 2, constants: constants)
        #expect(difference < 1e-5)
      }
    }
  }

  @Test func theBatchMayComeFirst() throws {
    var numbers = Numbers(seed: 22)
    let x = numbers.array(2 * 3 * 4)
    let (w, r) = (numbers.tensor(1, 20, 4), numbers.tensor(1, 20, 5))
    func swapped(_ numbers: [Float], _ outer: Int, _ inner: Int, _ size: Int) -> [Float] {
      (0..<inner).flatMap { second in
        (0..<outer).flatMap { first -> ArraySlice<Float> in
          let place = (first * inner + second) * size
          return numbers[place..<place + size]
        }
      }
    }
    let plain = try run("LSTM", [Tensor(x, [3, 2, 4]), w, r])
    let turned = try run(
      "LSTM", [Tensor(swapped(x, 3, 2, 4), [2, 3, 4]), w, r], ["layout": .int(1)])
    #expect(turned.shape == [2, 3, 1, 5])
    #expect(turned.isClose(to: swapped(plain.floats, 3, 2, 5)))
  }

  @Test func wrongShapesAndNamesAreTold() throws {
    let x = Tensor(zeros: .float, [1, 1, 2])
    let (w, r) = (Tensor(zeros: .float, [1, 3, 2]), Tensor(zeros: .float, [1, 3, 1]))
    #expect(throws: ModelError(.mismatch, "input size of X: expected 2, got 4")) {
      try run("GRU", [Tensor(zeros: .float, [1, 1, 4]), w, r])
    }
    #expect(throws: ModelError(.mismatch, "shape of W: expected [1,4,2], got [1,3,2]")) {
      try run("LSTM", [x, w, r])
    }
    #expect(
      throws: ModelError(
        .invalid,
        "attribute activations: expected names of activations for recurrence, got Sin")
    ) { try run("GRU", [x, w, r], ["activations": .strings(["Sin", "Tanh"])]) }
  }

  @Test func emptySequences() throws {
    let (w, r) = (Tensor(zeros: .float, [1, 3, 2]), Tensor(zeros: .float, [1, 3, 1]))
    #expect(try run("GRU", [Tensor(zeros: .float, [0, 1, 2]), w, r]).shape == [0, 1, 1, 1])
    #expect(try run("GRU", [Tensor(zeros: .float, [3, 0, 2]), w, r]).shape == [3, 1, 0, 1])
  }
}
