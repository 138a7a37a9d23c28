import Testing

@testable import Sardonyx

@Suite struct RandomnessTests {
  @Test func mersenneTwisterIsThatOfNumpy() {
    var twister = MersenneTwister(seed: 42)
    // numpy.random.RandomState(42).random_sample(3)
    let uniform = (0..<3).map { _ in twister.uniform() }
    #expect(uniform == [0.3745401188473625, 0.9507143064099162, 0.7319939418114051])
    twister = MersenneTwister(seed: 42)
    // numpy.random.RandomState(42).randn(3)
    let normal = (0..<3).map { _ in twister.normal() }
    for (got, wanted) in zip(
      normal, [0.4967141530112327, -0.13826430117118466, 0.6476885381006925])
    {
      #expect(abs(got - wanted) < 1e-15)
    }
  }

  @Test func seededNumbersRepeat() throws {
    let none: [Tensor?] = []
    let attributes: [String: Attribute] = [
      "shape": .ints([2, 2]), "seed": .float(7), "low": .float(2), "high": .float(4),
    ]
    let first = try run("RandomUniform", none, attributes).elements(of: Float.self)
    #expect(try run("RandomUniform", none, attributes).elements() == first)
    #expect(first.allSatisfy { $0 >= 2 && $0 < 4 })
  }

  @Test func unseededNumbersDependOnTheRun() throws {
    let node = NodeDefinition(
      name: "x", operatorName: "RandomNormal", outputs: ["y"], attributes: ["shape": .ints([4])])
    let operation = try OperatorTable.make(node, operatorSet: 22)
    #expect(!operation.isDeterministic)
    func draw(_ context: RunContext) throws -> [Float]? {
      try operation.evaluate(Inputs([], .trusting()), wanted: [true], context: context)[0]?.tensor?
        .elements()
    }
    let context = RunContext(seed: 5)
    let first = try draw(context)
    #expect(try draw(context) != first)
    #expect(try draw(RunContext(seed: 5)) == first)
    #expect(try draw(RunContext(seed: 6)) != first)
  }

  @Test func multinomialFollowsProbabilities() throws {
    let logarithms = Tensor([-100, 0, -100, 0, -100, -100] as [Float], [2, 3])
    let y = try run(
      "Multinomial", [logarithms], ["sample_size": .int(2), "seed": .float(1), "dtype": .int(7)])
    #expect(try y.elements() == [Int64(1), 1, 0, 0])
  }

  @Test func bernoulliOfCertainties() throws {
    let y = try run("Bernoulli", [Tensor([Float(0), 1])], ["dtype": .int(9)])
    #expect(try y.elements() == [false, true])
  }

  @Test func dropoutKeepsAllButInTraining() throws {
    let x = Tensor([Float](repeating: 3, count: 100))
    for opset in [7, 10, 12, 22] {
      let y = try run("Dropout", opset: opset, [.tensor(x)], outputs: 2)
      #expect(try y[0]!.tensor!.elements() == x.elements(of: Float.self))
      #expect(y[1]!.tensor!.type == (opset < 10 ? .float : .bool))
    }
    let inputs: [Value?] = [
      .tensor(x), .tensor(Tensor(scalar: Float(0.25))), .tensor(Tensor(scalar: true)),
    ]
    let trained = try run("Dropout", inputs, ["seed": .int(0)], outputs: 2)
    let kept = try trained[1]!.tensor!.elements(of: Bool.self)
    #expect(try trained[0]!.tensor!.elements() == kept.map { $0 ? Float(4) : 0 })
    #expect((50..<95).contains(kept.count { $0 }))
  }

  @Test func dropoutRefusesToDropAll() {
    let inputs: [Tensor?] = [Tensor([Float(1)]), Tensor(scalar: Float(1)), Tensor(scalar: true)]
    #expect(
      throws: ModelError(.mismatch, "ratio: expected from 0 to less than 1, got 1.0")
    ) { try run("Dropout", inputs) }
  }
}
