import Foundation
import Testing

@testable import Sardonyx

extension Kernels {
  @Suite("Reductions") struct ReductionKernelTests {
    static let shapes =
      (0...67).map { (3, $0, 1) } + [
        (1, 5, 7), (2, 300, 33), (3, 1, 16), (0, 4, 4), (2, 0, 3), (1, 1000, 1), (2, 70, 260),
        (1, 600_000, 1), (1, 9, 15),
      ]

    static func column(_ x: [Float], _ count: Int, _ inner: Int, _ index: Int) -> [Double] {
      let (group, i) = index.quotientAndRemainder(dividingBy: inner)
      return (0..<count).map { Double(x[(group * count + $0) * inner + i]) }
    }

    @Test("Reductions agree with plain loops in Double", arguments: crews)
    func reduce(on crew: Crew) {
      var numbers = Numbers(seed: 7)
      for (outer, count, inner) in Self.shapes {
        let values = numbers.array(outer * count * inner)
        for reduction in ReductionKernel.allCases {
          let (x, y) = (Guarded(values), Guarded<Float>(count: outer * inner))
          unsafe ReductionKernel.reduce(
            reduction, outer: outer, count: count, inner: inner, x.start, into: y.start, on: crew)
          for (index, result) in y.elements.enumerated() {
            let column = Self.column(values, count, inner, index)
            let expected: Double =
              switch reduction {
              case .sum: column.reduce(0, +)
              case .mean: column.reduce(0, +) / Double(count)
              case .sumOfSquares: column.reduce(0) { $0 + $1 * $1 }
              case .maximum: column.max() ?? -.infinity
              case .minimum: column.min() ?? .infinity
              }
            #expect(agree(result, expected, relative: 2e-6, absolute: 2e-5))
          }
          #expect(y.isIntact)
        }
      }
    }

    @Test("Thirty million ones sum to thirty million", arguments: crews)
    func ones(on crew: Crew) {
      let count = 30_000_000
      let x = [Float](repeating: 1, count: count)
      for inner in [1, 2] {
        var y: [Float] = [0, 0]
        unsafe x.withUnsafeBufferPointer { x in
          unsafe ReductionKernel.reduce(
            .sum, outer: 1, count: count / inner, inner: inner, x.baseAddress!, into: &y, on: crew)
        }
        #expect(y[0] == Float(count / inner))
      }
    }

    @Test("A maximum of anything and NaN is NaN", arguments: crews)
    func notNumbers(on crew: Crew) {
      for count in 1...40 {
        for place in 0..<count {
          var values = [Float](repeating: 1, count: count)
          values[place] = .nan
          for inner in [1, count] where count % inner == 0 {
            let (x, y) = (Guarded(values), Guarded<Float>(count: inner))
            for reduction in [ReductionKernel.maximum, .minimum] {
              unsafe ReductionKernel.reduce(
                reduction, outer: 1, count: count / inner, inner: inner, x.start, into: y.start,
                on: crew)
              #expect(y.elements[inner == 1 ? 0 : place].isNaN)
            }
          }
        }
      }
    }

    @Test("Softmax and its logarithm agree with their formulas, in place too", arguments: crews)
    func softmax(on crew: Crew) {
      var numbers = Numbers(seed: 8)
      for (outer, count, inner) in Self.shapes {
        let values = numbers.array(outer * count * inner).map { $0 * 30 }
        for logarithm in [false, true] {
          let (x, y) = (Guarded(values), Guarded<Float>(count: values.count))
          for target in [y, x] {
            unsafe ReductionKernel.softmax(
              outer: outer, count: count, inner: inner, logarithm: logarithm, x.start,
              into: target.start, on: crew)
          }
          #expect(x.elements == y.elements && y.isIntact)
          let results = y.elements
          for index in 0..<outer * inner where count > 0 {
            let column = Self.column(values, count, inner, index)
            let largest = column.max() ?? 0
            let total = column.reduce(0) { $0 + exp($1 - largest) }
            for (k, number) in column.enumerated() {
              let result = results[(index / inner * count + k) * inner + index % inner]
              let expected =
                logarithm ? number - largest - log(total) : exp(number - largest) / total
              #expect(agree(result, expected, relative: 4e-6, absolute: logarithm ? 4e-6 : 0))
            }
          }
        }
      }
    }

    @Test("Rows are normalised by their moments or their mean square", arguments: crews)
    func normalize(on crew: Crew) {
      var numbers = Numbers(seed: 9)
      for (rows, count, _) in Self.shapes where count > 0 && count < 2000 {
        let values = numbers.array(rows * count).map { $0 + 3 }
        let (scales, shifts) = (numbers.array(count), numbers.array(count))
        let (x, scale, shift) = (Guarded(values), Guarded(scales), Guarded(shifts))
        for kind in [ReductionKernel.Normalization.moments, .rootMeanSquare] {
          let y = Guarded<Float>(count: values.count)
          unsafe ReductionKernel.normalizeRows(
            kind, rows: rows, count: count, epsilon: 1e-5, x.start, scale: scale.start,
            shift: shift.start, into: y.start, on: crew)
          for (index, result) in y.elements.enumerated() {
            let row = Self.column(values, count, 1, index / count)
            let mean = kind == .moments ? row.reduce(0, +) / Double(count) : 0
            let spread = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count)
            let expected =
              (Double(values[index]) - mean) / (spread + 1e-5).squareRoot()
              * Double(scales[index % count]) + Double(shifts[index % count])
            #expect(agree(result, expected, relative: 1e-5, absolute: 1e-4))
          }
          #expect(y.isIntact)
        }
      }
    }
  }
}
