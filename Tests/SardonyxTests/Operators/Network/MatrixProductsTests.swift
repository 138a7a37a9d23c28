import Testing

@testable import Sardonyx

@Suite struct MatrixProductsTests {
  @Test func vectorsAndBatchesFollowNumpy() throws {
    let a = counting(2, 3)
    #expect(try run("MatMul", [a, counting(3, 2)]).floats == [10, 13, 28, 40])
    let vector = Tensor([Float(1), 2, 3])
    #expect(try run("MatMul", [a, vector]).floats == [8, 26])
    #expect(try run("MatMul", [Tensor([Float(1), 2]), a]).floats == [6, 9, 12])
    let scalar = try run("MatMul", [vector, vector])
    #expect(scalar.shape == [] && scalar.floats == [14])
    let batch = try run("MatMul", [counting(2, 1, 1, 2), counting(3, 2, 1)])
    #expect(batch.shape == [2, 3, 1, 1] && batch.floats == [1, 3, 5, 3, 13, 23])
    #expect(
      try run("MatMul", [Tensor(zeros: .float, [2, 0]), Tensor(zeros: .float, [0, 3])]).floats
        == [Float](repeating: 0, count: 6))
  }

  @Test func integersWrap() throws {
    let a = Tensor([Int32.max, 2], [1, 2])
    let y = try run("MatMul", [a, Tensor([Int32(2), 3], [2, 1])])
    #expect(y.array(of: Int32.self) == [4])
  }

  @Test func wrongShapesAreTold() throws {
    #expect(throws: ModelError(.mismatch, "rows of B: expected 3, got 2")) {
      try run("MatMul", [counting(2, 3), counting(2, 2)])
    }
    #expect(throws: ModelError(.mismatch, "rank of A: expected at least 1, got 0")) {
      try run("MatMul", [Tensor(scalar: Float(1)), counting(2)])
    }
  }

  @Test(
    arguments: [
      [[5, 7], [7, 3]], [[2, 5, 7], [7, 33]], [[3, 2, 5, 7], [2, 7, 4]], [[65], [65, 2]],
      [[4, 17], [17]], [[1, 1, 300], [300, 40]],
    ], [false, true])
  func productsOfSinglePrecisionAgreeWithDouble(shapes: [[Int]], constants: Bool) throws {
    var numbers = Numbers(seed: 11)
    let inputs = shapes.map { numbers.tensor($0) }
    #expect(try differenceOfFastAndPlain("MatMul", inputs, constants: constants) < 2e-6)
  }

  @Test func generalProductsScaleTransposeAndAdd() throws {
    let (a, b) = (counting(2, 3), counting(3, 2))
    let c = Tensor([Float(1), 2])
    let attributes: [String: Attribute] = ["alpha": .float(2), "beta": .float(10)]
    #expect(try run("Gemm", [a, b, c], attributes).floats == [30, 46, 66, 100])
    let transposed = attributes.merging(["transA": .int(1), "transB": .int(1)]) { $1 }
    let y = try run("Gemm", [counting(3, 2), counting(2, 3), Tensor(scalar: Float(1))], transposed)
    #expect(y.floats == [30, 66, 36, 90])
    #expect(try run("Gemm", [a, b]).floats == [10, 13, 28, 40])
    let column = try run("Gemm", [a, b, Tensor([Float(1), 2], [2, 1])])
    #expect(column.floats == [11, 14, 30, 42])
  }

  @Test func beforeVersion7TheAddendBroadcastsOnlyIfAsked() throws {
    let inputs = [counting(2, 3), counting(3, 2), Tensor([Float(1), 2])]
    #expect(throws: ModelError(.mismatch, "shape of C: expected [2,2], got [2]")) {
      try run("Gemm", opset: 6, inputs)
    }
    let y = try run("Gemm", opset: 6, inputs, ["broadcast": .int(1)])
    #expect(y.floats == [11, 15, 29, 42])
    #expect(
      throws: ModelError(
        .mismatch, "shape of C: expected one that broadcasts to [2,2], got [3]")
    ) { try run("Gemm", [counting(2, 3), counting(3, 2), counting(3)]) }
  }

  @Test(arguments: [0, 1], [0, 1])
  func generalProductsOfSinglePrecisionAgreeWithDouble(transA: Int, transB: Int) throws {
    var numbers = Numbers(seed: 12)
    let attributes: [String: Attribute] = [
      "transA": .int(transA), "transB": .int(transB), "alpha": .float(0.5), "beta": .float(-2),
    ]
    for shape in [[9], [1, 9], [5, 1], [5, 9], [1], []] {
      for constants in [false, true] {
        let inputs = [
          numbers.tensor(transA == 1 ? [17, 5] : [5, 17]),
          numbers.tensor(transB == 1 ? [9, 17] : [17, 9]), numbers.tensor(shape),
        ]
        let difference = try differenceOfFastAndPlain(
          "Gemm", inputs, attributes, constants: constants)
        #expect(difference < 2e-6)
      }
    }
  }

  @Test func integerProductsScaleToo() throws {
    let a = Tensor([Int32(3)], [1, 1])
    let y = try run("Gemm", [a, a, a], ["alpha": .float(0.5), "beta": .float(2)])
    #expect(y.array(of: Int32.self) == [10])
  }

  @Test func determinants() throws {
    let x = Tensor([Float(1), 2, 3, 4, 0, 1, 1, 0], [2, 2, 2])
    #expect(try run("Det", [x]).isClose(to: [-2, -1]))
    #expect(try run("Det", [Tensor([Float(1), 2, 2, 4], [2, 2])]).floats == [0])
    #expect(try run("Det", [Tensor(zeros: .float, [0, 0])]).floats == [1])
    #expect(throws: ModelError(.mismatch, "shape of X: expected […,M,M], got [2,3]")) {
      try run("Det", [counting(2, 3)])
    }
  }
}

