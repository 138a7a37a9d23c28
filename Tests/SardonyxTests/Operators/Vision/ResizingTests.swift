import Testing

@testable import Sardonyx

@Suite struct ResizingTests {
  private func resize(
    opset: Int = 19, _ x: Tensor, scales: [Float]? = nil, sizes: [Int64]? = nil,
    roi: [Float]? = nil, _ attributes: [String: Attribute] = [:]
  ) throws -> Tensor {
    let scales = scales.map { Tensor($0) }
    if opset == 10 { return try run("Resize", opset: 10, [x, scales], attributes) }
    return try run(
      "Resize", opset: opset, [x, roi.map { Tensor($0) }, scales, sizes.map { Tensor($0) }],
      attributes)
  }

  static let row = Tensor([Float(1), 2, 3, 4])

  @Test func theNearestElement() throws {
    #expect(try resize(Self.row, scales: [2]).floats == [1, 1, 2, 2, 3, 3, 4, 4])
    let texts = try resize(Tensor(strings: ["a", "b"], [2]), sizes: [4]).strings()
    #expect(texts == ["a", "a", "b", "b"])
    func mode(_ name: String) throws -> [Float] {
      try resize(
        Self.row, sizes: [8],
        [
          "nearest_mode": .string(name), "coordinate_transformation_mode": .string("asymmetric"),
        ]
      ).floats
    }
    #expect(try mode("floor") == [1, 1, 2, 2, 3, 3, 4, 4])
    #expect(try mode("ceil") == [1, 2, 2, 3, 3, 4, 4, 4])
    #expect(try mode("round_prefer_floor") == [1, 1, 2, 2, 3, 3, 4, 4])
    #expect(try mode("round_prefer_ceil") == [1, 2, 2, 3, 3, 4, 4, 4])
  }

  @Test(
    "Single precision, in planes and in blocks, agrees with double",
    arguments: ["nearest", "linear", "cubic"],
    ["half_pixel", "asymmetric", "align_corners", "tf_crop_and_resize"])
  func kernelsAgree(mode: String, mapping: String) throws {
    for (sizes, antialias) in [
      ([2, 20, 14, 18], 0), ([2, 20, 5, 27], 0), ([2, 20, 3, 4], 1), ([2, 20, 1, 9], 0),
    ] where antialias == 0 || mode != "nearest" {
      let attributes: [String: Attribute] = [
        "mode": .string(mode), "coordinate_transformation_mode": .string(mapping),
        "antialias": .int(antialias), "extrapolation_value": .float(0.25),
      ]
      func resized(_ type: ElementType, blocks: Bool) throws -> [Float] {
        let x = Tensor(
          converting: randomTensor([2, 20, 7, 9]).converted(to: Double.self), to: type,
          [2, 20, 7, 9])
        let weights = Tensor(
          converting: (0..<400).map { $0 % 21 == 0 ? 1 : 0 }, to: type, [20, 20, 1, 1])
        let roi = Tensor(
          converting: [0, 0, 0.1, -0.2, 1, 1, 0.8, 1.1], to: type, [8])
        let model = try model(
          graph(
            [declared("x", type, [2, 20, 7, 9])],
            [
              node("Conv", ["x", "w"], ["a"]),
              node("Resize", ["a", "roi", "", "sizes"], ["b"], attributes),
              node("Conv", ["b", "w"], ["y"]),
            ], [declared("y", type)],
            constants: ["w": weights, "roi": roi, "sizes": Tensor(sizes.map { Int64($0) })]),
          opset: 18)
        var options = Session.Options()
        options.usesBlocks = blocks
        let session = try Session(model, options: options)
        let reorders = session.graph.nodes.filter { $0.operatorName.hasSuffix("Channels") }
        #expect(reorders.count == (blocks ? 2 : 0) || type == .double)
        return try session.run(["x": .tensor(x)])["y"]!.tensor!.converted(to: Float.self)
      }
      let expected = try resized(.double, blocks: false)
      for blocks in [true, false] {
        let y = try resized(.float, blocks: blocks)
        let worst = zip(y, expected).map { abs($0 - $1) }.max() ?? 1
        #expect(y.count == expected.count && worst < 2e-6, "\(mode) \(mapping) \(sizes) \(worst)")
      }
    }
  }

