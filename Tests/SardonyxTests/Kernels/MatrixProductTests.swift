import Testing

@testable import Sardonyx

extension Kernels {
  @Suite("Matrix products") struct MatrixProductTests {
    struct Case: Sendable, CustomTestStringConvertible {
      var rows: Int
      var columns: Int
      var depth: Int
      var turnedLeft = false
      var turnedRight = false
      var packedLeft = false
      var packedRight = false
      var alpha: Float = 1
      var beta: Float = 0
      var hasEpilogue = false

      var testDescription: String { "\(rows)×\(columns)×\(depth)" }
    }

    static let cases: [Case] = {
      var numbers = Numbers(seed: 1)
      var cases = (0..<60).map { index in
        Case(
          rows: numbers.next(in: 1...70), columns: numbers.next(in: 1...100),
          depth: numbers.next(in: 0...90), turnedLeft: index % 2 == 0, turnedRight: index % 3 == 0,
          packedLeft: index % 5 == 0, packedRight: index % 7 == 0, alpha: index % 4 == 0 ? 0.5 : 1,
          beta: index % 6 == 0 ? 2 : 0, hasEpilogue: index % 2 == 1)
      }
      for (rows, columns, depth) in [
        (1, 1, 1), (1, 1000, 300), (300, 1, 500), (3, 200, 400), (2, 33, 1), (500, 40, 800),
        (40, 500, 800), (257, 259, 769), (0, 5, 5), (5, 0, 5), (130, 7, 4000), (33, 300, 1024),
        (100, 257, 2048),
      ] {
        for turned in [false, true] {
          for packed in [false, true] {
            for hasEpilogue in [false, true] {
              cases.append(
                Case(
                  rows: rows, columns: columns, depth: depth, turnedLeft: turned && packed,
                  turnedRight: turned, packedLeft: packed, packedRight: packed && turned,
                  hasEpilogue: hasEpilogue))
            }
          }
        }
      }
      return cases
    }()

    /// The product by kernels, and that by plain loops in Double.
    static func run(_ test: Case, on crew: Crew) -> (result: [Float], expected: [Double]) {
      let (m, n, k) = (test.rows, test.columns, test.depth)
      var numbers = Numbers(seed: m + n + k)
      let (a, b, start) = (numbers.array(m * k), numbers.array(k * n), numbers.array(m * n))
      let (rowBias, columnBias) = (numbers.array(m), numbers.array(n))
      let residual = numbers.array(m * n)
      let left = test.turnedLeft ? (lane: 1, depth: m) : (lane: k, depth: 1)
      let right = test.turnedRight ? (lane: k, depth: 1) : (lane: 1, depth: n)
      var expected = [Double](repeating: 0, count: m * n)
      for i in 0..<m {
        for j in 0..<n {
          var sum = 0.0
          for l in 0..<k {
            sum +=
              Double(a[i * left.lane + l * left.depth])
              * Double(b[j * right.lane + l * right.depth])
          }
          sum = Double(test.alpha) * sum + Double(test.beta) * Double(start[i * n + j])
          if test.hasEpilogue {
            sum += Double(rowBias[i]) + Double(columnBias[j]) + Double(residual[i * n + j])
            sum = max(sum, 0)
          }
          expected[i * n + j] = sum
        }
      }
      var c = start
      unsafe a.withUnsafeBufferPointer { a in
        unsafe b.withUnsafeBufferPointer { b in
          unsafe c.withUnsafeMutableBufferPointer { c in
            unsafe rowBias.withUnsafeBufferPointer { rowBias in
              unsafe columnBias.withUnsafeBufferPointer { columnBias in
                unsafe residual.withUnsafeBufferPointer { residual in
                  guard let a = a.baseAddress, let b = b.baseAddress, let c = c.baseAddress
                  else { return }
                  let packedA = unsafe PackedMatrix(
                    .left, lanes: m, depth: k, from: a, laneStep: left.lane, depthStep: left.depth,
                    for: crew.instructions)
                  let packedB = unsafe PackedMatrix(
                    .right, lanes: n, depth: k, from: b, laneStep: right.lane,
                    depthStep: right.depth, for: crew.instructions)
                  var product = unsafe MatrixProduct.Parts(
                    left: test.packedLeft
                      ? .packed(packedA)
                      : .strided(a, laneStep: left.lane, depthStep: left.depth),
                    right: test.packedRight
                      ? .packed(packedB)
                      : .strided(b, laneStep: right.lane, depthStep: right.depth),
                    result: c, resultStep: n)
                  if test.hasEpilogue {
                    unsafe product.epilogue = unsafe .init(
                      rowBias: rowBias.baseAddress, columnBias: columnBias.baseAddress,
                      residual: residual.baseAddress, activation: .relu)
                  }
                  let shape = MatrixProduct.Shape(
                    rows: m, columns: n, depth: k, alpha: test.alpha, beta: test.beta)
                  unsafe MatrixProduct.multiply(product, shape, on: crew)
                }
              }
            }
          }
        }
      }
      return (c, expected)
    }

