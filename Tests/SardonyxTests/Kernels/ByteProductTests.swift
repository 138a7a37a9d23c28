import Testing

@testable import Sardonyx

extension Kernels {
  @Suite("Products of bytes") struct ByteProductTests {
    /// Bytes of a type: anything, or nothing but its extremes.
    private static func bytes(
      _ count: Int, isSigned: Bool, extremes: Bool, _ numbers: inout Numbers
    ) -> [Int] {
      let range = isSigned ? -128...127 : 0...255
      return (0..<count).map { _ in
        guard extremes else { return numbers.next(in: range) }
        return numbers.next(in: 0...1) == 0 ? range.lowerBound : range.upperBound
      }
    }

    /// Bytes as those of trained weights are: most near the middle, some anywhere.
    private static func clusteredBytes(_ count: Int, isSigned: Bool, _ numbers: inout Numbers)
      -> [Int]
    {
      (0..<count).map { _ in
        let isNear = numbers.next(in: 0...400) > 0
        return numbers.next(in: isNear ? -60...60 : -128...127) + (isSigned ? 0 : 128)
      }
    }

    @Test(
      "Sums are those of 64-bit arithmetic, for all zero points and extreme bytes",
      arguments: crews, [false, true]
    )
    func exactness(on crew: Crew, isClustered: Bool) {
      var numbers = Numbers(seed: 21)
      for depth in 1...67 {
        for runs in [1, 3] {
          let isSigned = depth % 2 == 0
          let range = isSigned ? -128...127 : 0...255
          let (rows, columns) = (1 + depth % 13, numbers.next(in: 1...140))
          let zero = [0, 255, numbers.next(in: 0...255)][depth % 3]
          let zeros: [Int] =
            switch depth % 4 {
            case 0: [range.lowerBound]
            case 1: [range.upperBound]
            case 2: (0..<columns).map { _ in numbers.next(in: range) }
            default: [isSigned ? 0 : 128]
            }
          let terms = runs * depth
          let b =
            isClustered
            ? Self.clusteredBytes(terms * columns, isSigned: isSigned, &numbers)
            : Self.bytes(terms * columns, isSigned: isSigned, extremes: depth % 5 == 0, &numbers)
          let packed = unsafe b.map { UInt8(truncatingIfNeeded: $0) }.withUnsafeBytes { bytes in
            unsafe PackedBytes(
              runs: runs, depth: depth, columns: columns, from: bytes.baseAddress!,
              isSigned: isSigned, runStep: depth * columns, depthStep: columns, columnStep: 1,
              zeroPoints: zeros.map { Int32($0) }, for: crew.instructions)
          }
          // Rows lie apart, and what fills up a run is anything.
          let a = Self.bytes(rows * terms, isSigned: false, extremes: depth % 3 == 0, &numbers)
          let (filled, gap) = (PackedBytes.filled(depth), 5)
          let step = runs * filled + gap
          var left = [UInt8](repeating: 0xA5, count: rows * step)
          for row in 0..<rows {
            for k in 0..<terms {
              left[row * step + k / depth * filled + k % depth] = UInt8(a[row * terms + k])
            }
          }
          let places = (0..<rows).map { Int32((rows - 1 - $0) * step) }
          let runPlaces = (0..<runs).map { Int32($0 * filled) }
          for isScattered in [false, true] {
            let sums = Guarded<Int32>(count: rows * packed.width)
            unsafe left.withUnsafeBufferPointer { left in
              unsafe places.withUnsafeBufferPointer { places in
                unsafe runPlaces.withUnsafeBufferPointer { runPlaces in
                  let factor = unsafe PackedBytes.Rows(
                    start: left.baseAddress!, step: step,
                    places: isScattered ? places.baseAddress : nil, runs: runPlaces.baseAddress,
                    zero: Int32(zero))
                  unsafe packed.multiply(factor, count: rows, into: sums.start)
                  unsafe packed.center(sums.start, factor, count: rows)
                }
              }
            }
            #expect(sums.isIntact)
            let found = sums.elements
            let isRight = (0..<rows).allSatisfy { row in
              (0..<columns).allSatisfy { column in
                let from = isScattered ? rows - 1 - row : row
                let sum = (0..<terms).reduce(0) { sum, k in
                  sum + (a[from * terms + k] - zero)
                    * (b[k * columns + column] - zeros[zeros.count > 1 ? column : 0])
                }
                return Int(found[row * packed.width + column]) == sum
              }
            }
            #expect(isRight, "depth \(depth), runs \(runs), \(rows) rows, \(columns) columns")
          }
        }
      }
    }