  /// Where an output lies among the inputs, as a fraction of whole numbers.
  private static func point(_ mapping: String, _ place: Int, _ input: Int, _ output: Int)
    -> (numerator: Int, denominator: Int)
  {
    switch mapping {
    case "asymmetric": (place * input, output)
    case "align_corners" where output > 1: (place * (input - 1), output - 1)
    case "tf_half_pixel_for_nn": ((2 * place + 1) * input, 2 * output)
    case "align_corners" where output == 1, "pytorch_half_pixel" where output == 1: (0, 1)
    default: ((2 * place + 1) * input - output, 2 * output)
    }
  }

  private static func rounded(_ mode: String, _ numerator: Int, _ denominator: Int) -> Int {
    func floor(_ a: Int, _ b: Int) -> Int { (a - ((a % b) + b) % b) / b }
    switch mode {
    case "floor": return floor(numerator, denominator)
    case "ceil": return -floor(-numerator, denominator)
    case "round_prefer_ceil": return floor(2 * numerator + denominator, 2 * denominator)
    default: return -floor(-(2 * numerator - denominator), 2 * denominator)
    }
  }

  @Test(
    "Boundaries between elements are met exactly, whether sizes or scales say how far",
    arguments: [
      "asymmetric", "align_corners", "half_pixel", "pytorch_half_pixel", "half_pixel_symmetric",
      "tf_half_pixel_for_nn",
    ])
  func boundariesAreExact(_ mapping: String) throws {
    for mode in ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"] {
      let attributes: [String: Attribute] = [
        "nearest_mode": .string(mode), "coordinate_transformation_mode": .string(mapping),
      ]
      for input in [1, 2, 3, 7, 11, 14, 15, 49] {
        let x = counting(input)
        for output in 1...26 {
          let expected = (0..<output).map { place in
            // What keeps its extent keeps its elements.
            if input == output { return Float(place) }
            let (numerator, denominator) = Self.point(mapping, place, input, output)
            return Float(min(max(Self.rounded(mode, numerator, denominator), 0), input - 1))
          }
          #expect(try resize(x, sizes: [Int64(output)], attributes).floats == expected)
          let scale = Float(output) / Float(input)
          guard scale * Float(input) == Float(output) else { continue }
          #expect(try resize(x, scales: [scale], attributes).floats == expected)
        }
      }
    }
  }

  @Test func cuttingOutTheWholeLeavesNothingOutside() throws {
    for mode in ["nearest", "linear"] {
      let attributes: [String: Attribute] = [
        "mode": .string(mode), "extrapolation_value": .float(-1),
        "coordinate_transformation_mode": .string("tf_crop_and_resize"),
      ]
      for input in 1...40 {
        for output in 1...40 {
          let y = try resize(
            counting(input), sizes: [Int64(output)], roi: [0, 1], attributes
          ).floats
          #expect(!y.contains(-1))
          #expect(output == 1 || y.last == Float(input - 1))
        }
      }
      let middle = try resize(counting(49), sizes: [1], roi: [0, 1], attributes)
      #expect(middle.floats == [24])
      let part = try resize(counting(11), sizes: [2], roi: [0.2, 1], attributes)
      #expect(part.floats == [2, 10])
    }
  }

  @Test func extentsAreRoundedHalfUpToKeepTheAspect() throws {
    for numerator in 1...12 {
      for denominator in numerator...12 {
        let y = try resize(
          Tensor(zeros: .float, [denominator, 63]), sizes: [Int64(numerator), 63],
          ["keep_aspect_ratio_policy": .string("not_larger")])
        #expect(y.shape == [numerator, (2 * 63 * numerator + denominator) / (2 * denominator)])
      }
    }
  }

  @Test func statedScalesAreSinglePrecision() throws {
    // 10 · 0.7 is 7 there, and 6.99999988 in double precision.
    #expect(try resize(counting(10), scales: [0.7]).shape == [7])
    let x = Tensor(zeros: .float, [1, 1, 10, 10])
    #expect(
      try run("Upsample", opset: 9, [x, Tensor([Float(1), 1, 0.7, 0.7])]).shape == [1, 1, 7, 7])
  }

  @Test func planesGrowByWholeFactors() throws {
    let x = counting(1, 1, 2, 2)
    let y = try resize(x, scales: [1, 1, 2, 3])
    #expect(y.floats == [0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 2, 2, 2, 3, 3, 3])
  }

  @Test func version10RoundsUpWhenShrinking() throws {
    #expect(try resize(opset: 10, Self.row, scales: [0.6]).floats == [1, 3])
    #expect(try resize(opset: 10, Self.row, scales: [1.5]).floats == [1, 1, 2, 3, 3, 4])
  }

  @Test func linearInterpolation() throws {
    func mapped(_ name: String) throws -> [Float] {
      try resize(
        Tensor([Float(0), 4]), sizes: [4],
        ["mode": .string("linear"), "coordinate_transformation_mode": .string(name)]
      ).floats
    }
    #expect(try mapped("half_pixel") == [0, 1, 3, 4])
    #expect(try mapped("pytorch_half_pixel") == [0, 1, 3, 4])
    #expect(try mapped("half_pixel_symmetric") == [0, 1, 3, 4])
    #expect(try mapped("asymmetric") == [0, 2, 4, 4])
    let corners = try mapped("align_corners")
    #expect(zip(corners, [0, 4.0 / 3, 8.0 / 3, 4]).allSatisfy { abs($0 - $1) < 1e-6 })
  }

  @Test func aRegionIsCutOutAndTheOutsideFilled() throws {
    let y = try resize(
      Self.row, sizes: [3], roi: [0.5, 1.5],
      [
        "mode": .string("linear"), "extrapolation_value": .float(-1),
        "coordinate_transformation_mode": .string("tf_crop_and_resize"),
      ])
    #expect(y.floats == [2.5, 4, -1])
    #expect(throws: ModelError(.mismatch, "elements of roi: expected 2, got 1")) {
      try resize(
        Self.row, sizes: [3], roi: [0.5],
        ["coordinate_transformation_mode": .string("tf_crop_and_resize")])
    }
  }

  @Test func cubicInterpolationKeepsALine() throws {
    let line = counting(12)
    let y = try resize(
      line, scales: [2],
      ["mode": .string("cubic"), "cubic_coeff_a": .float(-0.5)])
    for index in 6..<18 { #expect(abs(y.floats[index] - (Float(index) / 2 - 0.25)) < 1e-5) }
    let inside = try resize(
      line, scales: [2], ["mode": .string("cubic"), "exclude_outside": .int(1)])
    #expect(inside.floats != y.floats && inside.floats[0].isFinite)
  }

  @Test func antialiasingSeesAllThatIsLeftOut() throws {
    let x = Tensor([Float(0), 0, 12, 0, 0, 0])
    let attributes: [String: Attribute] = ["mode": .string("linear")]
    #expect(try resize(x, sizes: [2], attributes).floats == [0, 0])
    let smooth = try resize(x, sizes: [2], attributes.merging(["antialias": .int(1)]) { $1 })
    #expect(smooth.floats[0] > 1 && smooth.floats[1] > 0)
  }

  @Test func theAspectMayBeKept() throws {
    let x = Tensor(zeros: .float, [1, 1, 4, 8])
    func shape(_ policy: String) throws -> Shape {
      try resize(
        x, sizes: [6, 6],
        ["axes": .ints([2, 3]), "keep_aspect_ratio_policy": .string(policy)]
      ).shape
    }
    #expect(try shape("stretch") == [1, 1, 6, 6])
    #expect(try shape("not_larger") == [1, 1, 3, 6])
    #expect(try shape("not_smaller") == [1, 1, 6, 12])
  }

  @Test func integersRoundAndStayInBounds() throws {
    let x = Tensor([UInt8(0), 255, 0, 0])
    let y = try resize(x, scales: [2], ["mode": .string("cubic")])
    #expect(y.array(of: UInt8.self) == [0, 67, 224, 224, 67, 0, 0, 0])
  }

  @Test func emptyAndWrongInputs() throws {
    #expect(try resize(Tensor(zeros: .float, [0, 2]), scales: [1, 2]).shape == [0, 4])
    #expect(throws: ModelError(.mismatch, "extent of a resized axis: expected at least 1, got 0")) {
      try resize(Tensor(zeros: .float, [2, 0]), sizes: [2, 3])
    }
    #expect(throws: ModelError(.mismatch, "sizes: expected 1 numbers from 0 on, got [2,3]")) {
      try resize(Self.row, sizes: [2, 3])
    }
    #expect(throws: ModelError(.mismatch, "scales: expected 1 positive numbers, got [0.0]")) {
      try resize(Self.row, scales: [0])
    }
  }

  @Test func upsamplingInEachVersion() throws {
    let x = counting(1, 1, 1, 2)
    let first = try run(
      "Upsample", opset: 1, [x], ["height_scale": .float(2), "width_scale": .float(1.5)])
    #expect(first.floats == [0, 0, 1, 0, 0, 1])
    let seventh = try run("Upsample", opset: 7, [x], ["scales": .floats([1, 1, 2, 1])])
    #expect(seventh.floats == [0, 1, 0, 1])
    let ninth = try run(
      "Upsample", opset: 9, [x, Tensor([Float(1), 1, 1, 2])], ["mode": .string("linear")])
    #expect(ninth.floats == [0, 0.5, 1, 1])
  }
}

