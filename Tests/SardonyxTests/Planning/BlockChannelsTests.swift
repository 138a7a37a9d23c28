import Testing

@testable import Sardonyx

@Suite struct BlockChannelsTests {
  /// What a graph of float inputs gives over blocks and as it is.
  static func run(
    _ definition: GraphDefinition, _ inputs: [String: Value], _ output: String = "Y"
  ) throws -> (blocked: [Float], plain: [Float], nodes: [String]) {
    let model = try model(definition)
    var options = Session.Options()
    let blocked = try Session(model, options: options)
    options.usesBlocks = false
    let plain = try Session(model, options: options)
    return (
      try blocked.run(inputs)[output]!.tensor!.elements(),
      try plain.run(inputs)[output]!.tensor!.elements(), blocked.graph.nodes.map(\.operatorName)
    )
  }

  static func expectEqual(_ results: (blocked: [Float], plain: [Float], nodes: [String])) {
    #expect(results.blocked.count == results.plain.count)
    let worst = zip(results.blocked, results.plain).map { abs($0 - $1) }.max() ?? 0
    let largest = results.plain.map(abs).max() ?? 0
    #expect(worst < 1e-5 * max(largest, 1), "\(results.nodes)")
  }

  private static func constants(_ shapes: [String: [Int]]) -> [String: Tensor] {
    var numbers = Numbers(seed: 9)
    return shapes.sorted { $0.key < $1.key }.reduce(into: [:]) {
      $0[$1.key] = numbers.tensor($1.value)
    }
  }

  @Test("A network stays in blocks from its first convolution to its pooling, for any batch")
  func network() throws {
    var numbers = Numbers(seed: 1)
    let definition = graph(
      [declared("X", .float, [-1, 3, 9, 11])],
      [
        node("Conv", ["X", "W1"], ["a"], ["pads": .ints([1, 1, 1, 1])]),
        node("Relu", ["a"], ["b"]),
        node("MaxPool", ["b"], ["c"], ["kernel_shape": .ints([2, 2]), "strides": .ints([2, 2])]),
        node("Conv", ["c", "W2"], ["d"], ["pads": .ints([1, 1, 1, 1])]),
        node("Add", ["d", "c"], ["e"]),
        node("Mul", ["e", "perChannel"], ["f"]),
        node(
          "AveragePool", ["f"], ["g"],
          ["kernel_shape": .ints([3, 3]), "pads": .ints([1, 1, 1, 1])]),
        node("Concat", ["g", "e"], ["h"], ["axis": .int(1)]),
        node("GlobalAveragePool", ["h"], ["i"]),
        node("Flatten", ["i"], ["Y"]),
      ], [declared("Y")],
      constants: Self.constants([
        "W1": [32, 3, 3, 3], "W2": [32, 32, 3, 3], "perChannel": [32, 1, 1],
      ]))
    for batch in 1...3 {
      let results = try Self.run(definition, ["X": .tensor(numbers.tensor(batch, 3, 9, 11))])
      Self.expectEqual(results)
      #expect(results.nodes.filter { $0.hasSuffix("Channels") } == ["UnblockChannels"])
    }
  }