    @Test("Sums of the largest depth fit 32 bits", arguments: crews)
    func largestSums(on crew: Crew) {
      let depth = PackedBytes.largestDepth
      for (byte, zeroPoint) in [(UInt8(255), Int32(0)), (0, 255)] {
        let b = [UInt8](repeating: byte, count: depth)
        let packed = unsafe b.withUnsafeBytes { bytes in
          unsafe PackedBytes(
            depth: depth, columns: 1, from: bytes.baseAddress!, isSigned: false, depthStep: 1,
            columnStep: 1, zeroPoints: [zeroPoint], for: crew.instructions)
        }
        var sums = [Int32](repeating: 0, count: packed.width)
        for (left, zero) in [(UInt8(255), Int32(0)), (0, 255)] {
          let a = [UInt8](repeating: left, count: depth)
          unsafe a.withUnsafeBufferPointer { a in
            let row = unsafe PackedBytes.Rows(start: a.baseAddress!, zero: zero)
            unsafe packed.multiply(row, count: 1, into: &sums)
            unsafe packed.center(&sums, row, count: 1)
          }
          let expected = depth * (Int(left) - Int(zero)) * (Int(byte) - Int(zeroPoint))
          #expect(Int(sums[0]) == expected)
        }
      }
    }

    @Test(
      "Sums and products of what bytes stand for are quantised as piece by piece", arguments: crews)
    func combinations(on crew: Crew) {
      var numbers = Numbers(seed: 23)
      var plainCount = 0
      for count in Array(1...67) + [257, 510, 997, 4099, 70000] {
        let isSigned = count % 2 == 0
        let bytes = isSigned ? -128...127 : 0...255
        func operand() -> (bytes: [Int], scale: Float, zero: Float) {
          let extremes = count % 5 == 0
          return (
            Self.bytes(count, isSigned: isSigned, extremes: extremes, &numbers),
            (2 + numbers.next()) / (count % 3 == 0 ? 1 : 100), Float(numbers.next(in: bytes))
          )
        }
        let (a, b) = (operand(), operand())
        // With scales of 2ⁿ many numbers are in the middle between two integers.
        let scale: Float = [0.5, 0.37, .leastNormalMagnitude / 8][count % 3]
        let (aScale, bScale): (Float, Float) = count % 4 == 0 ? (0.25, 0.5) : (a.scale, b.scale)
        let zero = Float(numbers.next(in: bytes))
        for operation in [Binary.add, .multiply] {
          let y = Guarded<UInt8>(count: count)
          let (left, right) = (
            Guarded(a.bytes.map { UInt8(truncatingIfNeeded: $0) }),
            Guarded(b.bytes.map { UInt8(truncatingIfNeeded: $0) })
          )
          let plainWith = Elementwise.plain(
            operation, isSigned: isSigned, (aScale, a.zero), (bScale, b.zero), (scale, zero),
            with: crew.instructions)
          if plainWith != nil { plainCount += 1 }
          unsafe Elementwise.combine(
            count, operation, isSigned: isSigned, plainWith: plainWith, left.start,
            (aScale, a.zero),
            right.start, (bScale, b.zero), into: y.start, (scale, zero), on: crew)
          #expect(y.isIntact)
          let expected = (0..<count).map { index in
            let x = (Float(a.bytes[index]) - a.zero) * aScale
            let z = (Float(b.bytes[index]) - b.zero) * bScale
            let quotient = (operation == .add ? x + z : x * z) / scale
            let whole = Double(quotient.rounded(.toNearestOrEven)) + Double(zero)
            let bound = min(max(whole, Double(bytes.lowerBound)), Double(bytes.upperBound))
            return UInt8(truncatingIfNeeded: Int(bound))
          }
          #expect(y.elements == expected, "\(count) numbers, \(operation)")
        }
      }
      // Of twice as many combinations as there are counts, many are and some are not.
      #expect(30...140 ~= plainCount, "\(plainCount)")
    }