@Suite struct GridSampleTests {
  static let square = Tensor([Float(1), 2, 3, 4], [1, 1, 2, 2])

  private func sample(
    _ points: [Float], opset: Int = 22, _ attributes: [String: Attribute] = [:]
  ) throws -> [Float] {
    let grid = Tensor(points, [1, 1, points.count / 2, 2])
    return try run("GridSample", opset: opset, [Self.square, grid], attributes).floats
  }

  @Test func cornersAreAtTheEdgesOrInTheMiddleOfPixels() throws {
    #expect(try sample([0, 0, -0.5, -0.5, 0.5, 0.5]) == [2.5, 1, 4])
    #expect(try sample([-1, -1, 1, 1], ["align_corners": .int(1)]) == [1, 4])
    #expect(try sample([-1, -1]) == [0.25])
  }

  @Test func beyondTheBordersPaddingDecides() throws {
    let points: [Float] = [-3, -0.5, 3, 0.5]
    #expect(try sample(points) == [0, 0])
    #expect(try sample(points, ["padding_mode": .string("border")]) == [1, 4])
    #expect(try sample(points, ["padding_mode": .string("reflection")]) == [2, 3])
    #expect(try sample([.nan, 0]) == [0])
  }

  /// A cubic curve through elements of which those outside are the outermost again, as PyTorch draws it.
  @Test func betweenABorderAndItsCopiesACurveBends() throws {
    let attributes: [String: Attribute] = [
      "mode": .string("cubic"), "padding_mode": .string("border"), "align_corners": .int(1),
    ]
    let bent = try sample([-1.5, -1, -1, -1.5, 1.5, 1, -7, -7, 1e30, 1e30], attributes)
    let expected: [Float] = [0.89453125, 0.7890625, 4.10546875, 1, 4]
    #expect(zip(bent, expected).allSatisfy { abs($0 - $1) < 1e-6 }, "\(bent)")
  }

