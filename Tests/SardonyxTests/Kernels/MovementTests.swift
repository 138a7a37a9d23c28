import Testing

@testable import Sardonyx

extension Kernels {
  @Suite("Movement") struct MovementTests {
    @Test("A strided array is copied in order, whatever its strides", arguments: crews)
    func strided(on crew: Crew) {
      var numbers = Numbers(seed: 12)
      for index in 0..<200 {
        let rank = index % 6
        let extents = (0..<rank).map { _ in numbers.next(in: index % 29 == 0 ? 0...3 : 1...9) }
        // The steps of an array of these extents in some order of axes, some turned round, some
        // repeated.
        var strides = [Int](repeating: 0, count: rank)
        var step = 1
        for axis in (0..<rank).shuffled() {
          strides[axis] = step * [1, 1, 1, -1, 0, 2][numbers.next(in: 0...5)]
          step *= max(1, extents[axis]) * 2
        }
        let lowest = zip(extents, strides).reduce(0) { $0 + min(0, max(0, $1.0 - 1) * $1.1) }
        check(on: crew, extents, strides, lowest, step) { UInt8(truncatingIfNeeded: $0) }
        check(on: crew, extents, strides, lowest, step) { UInt16(truncatingIfNeeded: $0) }
        check(on: crew, extents, strides, lowest, step) { UInt32($0) }
        check(on: crew, extents, strides, lowest, step) { UInt64($0) }
        check(on: crew, extents, strides, lowest, step) { UInt128($0) }
      }
    }

    @Test("A large matrix is turned", arguments: crews)
    func turned(on crew: Crew) {
      check(on: crew, [300, 517], [1, 300], 0, 300 * 517) { UInt32($0) }
      check(on: crew, [3, 200, 4, 100], [80000, 1, 200, 800], 0, 240_000) {
        UInt16(truncatingIfNeeded: $0)
      }
      // Short rows, which are gathered.
      check(on: crew, [16, 24, 2, 24, 2], [1, 1536, 32, 64, 16], 0, 24 * 1536) { UInt32($0) }
      check(on: crew, [21, 24, 3], [1, 63, 21], 0, 24 * 63) { UInt64($0) }
      check(on: crew, [1_000_000], [-1], -999_999, 1_000_000) { UInt32($0) }
    }

    private func check<Element: FixedWidthInteger & BitwiseCopyable>(
      on crew: Crew, _ extents: [Int], _ strides: [Int], _ lowest: Int, _ size: Int,
      _ number: (Int) -> Element
    ) {
      let values = (0..<2 * size + 2).map(number)
      let x = Guarded(values)
      let y = Guarded<Element>(count: extents.elementCount)
      unsafe Movement.copy(
        extents, strides: strides, elementSize: MemoryLayout<Element>.size,
        from: x.start - lowest, into: y.start, on: crew)
      let expected = (0..<extents.elementCount).map { index in
        values[
          zip(indices(of: index, within: extents), strides).reduce(-lowest) { $0 + $1.0 * $1.1 }]
      }
      #expect(y.elements == expected && y.isIntact, "\(extents) \(strides)")
    }
  }

  @Suite("Integers and conversions") struct IntegerTests {
    @Test("Products of 8-bit integers are exact, with any zero points", arguments: crews)
    func products(on crew: Crew) {
      var numbers = Numbers(seed: 13)
      for (m, n, k) in [
        (1, 1, 1), (5, 7, 33), (70, 300, 65), (4, 4, 64), (9, 6, 0), (3, 500, 2000),
      ] {
        let a = (0..<m * k).map { _ in UInt8(numbers.next(in: 0...255)) }
        let b = (0..<k * n).map { _ in Int8(numbers.next(in: -128...127)) }
        let zeros = (0..<n).map { _ in Int32(numbers.next(in: -128...127)) }
        let (left, right, c) = (Guarded(a), Guarded(b), Guarded<Int32>(count: m * n))
        let factor = unsafe IntegerMatrix(
          lanes: m, depth: k, from: left.start, isSigned: false, laneStep: k, depthStep: 1,
          zeroPoints: [128])
        let other = unsafe IntegerMatrix(
          lanes: n, depth: k, from: right.start, isSigned: true, laneStep: 1, depthStep: n,
          zeroPoints: zeros)
        unsafe IntegerProduct.multiply(factor, other, into: c.start, step: n, on: crew)
        let expected = (0..<m * n).map { index in
          (0..<k).reduce(Int32(0)) {
            $0 + (Int32(a[index / n * k + $1]) - 128)
              * (Int32(b[$1 * n + index % n]) - zeros[index % n])
          }
        }
        #expect(c.elements == expected && c.isIntact)
      }
    }

    @Test("Halves go to floats and back", arguments: crews)
    func halves(on crew: Crew) {
      let bits = (0...UInt16.max).map { $0 }
      let floats = unsafe HalfKernels.widened(
        65536, bits, from: .float16, with: crew.instructions)
      let back = Guarded<UInt16>(count: 65536)
      unsafe HalfKernels.store(floats, as: .float16, at: back.start, with: crew.instructions)
      let returned = back.elements
      for (index, bit) in bits.enumerated() {
        let half = Float16(bitPattern: bit)
        #expect(half.isNaN ? floats[index].isNaN : floats[index] == Float(half))
        #expect(half.isNaN || returned[index] == bit)
      }
    }

    @Test("bfloat16 rounds to nearest even and keeps NaN", arguments: crews)
    func bfloats(on crew: Crew) {
      let numbers: [Float] =
        awkward + [1.00390625, 1.01171875, Float(bitPattern: 0x7F80_0001), 3.3961775e38]
      let y = Guarded<UInt16>(count: numbers.count)
      unsafe HalfKernels.store(numbers, as: .bfloat16, at: y.start, with: crew.instructions)
      let back = unsafe HalfKernels.widened(
        numbers.count, y.start, from: .bfloat16, with: crew.instructions)
      for (number, result) in zip(numbers, back) {
        if number.isNaN {
          #expect(result.isNaN)
          continue
        }
        let bits = number.bitPattern
        let rounded = (UInt64(bits) + 0x7FFF + UInt64((bits >> 16) & 1)) & 0xFFFF_0000
        #expect(result.bitPattern == UInt32(rounded))
      }
    }

    @Test("Small integers become floats by zero point and scale", arguments: crews)
    func dequantize(on crew: Crew) {
      for count in 0...67 {
        let x = Guarded((0..<count).map { UInt8($0 * 3) })
        let z = Guarded((0..<count).map { Int8($0 - 50) })
        let (y, w) = (Guarded<Float>(count: count), Guarded<Float>(count: count))
        unsafe Elementwise.dequantize(count, x.start, scale: 0.5, zero: 7, into: y.start, on: crew)
        unsafe Elementwise.dequantize(count, z.start, scale: 0.5, zero: 7, into: w.start, on: crew)
        #expect(y.elements == (0..<count).map { Float($0 * 3 - 7) / 2 } && y.isIntact)
        #expect(w.elements == (0..<count).map { Float($0 - 50 - 7) / 2 } && w.isIntact)
      }
    }
  }
}
