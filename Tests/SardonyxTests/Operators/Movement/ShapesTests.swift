import Testing

@testable import Sardonyx

@Suite struct ShapesTests {
  private let x = Tensor((0..<24).map(Float.init), [2, 3, 4])

  @Test(arguments: [
    ([:], [2, 3, 4]), (["start": 1], [3, 4]), (["start": -1], [4]), (["end": -1], [2, 3]),
    (["start": 2, "end": 1], []), (["start": -9, "end": 9], [2, 3, 4]),
    (["start": .min, "end": .max], [2, 3, 4]),
  ])
  func shapeTellsExtentsBetweenClampedBounds(bounds: [String: Int], expected: [Int]) throws {
    let shape = try run("Shape", [x], bounds.mapValues { .int($0) })
    #expect(try shape.elements() == expected.map(Int64.init))
  }

  @Test func sizeCountsElements() throws {
    #expect(try run("Size", [x]).elements() == [Int64(24)])
    #expect(try run("Size", [Tensor([Float](), [0, 5])]).elements() == [Int64(0)])
    #expect(try run("Size", [Tensor(scalar: true)]).shape == [])
  }

  @Test(arguments: [
    ([6, 4], [6, 4]), ([0, -1], [2, 12]), ([-1], [24]), ([0, 0, 2, 2], [2, 3, 2, 2]),
    ([4, -1, 3, 1], [4, 2, 3, 1]),
  ])
  func reshapeInfersAndCopiesExtents(requested: [Int], expected: [Int]) throws {
    let y = try run("Reshape", [x, Tensor(requested.map(Int64.init))])
    #expect(y.shape == expected)
    #expect(try y.elements() == x.elements(of: Float.self))
    let old = try run("Reshape", opset: 1, [x], ["shape": .ints(requested)])
    #expect(old.shape == expected)
  }

  @Test func reshapeOfNothing() throws {
    let empty = Tensor([Float](), [0, 3])
    #expect(try run("Reshape", [empty, ints(0, -1)]).shape == [0, 0])
    #expect(try run("Reshape", [empty, ints(3, 0)], ["allowzero": .int(1)]).shape == [3, 0])
    #expect(try run("Reshape", [empty, ints(3, -1)]).shape == [3, 0])
    #expect(try run("Reshape", [Tensor(scalar: Float(1)), ints()]).shape == [])
  }

  @Test func reshapeSaysWhatDoesNotFit() {
    #expect(
      message { try run("Reshape", [x, ints(5, 5)]) }
        == "shape: expected 24 elements, as [2,3,4] has, got [5,5]")
    #expect(
      message { try run("Reshape", [x, ints(5, -1)]) }
        == "shape: expected 24 elements, as [2,3,4] has, got [5,-1]")
    #expect(
      message { try run("Reshape", [x, ints(-1, -1)]) }
        == "shape: expected 24 elements, as [2,3,4] has, got [-1,-1]")
    #expect(
      message { try run("Reshape", [x, ints(.max, .max)]) }
        == "shape: expected 24 elements, as [2,3,4] has, got [\(Int.max),\(Int.max)]")
    #expect(
      message { try run("Reshape", [x, ints(0, -1)], ["allowzero": .int(1)]) }
        == "shape: expected not both 0 and -1 where allowzero is set, got [0,-1]")
  }

  @Test(arguments: [(0, [1, 24]), (1, [2, 12]), (3, [24, 1]), (-1, [6, 4]), (-3, [1, 24])])
  func flattenSplitsTheAxes(axis: Int, expected: [Int]) throws {
    #expect(try run("Flatten", [x], ["axis": .int(axis)]).shape == expected)
  }

  @Test func flattenBeforeVersion11DoesNotCountBack() {
    #expect(
      message { try run("Flatten", opset: 9, [x], ["axis": .int(-1)]) }
        == "axis: expected 0 to 3, got -1")
  }

  @Test func squeezeDropsAxesOfExtentOne() throws {
    let thin = x.reshaped([1, 2, 1, 12])
    #expect(try run("Squeeze", [thin]).shape == [2, 12])
    #expect(try run("Squeeze", [thin, ints(-2)]).shape == [1, 2, 12])
    #expect(try run("Squeeze", opset: 11, [thin], ["axes": .ints([0, -2])]).shape == [2, 12])
    #expect(
      message { try run("Squeeze", [thin, ints(1)]) }
        == "extent of squeezed axis 1: expected 1, got 2")
    #expect(
      message { try run("Squeeze", [thin, ints(4)]) } == "axes: expected -4 to 3, got 4")
  }

  @Test func unsqueezeCountsAxesOfTheOutput() throws {
    #expect(try run("Unsqueeze", [x, ints(0, -1)]).shape == [1, 2, 3, 4, 1])
    #expect(try run("Unsqueeze", [x, ints(4, 1)]).shape == [2, 1, 3, 4, 1])
    #expect(try run("Unsqueeze", opset: 1, [x], ["axes": .ints([3])]).shape == [2, 3, 4, 1])
    #expect(
      message { try run("Unsqueeze", [x, ints(1, 1)]) }
        == "axes: expected each axis once, got [1,1]")
  }

  @Test func identityHandsOnAnyValue() throws {
    let words = Tensor(strings: ["a", ""], [2])
    #expect(try run("Identity", [words]).strings() == ["a", ""])
    let sequence = Value.sequence([.tensor(x)], of: .tensor(.float))
    let copy = try run("Identity", [sequence])[0]
    #expect(copy?.type == .sequence(.tensor(.float)))
  }
}