@Suite struct EinsumTests {
  private func einsum(_ equation: String, _ inputs: Tensor...) throws -> Tensor {
    try run("Einsum", inputs, ["equation": .string(equation)])
  }

  @Test func sumsAndTransposes() throws {
    #expect(try einsum("ij->ji", counting(2, 3)).floats == [0, 3, 1, 4, 2, 5])
    #expect(try einsum("ij->i", counting(2, 3)).floats == [3, 12])
    #expect(try einsum("ij->", counting(2, 3)).floats == [15])
    #expect(try einsum(" i j -> j ", counting(2, 3)).floats == [3, 5, 7])
  }

  @Test func repeatedLettersAreDiagonals() throws {
    #expect(try einsum("ii->i", counting(3, 3)).floats == [0, 4, 8])
    #expect(try einsum("ii", counting(3, 3)).floats == [12])
    #expect(try einsum("iij->j", counting(2, 2, 2)).floats == [6, 8])
  }

  @Test func withoutAnArrowLettersAreSorted() throws {
    #expect(try einsum("ba", counting(2, 3)).floats == [0, 3, 1, 4, 2, 5])
    #expect(try einsum("ij,jk", counting(2, 3), counting(3, 2)).floats == [10, 13, 28, 40])
    #expect(try einsum("b,A", counting(2), counting(2)).shape == [2, 2])
    #expect(try einsum("...ba", counting(2, 1, 3)).shape == [2, 3, 1])
  }

  @Test func productsOfManyOperands() throws {
    let y = try einsum("i,ij,j->", counting(2), counting(2, 3), counting(3))
    #expect(y.floats == [14])
    let outer = try einsum("i,j->ij", Tensor([Float(1), 2]), Tensor([Float(3), 4]))
    #expect(outer.floats == [3, 4, 6, 8])
    let hadamard = try einsum("ij,ij->ij", counting(2, 2), counting(2, 2))
    #expect(hadamard.floats == [0, 1, 4, 9])
  }

  @Test func theEllipsisBroadcasts() throws {
    let y = try einsum("...ij,...jk->...ik", counting(2, 1, 1, 2), counting(3, 2, 1))
    #expect(y.shape == [2, 3, 1, 1] && y.floats == [1, 3, 5, 3, 13, 23])
    #expect(try einsum("...j->j...", counting(2, 3)).shape == [3, 2])
    #expect(try einsum("...,...->...", counting(2, 3), counting(3)).floats == [0, 1, 4, 0, 4, 10])
  }

  /// Copies, sums, products of matrices and of elements against one index after the other.
  @Test(arguments: [
    "ij->ij", "ij->ji", "ijk->i", "ijk->j", "ijk->k", "ijk->ik", "ijk->kj", "ijk->", "iij->ji",
    "ij,jk->ik", "ij,jk->ki", "ji,jk->ik", "ij,kj->ik", "bij,bjk->bik", "bijk,bljk->bjil",
    "btnh,bfnh->bnft", "bnft,btnh->bfnh", "ij,kl->ijkl", "ij,kl->lkji", "ij,ij->ij", "ij,ij->",
    "ij,j->ij", "ij,j->i", "i,ij,j->", "ij,jk,kl->il", "ij,jk,kl->li", "ijk,jk->kj", "ijk,kj->i",
    "abc,cd,def->abef", "ij,kj,lj->ikl", "ij,kj,lj->lki", "abcd,aecd->abe", "...ij,...jk->...ik",
    "...ij,...kj->ki...", "ii,ij->j",
  ])
  func programsAreThoseOfTheDefinition(equation: String) throws {
    let letters: [Character: Int] = [
      "a": 2, "b": 3, "c": 4, "d": 5, "e": 2, "f": 7, "h": 9, "i": 6, "j": 5, "k": 8, "l": 3,
      "n": 2, "t": 17,
    ]
    let terms = equation.split(separator: "->", omittingEmptySubsequences: false)[0]
    var numbers = Numbers(seed: 3)
    let inputs = terms.split(separator: ",").map { term in
      numbers.tensor((term.hasPrefix("...") ? [2] : []) + term.compactMap { letters[$0] })
    }
    let expected = try run(
      "Einsum",
      inputs.map { Tensor(converting: $0.floats.map { Double($0) }, to: .double, $0.shape) },
      ["equation": .string(equation)])
    let got = try run("Einsum", inputs, ["equation": .string(equation)])
    #expect(got.shape == expected.shape)
    for (number, wanted) in zip(got.floats, try expected.elements(of: Double.self)) {
      #expect(abs(Double(number) - wanted) < 1e-4, "\(equation)")
    }
  }

  @Test func malformedEquationsAreTold() throws {
    #expect(
      throws: ModelError(
        .invalid,
        "attribute equation: expected letters, one ... a term, commas and one ->, got \"i->j->k\"")
    ) { try einsum("i->j->k", counting(2)) }
    #expect(throws: ModelError(.mismatch, "extent of index i: expected 2, got 3")) {
      try einsum("i,i->i", counting(2), counting(3))
    }
    #expect(throws: ModelError(.mismatch, "operands: expected 2, got 1")) {
      try einsum("i,j->i", counting(2))
    }
    #expect(
      throws: ModelError(
        .invalid, "the output of the equation: expected each index once and from an operand")
    ) { try einsum("i->j", counting(2)) }
    #expect(
      throws: ModelError(
        .mismatch, "rank of an operand: expected 1 as its term has letters, got 2")
    ) { try einsum("i->i", counting(2, 2)) }
  }
}