    @Test("A product agrees with plain loops in Double", arguments: crews)
    func agrees(on crew: Crew) {
      for test in Self.cases {
        let (result, expected) = Self.run(test, on: crew)
        let worst = zip(result, expected).map { abs(Double($0) - $1) }.max() ?? 0
        #expect(worst < 1e-6 * Double(test.depth + 10), "\(test)")
      }
    }

    @Test(
      "The number of threads does not change a bit", arguments: InstructionSet.available.map(\.name)
    )
    func threads(_ name: String) throws {
      let instructions = try InstructionSet.named(name)
      for test in Self.cases.suffix(60) {
        let results = [1, 2, 3, 7].map {
          Self.run(test, on: Crew(threads: $0, instructions: instructions)).result.map(\.bitPattern)
        }
        #expect(results.allSatisfy { $0 == results[0] }, "\(test)")
      }
    }

    @Test("A residual may lie in the result, whatever the depth", arguments: crews)
    func residualInPlace(on crew: Crew) {
      let (m, n, k) = (20, 40, 1000)
      var c = [Float](repeating: 3, count: m * n)
      let ones = [Float](repeating: 1, count: max(m, n) * k)
      unsafe c.withUnsafeMutableBufferPointer { c in
        unsafe ones.withUnsafeBufferPointer { ones in
          guard let c = c.baseAddress, let ones = ones.baseAddress else { return }
          let product = unsafe MatrixProduct.Parts(
            left: .strided(ones, laneStep: k, depthStep: 1),
            right: .strided(ones, laneStep: 1, depthStep: n), result: c, resultStep: n,
            epilogue: .init(residual: UnsafePointer(c)))
          unsafe MatrixProduct.multiply(product, .init(rows: m, columns: n, depth: k), on: crew)
        }
      }
      #expect(c.allSatisfy { $0 == 1003 })
    }

    @Test("A relu of a product keeps NaN", arguments: crews)
    func keepsNaN(on crew: Crew) {
      var c = [Float](repeating: 0, count: 3)
      let (a, b): ([Float], [Float]) = ([1], [.nan, -1, 2])
      unsafe c.withUnsafeMutableBufferPointer { c in
        unsafe a.withUnsafeBufferPointer { a in
          unsafe b.withUnsafeBufferPointer { b in
            guard let a = a.baseAddress, let b = b.baseAddress, let c = c.baseAddress
            else { return }
            let product = unsafe MatrixProduct.Parts(
              left: .strided(a, laneStep: 1, depthStep: 1),
              right: .strided(b, laneStep: 1, depthStep: 3), result: c, resultStep: 3,
              epilogue: .init(activation: .relu))
            unsafe MatrixProduct.multiply(product, .init(rows: 1, columns: 3, depth: 1), on: crew)
          }
        }
      }
      #expect(c[0].isNaN && c[1] == 0 && c[2] == 2)
    }
  }
}
