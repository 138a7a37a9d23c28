import Testing

@testable import Sardonyx

@Suite struct ChainConvolutionsTests {
  /// An inverted residual, whose inner values are large, and a convolution behind it.
  private static func definition(_ size: Int, outputs: [String] = ["Y"]) -> GraphDefinition {
    var numbers = Numbers(seed: 4)
    let shapes = [
      "E": [96, 16, 1, 1], "e": [96], "D": [96, 1, 3, 3], "d": [96], "P": [16, 96, 1, 1],
      "L": [16, 16, 3, 3],
    ]
    let constants = shapes.sorted { $0.key < $1.key }.reduce(into: [String: Tensor]()) {
      $0[$1.key] = numbers.tensor($1.value)
    }
    return graph(
      [declared("X", .float, [-1, 16, size, size])],
      [
        node("Conv", ["X", "E", "e"], ["a"]),
        node("HardSwish", ["a"], ["b"]),
        node(
          "Conv", ["b", "D", "d"], ["c"], ["group": .int(96), "pads": .ints([1, 1, 1, 1])]),
        node("Relu", ["c"], ["f"]),
        node("Conv", ["f", "P"], ["g"]),
        node("Add", ["g", "X"], ["h"]),
        node("Conv", ["h", "L"], ["Y"], ["pads": .ints([1, 1, 1, 1])]),
      ], outputs.map { declared($0) }, constants: constants)
  }

  private static func chained(_ session: Session) -> [String] {
    session.graph.notes.filter { $0.pass == "chain convolutions" }.map(\.text)
  }

  /// As large as the second cache is not.
  private static let size = 32 * Int(1 + Double(Caches.level2 / (96 * 4 * 1024)).squareRoot())

  @Test("Convolutions between which too much lies go row by row, and give the same bits")
  func sameBits() throws {
    let model = try model(Self.definition(Self.size))
    var numbers = Numbers(seed: 5)
    for batch in 1...2 {
      let x = numbers.tensor(batch, 16, Self.size, Self.size)
      let session = try Session(model)
      let whole = try Session(model, options: Session.Options().keepingLayers)
      #expect(Self.chained(session).count == 2)
      #expect(Self.chained(whole).isEmpty)
      #expect(session.graph.nodes.contains { $0.implementation is BlockedConvChain })
      let results = try [session, whole].map {
        try $0.run(["X": .tensor(x)])["Y"]!.tensor!.array(of: Float.self).map(\.bitPattern)
      }
      #expect(results[0] == results[1])
    }
  }

  @Test("What fits the second cache, is wanted or read twice, stands alone")
  func standsAlone() throws {
    #expect(try Self.chained(Session(model(Self.definition(8)))).isEmpty)
    let wanted = try model(Self.definition(Self.size, outputs: ["Y", "f"]))
    #expect(try Self.chained(Session(wanted)).count == 1)
    var options = Session.Options()
    options.taps = ["b"]
    let tapped = try model(Self.definition(Self.size))
    #expect(try Self.chained(Session(tapped, options: options)).count == 1)
  }

  @Test("A comparison still shows each layer")
  func layers() throws {
    let model = try model(Self.definition(Self.size))
    var numbers = Numbers(seed: 6)
    let comparison = try Comparison(
      model, inputs: ["X": .tensor(numbers.tensor(1, 16, Self.size, Self.size))], layers: true)
    #expect(comparison.passed)
    #expect(["b", "f", "h"].allSatisfy { name in comparison.layers.contains { $0.name == name } })
  }

  @Test("Images of any size go through a chain whose sizes the model does not tell")
  func anySize() throws {
    let model = try model(Self.definition(-1))
    var numbers = Numbers(seed: 7)
    let session = try Session(model)
    #expect(Self.chained(session).count == 2)
    let x = numbers.tensor(9, 16, 9, 9)
    let whole = try Session(model, options: Session.Options().keepingLayers)
    #expect(
      try session.run(["X": .tensor(x)])["Y"]!.tensor!.array(of: Float.self)
        == whole.run(["X": .tensor(x)])["Y"]!.tensor!.array(of: Float.self))
  }
}