  /// The kernels, for single precision, against point by point, for double.
  @Test(arguments: ["nearest", "linear", "cubic"], ["zeros", "border", "reflection"])
  func pointsTogetherAreThoseOneByOne(mode: String, padding: String) throws {
    var numbers = Numbers(seed: 4)
    for (extents, places) in [([7], [70]), ([5, 6], [9, 15]), ([3, 4, 5], [2, 3, 23])] {
      var x = numbers.tensor([2, 3] + extents).floats
      x[1] = .infinity
      let points = [2] + places + [extents.count]
      var grid = numbers.tensor(points).floats.map { $0 * 1.5 }
      (grid[0], grid[9], grid[17], grid[21]) = (.nan, .infinity, -1, 1)
      for alignCorners in [0, 1] {
        let attributes: [String: Attribute] = [
          "mode": .string(mode), "padding_mode": .string(padding),
          "align_corners": .int(alignCorners),
        ]
        let (shape, given) = ([2, 3] + extents, Tensor(grid, points))
        let got = try run("GridSample", opset: 20, [Tensor(x, shape), given], attributes).floats
        let expected: [Double] = try run(
          "GridSample", opset: 20, [Tensor(x.map { Double($0) }, shape), given], attributes
        ).elements()
        #expect(got.count == expected.count)
        for (number, wanted) in zip(got, expected) {
          #expect(
            number == Float(wanted) || number.isNaN && wanted.isNaN
              || abs(number - Float(wanted)) <= 1e-6 * max(1, abs(number)))
        }
      }
    }
  }

  @Test(arguments: [1, 4, 16]) func pointsAreInterpolatedOnEveryInstructionSet(taps: Int) {
    let (planes, points, size) = (3, 150, 40)
    var numbers = Numbers(seed: 8)
    let x = numbers.tensor([2, planes, size]).floats
    let places = (0..<2 * points * taps).map { ($0 * 7919) % (size + 5) - 5 }
    let weights = numbers.tensor([2 * points * taps]).floats.map { taps == 1 ? 1 : Double($0) }
    for instructions in InstructionSet.available {
      var y = [Float](repeating: .nan, count: 2 * planes * points)
      unsafe y.withUnsafeMutableBufferPointer { y in
        unsafe x.withUnsafeBufferPointer { x in
          unsafe PointTaps.interpolate(
            taps: taps, batch: 2, planes: planes, points: points, planeSize: size,
            x.baseAddress!, into: y.baseAddress!,
            on: Crew(threads: 2, instructions: instructions)
          ) { image, point, table, index in
            for tap in 0..<taps {
              let number = (image * points + point) * taps + tap
              table.set(tap, of: index, places[number], weights[number])
            }
          }
        }
      }
      for place in y.indices {
        let (plane, point) = place.quotientAndRemainder(dividingBy: points)
        let expected = (0..<taps).reduce(0.0) { sum, tap in
          let number = (plane / planes * points + point) * taps + tap
          guard places[number] >= 0 else { return sum }
          return sum + weights[number] * Double(x[plane * size + places[number]])
        }
        #expect(abs(Double(y[place]) - expected) < 1e-5, "\(instructions.name)")
      }
    }
  }

  @Test func modesHadOtherNamesBefore() throws {
    let points: [Float] = [0.25, -0.75]
    for (old, new) in [("bilinear", "linear"), ("bicubic", "cubic"), ("nearest", "nearest")] {
      #expect(
        try sample(points, opset: 16, ["mode": .string(old)])
          == sample(points, opset: 20, ["mode": .string(new)]))
    }
  }

  @Test func theIdentityGivesTheImageBack() throws {
    for alignCorners in [0, 1] {
      let theta = Tensor([Float(1), 0, 0, 0, 1, 0], [1, 2, 3])
      let attributes: [String: Attribute] = ["align_corners": .int(alignCorners)]
      let grid = try run("AffineGrid", [theta, Tensor([Int64(1), 1, 2, 2])], attributes)
      #expect(try run("GridSample", [Self.square, grid], attributes).isClose(to: [1, 2, 3, 4]))
    }
    #expect(throws: ModelError(.mismatch, "shape of theta: expected [2,2,3], got [1,2,3]")) {
      try run(
        "AffineGrid", [Tensor(zeros: .float, [1, 2, 3]), Tensor([Int64(2), 1, 2, 2])])
    }
  }
}
