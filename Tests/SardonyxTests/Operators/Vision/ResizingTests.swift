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