  @Test("Squeeze and excitation, and channels that do not fill blocks, stay in blocks")
  func squeezeAndExcitation() throws {
    var numbers = Numbers(seed: 2)
    let definition = graph(
      [declared("X", .float, [2, 20, 5, 5])],
      [
        node("Conv", ["X", "W"], ["a"]),
        node("GlobalAveragePool", ["a"], ["b"]),
        node("Conv", ["b", "S"], ["c"]),
        node("Sigmoid", ["c"], ["d"]),
        node("Mul", ["d", "a"], ["Y"]),
      ], [declared("Y")], constants: Self.constants(["W": [21, 20, 1, 1], "S": [21, 21, 1, 1]]))
    let results = try Self.run(definition, ["X": .tensor(numbers.tensor(2, 20, 5, 5))])
    Self.expectEqual(results)
    #expect(
      results.nodes.filter { $0.hasSuffix("Channels") } == ["BlockChannels", "UnblockChannels"])
  }

  @Test("BatchNormalization before a convolution takes in the Concat before it and the Relu behind")
  func normalizationOfPieces() throws {
    var numbers = Numbers(seed: 3)
    var constants = Self.constants(["W": [32, 3, 3, 3], "V": [32, 32, 3, 3], "U": [8, 64, 1, 1]])
    for name in ["scale", "shift", "mean"] { constants[name] = numbers.tensor(64) }
    constants["variance"] = Tensor(numbers.array(64).map { abs($0) + 0.1 }, [64])
    let definition = graph(
      [declared("X", .float, [1, 3, 8, 8])],
      [
        node("Conv", ["X", "W"], ["a"], ["pads": .ints([1, 1, 1, 1])]),
        node("Conv", ["a", "V"], ["b"], ["pads": .ints([1, 1, 1, 1])]),
        node("Concat", ["a", "b"], ["c"], ["axis": .int(-3)]),
        node("BatchNormalization", ["c", "scale", "shift", "mean", "variance"], ["d"]),
        node("Relu", ["d"], ["e"]),
        node("Conv", ["e", "U"], ["Y"]),
      ], [declared("Y")], constants: constants)
    let results = try Self.run(definition, ["X": .tensor(numbers.tensor(1, 3, 8, 8))])
    Self.expectEqual(results)
    #expect(!results.nodes.contains("Concat") && !results.nodes.contains("Relu"))
  }

  @Test("Slices, joins and shuffles of channels are picked in one step", arguments: [20, 116])
  func selection(channels: Int) throws {
    var numbers = Numbers(seed: channels)
    let half = channels / 2
    let definition = graph(
      [declared("X", .float, [2, 3, 6, 5])],
      [
        node("Conv", ["X", "W"], ["a"]),
        node("Split", ["a", "halves"], ["b", "c"], ["axis": .int(1)]),
        node("Conv", ["c", "V"], ["d"]),
        node("Concat", ["b", "d"], ["e"], ["axis": .int(1)]),
        node("Reshape", ["e", "grouped"], ["f"]),
        node("Transpose", ["f"], ["g"], ["perm": .ints([0, 2, 1, 3, 4])]),
        node("Reshape", ["g", "flat"], ["h"]),
        node("Slice", ["h", "first", "last", "axis"], ["i"]),
        node("Conv", ["i", "U"], ["Y"]),
      ], [declared("Y")],
      constants: Self.constants([
        "W": [channels, 3, 1, 1], "V": [half, half, 1, 1], "U": [7, half + 2, 1, 1],
      ]).merging([
        "halves": Tensor([Int64(half), Int64(half)]),
        "grouped": Tensor([2, 2, Int64(half), 6, 5]), "flat": Tensor([2, Int64(channels), 6, 5]),
        "first": Tensor([Int64(half - 2)]), "last": Tensor([Int64.max]), "axis": Tensor([Int64(1)]),
      ]) { $1 })
    let results = try Self.run(definition, ["X": .tensor(numbers.tensor(2, 3, 6, 5))])
    Self.expectEqual(results)
    #expect(
      results.nodes == [
        "Conv", "SelectChannels", "Conv", "SelectChannels", "Conv", "UnblockChannels",
      ])
  }

  @Test("Groups of channels stay in blocks", arguments: [2, 8, 16])
  func groups(count: Int) throws {
    var numbers = Numbers(seed: count)
    let definition = graph(
      [declared("X", .float, [2, 3, 7, 6])],
      [
        node("Conv", ["X", "W"], ["a"]),
        node("Conv", ["a", "V"], ["b"], ["group": .int(count), "pads": .ints([1, 1, 1, 1])]),
        node(
          "ConvTranspose", ["b", "T"], ["c"], ["group": .int(count), "strides": .ints([2, 2])]),
        node("Relu", ["c"], ["Y"]),
      ], [declared("Y")],
      constants: Self.constants([
        "W": [32, 3, 1, 1], "V": [64, 32 / count, 3, 3], "T": [64, 32 / count, 3, 3],
      ]))
    let results = try Self.run(definition, ["X": .tensor(numbers.tensor(2, 3, 7, 6))])
    Self.expectEqual(results)
    // A transposed convolution to few channels makes planes.
    let isNarrow = 32 / count <= NarrowFilter.mostOutputs(BlockLayout())
    #expect(
      results.nodes.filter { $0.hasSuffix("Channels") } == (isNarrow ? [] : ["UnblockChannels"]))
  }

  @Test("Few channels are made in planes, and few of each group in blocks", arguments: 1...3)
  func fewChannels(count: Int) throws {
    var numbers = Numbers(seed: count)
    let pads: [String: Attribute] = ["pads": .ints([1, 1, 1, 1])]
    let definition = graph(
      [declared("X", .float, [2, 3, 17, 18])],
      [
        node("Conv", ["X", "W"], ["a"]),
        node("Conv", ["a", "G"], ["b"], pads.merging(["group": .int(8)]) { $1 }),
        node("Relu", ["b"], ["c"]),
        node("Conv", ["c", "V"], ["d"], pads),
        node("Conv", ["d", "F", "B"], ["e"], pads),
        node("Tanh", ["e"], ["f"]),
        node("ConvTranspose", ["d", "T"], ["g"], ["strides": .ints([2, 2])]),
        node("Relu", ["g"], ["Y"]),
      ], [declared("Y"), declared("f")],
      constants: Self.constants([
        "W": [32, 3, 1, 1], "G": [8 * count, 4, 3, 3], "V": [32, 8 * count, 3, 3],
        "F": [count, 32, 3, 3], "B": [count], "T": [32, count, 4, 4],
      ]))
    let results = try Self.run(definition, ["X": .tensor(numbers.tensor(2, 3, 17, 18))])
    Self.expectEqual(results)
    #expect(!results.nodes.contains("UnblockChannels"))
  }

  @Test(
    "Axes of extent 1 are no axes",
    arguments: [[40, 1], [1, 40], [9, 1, 8], [1, 9, 8], [1, 1, 12], [1, 1]])
  func unitAxes(_ extents: [Int]) throws {
    var numbers = Numbers(seed: extents.count)
    let kernel = extents.map { min($0, 3) }
    let pads = kernel.map { $0 / 2 }
    for stride in 1...2 {
      let definition = graph(
        [declared("X", .float, [2, 3] + extents)],
        [
          node("Conv", ["X", "W"], ["a"], ["strides": .ints(kernel.map { $0 > 1 ? stride : 3 })]),
          node("Conv", ["a", "V"], ["b"], ["pads": .ints(pads + pads)]),
          node("Relu", ["b"], ["Y"]),
        ], [declared("Y")],
        constants: Self.constants(["W": [20, 3] + kernel, "V": [17, 20] + kernel]))
      let results = try Self.run(definition, ["X": .tensor(numbers.tensor([2, 3] + extents))])
      Self.expectEqual(results)
      #expect(results.nodes == ["Conv", "Conv", "UnblockChannels"])
    }
  }

  @Test("An axis that seemed to have extent 1 may turn out longer")
  func axisThatGrows() throws {
    var numbers = Numbers(seed: 8)
    // A column for every 256 samples: shapes are probed with fewer.
    let definition = graph(
      [
        ValueDefinition(
          name: "X", type: .tensor(.float), shape: [.known(1), .known(20), .known(9), .symbol("T")])
      ],
      [
        node(
          "MaxPool", ["X"], ["a"],
          ["kernel_shape": .ints([1, 1]), "strides": .ints([1, 256])]),
        node(
          "Conv", ["a", "V"], ["b"], ["pads": .ints([2, 0, 2, 0]), "dilations": .ints([2, 1])]),
        node("Conv", ["b", "W"], ["Y"], ["group": .int(20), "pads": .ints([1, 0, 1, 0])]),
      ], [declared("Y")], constants: Self.constants(["V": [20, 20, 3, 1], "W": [20, 1, 3, 1]]))
    for length in [200, 1500] {
      let results = try Self.run(definition, ["X": .tensor(numbers.tensor(1, 20, 9, length))])
      Self.expectEqual(results)
      #expect(results.nodes.filter { $0.hasSuffix("Channels") }.count == 2)
    }
  }

  @Test("Transposed convolutions work phase by phase", arguments: 1...3)
  func transposed(stride: Int) throws {
    var numbers = Numbers(seed: stride)
    for (kernel, pad, extra) in [(stride, 0, 0), (4, 1, 0), (3, 1, stride - 1), (5, 4, 0)]
    where kernel >= stride {
      let definition = graph(
        [declared("X", .float, [2, 18, 5, 7])],
        [
          node("Conv", ["X", "W"], ["a"]),
          node(
            "ConvTranspose", ["a", "T", "B"], ["Y"],
            [
              "strides": .ints([stride, stride]), "pads": .ints([pad, pad, pad, pad]),
              "output_padding": .ints([extra, extra]),
            ]),
        ], [declared("Y")],
        constants: Self.constants(["W": [18, 18, 1, 1], "T": [18, 33, kernel, kernel], "B": [33]]))
      let results = try Self.run(definition, ["X": .tensor(numbers.tensor(2, 18, 5, 7))])
      Self.expectEqual(results)
    }
  }

  @Test("A wrong number of channels is told as the convolution would tell it")
  func wrongChannels() throws {
    let definition = graph(
      [declared("X", .float, nil)], [node("Conv", ["X", "W"], ["Y"])], [declared("Y")],
      constants: Self.constants(["W": [4, 20, 1, 1]]))
    let session = try Session(try model(definition))
    let error = #expect(throws: ModelError.self) {
      try session.run(["X": .tensor(Tensor(zeros: .float, [1, 19, 2, 2]))])
    }
    #expect(error?.message == "channels of X: expected 20, got 19")
  }

  @Test("An output of the graph inside a region has the layout of the file")
  func innerOutput() throws {
    var numbers = Numbers(seed: 4)
    let definition = graph(
      [declared("X", .float, [1, 20, 4, 4])],
      [node("Conv", ["X", "W"], ["Z"]), node("Conv", ["Z", "W"], ["Y"])],
      [declared("Y"), declared("Z")], constants: Self.constants(["W": [20, 20, 1, 1]]))
    let inputs: [String: Value] = ["X": .tensor(numbers.tensor(1, 20, 4, 4))]
    Self.expectEqual(try Self.run(definition, inputs, "Y"))
    Self.expectEqual(try Self.run(definition, inputs, "Z"))
  }

  @Test("Convolutions of a body are packed after its shapes were asked for")
  func convolutionsOfBodies() throws {
    var body = GraphDefinition()
    body.name = "body"
    body.inputs = [
      declared("i", .int64, []), declared("go", .bool, []), declared("v", .float, [1, 32, 6, 6]),
    ]
    body.nodes = [
      node("Conv", ["v", "W2"], ["n"], ["pads": .ints([1, 1, 1, 1])]),
      node("Identity", ["go"], ["goes"]),
    ]
    body.outputs = [declared("goes", .bool), declared("n")]
    let definition = graph(
      [declared("X", .float, [1, 3, 6, 6])],
      [
        node("Conv", ["X", "W1"], ["a"], ["pads": .ints([1, 1, 1, 1])]),
        node("Loop", ["count", "", "a"], ["b"], ["body": .graph(body)]),
        node("Conv", ["b", "W3"], ["Y"]),
      ], [declared("Y")],
      constants: Self.constants(["W1": [32, 3, 3, 3], "W2": [32, 32, 3, 3], "W3": [3, 32, 3, 3]])
        .merging(["count": Tensor(scalar: Int64(2))]) { $1 })
    var numbers = Numbers(seed: 4)
    Self.expectEqual(try Self.run(definition, ["X": .tensor(numbers.tensor(1, 3, 6, 6))]))
  }
}