    @Test(
      "Products are quantised as their sums are, whatever the left factor's order", arguments: crews
    )
    func quantisedProducts(on crew: Crew) {
      var numbers = Numbers(seed: 25)
      for depth in 1...67 {
        let (rows, columns) = (numbers.next(in: 1...100), numbers.next(in: 1...70))
        let (isSigned, isTransposed) = (depth % 2 == 0, depth % 3 == 0)
        let range = isSigned ? -128...127 : 0...255
        let a = Self.bytes(rows * depth, isSigned: isSigned, extremes: depth % 5 == 0, &numbers)
        let b = Self.bytes(columns * depth, isSigned: true, extremes: depth % 7 == 0, &numbers)
        let zeros = (0..<(depth % 4 == 0 ? rows : 1)).map { _ in Int32(numbers.next(in: range)) }
        let zero = Int32(numbers.next(in: -128...127))
        let packed = unsafe b.map { UInt8(truncatingIfNeeded: $0) }.withUnsafeBytes { bytes in
          unsafe PackedBytes(
            depth: depth, columns: columns, from: bytes.baseAddress!, isSigned: true, depthStep: 1,
            columnStep: depth, zeroPoints: [zero], for: crew.instructions)
        }
        let bias = (0..<(depth % 2 == 0 ? 1 : columns)).map { _ in
          Int32(numbers.next(in: -9999...9999))
        }
        let scales = (0..<(depth % 3 == 0 ? 1 : columns)).map { _ in 2 + numbers.next() }
        let left = Guarded(a.map { UInt8(truncatingIfNeeded: $0) })
        let y = Guarded<UInt8>(count: rows * columns)
        unsafe packed.quantize(
          PackedBytes.Matrix(
            start: left.start, rows: rows, isTransposed: isTransposed, isSigned: isSigned,
            zeroPoints: zeros),
          bias: bias, scale: 0.5, scales: scales, into: y.start, (200, 7), isSigned: false, on: crew
        )
        #expect(y.isIntact)
        let expected = (0..<rows * columns).map { place in
          let (row, column) = place.quotientAndRemainder(dividingBy: columns)
          let sum = (0..<depth).reduce(Int(bias[bias.count > 1 ? column : 0])) { sum, k in
            let byte = a[isTransposed ? k * rows + row : row * depth + k]
            return sum + (byte - Int(zeros[zeros.count > 1 ? row : 0]))
              * (b[column * depth + k] - Int(zero))
          }
          let number = Float(sum) * (0.5 * scales[scales.count > 1 ? column : 0]) / 200
          return UInt8(min(max(number.rounded(.toNearestOrEven) + 7, 0), 255))
        }
        #expect(y.elements == expected, "depth \(depth), \(rows) rows, \(columns) columns")
      }
    }

    @Test("Rows of bytes are added up", arguments: crews)
    func rowSums(on crew: Crew) {
      var numbers = Numbers(seed: 26)
      for count in 1...67 {
        let isSigned = count % 2 == 0
        let bytes = Self.bytes(5 * count, isSigned: isSigned, extremes: count % 3 == 0, &numbers)
        let x = Guarded(bytes.map { UInt8(truncatingIfNeeded: $0) })
        let y = Guarded<Int32>(count: 5)
        unsafe crew.instructions.sumRows(5, count, x.start, isSigned: isSigned, into: y.start)
        #expect(y.isIntact)
        let expected = (0..<5).map { row in
          bytes[row * count..<(row + 1) * count].reduce(isSigned ? 128 * count : 0, +)
        }
        #expect(y.elements.map { Int($0) } == expected)
      }
    }
  }
}
