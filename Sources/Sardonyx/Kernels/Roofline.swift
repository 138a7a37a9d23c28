import CKernels

/// What some threads of this machine do at most, measured: no operator computes faster than they
/// multiply, nor reads faster from memory than they do (Williams, Waterman and Patterson, "Roofline",
/// 2009).
public struct Roofline: Sendable {
  /// How many threads were measured.
  public let threads: Int
  /// Multiply-adds of float32 a second, of all threads together.
  public let multiplyAddsPerSecond: Double
  /// Bytes that all threads together read from memory in a second.
  public let bytesPerSecond: Double

  /// Measures this machine, which takes less than a second.
  /// - Parameter threads: how many threads are to compute at the same time.
  public init(threads: Int) {
    let crew = Crew(threads: threads)
    self.threads = crew.threads
    (multiplyAddsPerSecond, bytesPerSecond) = crew.withWorkers {
      (Self.multiplyAdds(crew), Self.bytes(crew))
    }
  }

  /// The best of some tries, each of chunks enough for all threads to come in time.
  private static func multiplyAdds(_ crew: Crew) -> Double {
    let (rounds, chunks) = (1 << 16, 64 * crew.threads)
    let instructions = crew.instructions
    let count = unsafe rounds * Int(ROOFLINE_SUMS) * instructions.kernels.lanes * chunks
    return best(of: count) {
      crew.perform(chunks) { chunk in
        _ = unsafe instructions.kernels.repeat_multiply_add(rounds, 0.5, Float(chunk))
      }
    }
  }

  /// Memory that no cache holds is read from its beginning to its end.
  private static func bytes(_ crew: Crew) -> Double {
    let (part, parts) = (1 << 18, 256)
    let memory = [Float](repeating: 1, count: part * parts)
    let instructions = crew.instructions
    return unsafe memory.withUnsafeBufferPointer { memory in
      nonisolated(unsafe) let start = memory.baseAddress!
      return best(of: part * parts * MemoryLayout<Float>.size) {
        crew.perform(parts) { index in
          _ = unsafe instructions.kernels.read_floats(part, start + index * part)
        }
      }
    }
  }

  private static func best(of count: Int, _ body: () -> Void) -> Double {
    let clock = ContinuousClock()
    let durations = (0..<5).map { _ in clock.measure(body) }
    return Double(count) / (Double(durations.min()!.nanoseconds) / 1e9)
  }
}
