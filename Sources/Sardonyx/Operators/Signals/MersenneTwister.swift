#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// The generator MT19937, with the distributions drawn from it as numpy's `RandomState` draws them.
///
/// Source: Matsumoto and Nishimura, "Mersenne Twister", 1998.
struct MersenneTwister {
  private static let size = 624
  private static let middle = 397

  private var state: [UInt32]
  private var next = MersenneTwister.size
  /// Normal numbers come in pairs; the second waits here.
  private var spareNormal: Double?

  init(seed: UInt32) {
    state = [seed]
    for index in 1..<Self.size {
      let last = state[index - 1]
      state.append(1_812_433_253 &* (last ^ (last >> 30)) &+ UInt32(index))
    }
  }

  /// 32 uniformly distributed bits.
  mutating func bits() -> UInt32 {
    if next == Self.size { renew() }
    var word = state[next]
    next += 1
    word ^= word >> 11
    word ^= (word << 7) & 0x9D2C_5680
    word ^= (word << 15) & 0xEFC6_0000
    return word ^ (word >> 18)
  }

  private mutating func renew() {
    for index in 0..<Self.size {
      let upper = state[index] & 0x8000_0000
      let lower = state[(index + 1) % Self.size] & 0x7FFF_FFFF
      let word = upper | lower
      state[index] =
        state[(index + Self.middle) % Self.size] ^ (word >> 1) ^ (word & 1 == 0 ? 0 : 0x9908_B0DF)
    }
    next = 0
  }

  /// A number in 0 ..< 1, of 53 bits.
  mutating func uniform() -> Double {
    let high = Double(bits() >> 5)
    let low = Double(bits() >> 6)
    return (high * 0x1p26 + low) * 0x1p-53
  }

  /// A number of mean 0 and deviation 1, by Marsaglia's polar method.
  mutating func normal() -> Double {
    if let spare = spareNormal {
      spareNormal = nil
      return spare
    }
    while true {
      let x = 2 * uniform() - 1
      let y = 2 * uniform() - 1
      let square = x * x + y * y
      guard square < 1, square != 0 else { continue }
      let factor = sqrt(-2 * log(square) / square)
      spareNormal = factor * x
      return factor * y
    }
  }
}
