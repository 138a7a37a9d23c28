import CKernels

/// Discrete Fourier transforms of many lines of one length, in double precision, some lines at a time.
struct LineTransform: Sendable {
  /// Where lines lie among the numbers of a tensor.
  struct Lines: Sendable {
    /// Of the first number of each.
    let starts: [Int]
    /// From a number to the next.
    let step: Int
    let count: Int
    /// Whether a number is two neighbours.
    let isComplex: Bool
  }

  /// What is transformed into what.
  enum Direction {
    case forward
    case inverse
    /// From the first half of a spectrum, whose other half mirrors it.
    case inverseOfHalf
  }

  let length: Int
  /// Whether two neighbours of a real line may make a complex number of a line half as long.
  private var isEven: Bool { length % 2 == 0 }
  private let factors: [Int]
  private let halfFactors: [Int]
  /// e^(-2πi·k / length) for k < length.
  private let roots: [Double]

  private static let lanes = Int(FOURIER_LINES)
  /// Above, the lines transformed at a time leave the caches.
  private static let largestLength = 1 << 15

  /// - Returns: nil for a length that is to be transformed otherwise: a large one, or one with a large
  ///   prime factor.
  init?(length: Int) {
    let factors = FourierTransform<Double>.factors(of: length)
    guard length <= Self.largestLength,
      factors.allSatisfy({ $0 <= Int(FOURIER_LARGEST_FACTOR) })
    else { return nil }
    self.length = length
    self.factors = factors
    halfFactors = FourierTransform<Double>.factors(of: max(1, length / 2))
    roots = (0...length).flatMap { (place: Int) -> [Double] in
      let root = Complex<Double>(turn: place, of: length)
      return [root.real, root.imaginary]
    }
  }

  /// Transforms lines: numbers beyond those given are 0, each times its weight where there are some.
  func run<T: BinaryFloatingPoint>(
    _ direction: Direction, _ x: UnsafePointer<T>, _ input: Lines, weights: [Double]? = nil,
    into y: UnsafeMutablePointer<T>, _ output: Lines, on crew: Crew
  ) {
    precondition(input.starts.count == output.starts.count)
    let blocks = (input.starts.count + Self.lanes - 1) / Self.lanes
    let work = max(1, length * Self.lanes * 8)
    let room = 2 * (length + 1) * Self.lanes
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    crew.performRanges(of: blocks, by: max(1, (1 << 16) / work)) { range in
      unsafe crew.scratch.withBytes(2 * room * MemoryLayout<Double>.stride) { bytes in
        let first = unsafe bytes.assumingMemoryBound(to: Double.self)
        for block in range {
          let lines =
            block * Self.lanes..<min((block + 1) * Self.lanes, input.starts.count)
          unsafe load(direction, x, input, lines, weights, into: first)
          let isSwapped = unsafe transform(isHalved(direction, input), first, first + room, crew)
          unsafe store(
            isSwapped ? first + room : first, direction, isReal: isReal(direction, input), lines,
            into: y, output)
        }
      }
    }
  }

  private func isReal(_ direction: Direction, _ input: Lines) -> Bool {
    direction == .forward && !input.isComplex
  }

  /// Whether two neighbours of a line make a complex number of a line half as long.
  private func isHalved(_ direction: Direction, _ input: Lines) -> Bool {
    isReal(direction, input) && isEven
  }

  /// Runs the passes, to and fro.
  /// - Returns: whether the result is in the second place.
  private func transform(
    _ isHalved: Bool, _ first: UnsafeMutablePointer<Double>, _ second: UnsafeMutablePointer<Double>,
    _ crew: Crew
  ) -> Bool {
    let kernels = unsafe crew.instructions.kernels
    let count = isHalved ? length / 2 : length
    var isSwapped = false
    var groups = 1
    for factor in isHalved ? halfFactors : factors {
      unsafe kernels.transform_lines(
        factor, groups, count, roots, isHalved ? 2 : 1, isSwapped ? second : first,
        isSwapped ? first : second)
      isSwapped.toggle()
      groups *= factor
    }
    guard isHalved else { return isSwapped }
    unsafe kernels.split_real_lines(
      count, roots, isSwapped ? second : first, isSwapped ? first : second)
    return !isSwapped
  }

  private func load<T: BinaryFloatingPoint>(
    _ direction: Direction, _ x: UnsafePointer<T>, _ input: Lines, _ lines: Range<Int>,
    _ weights: [Double]?, into values: UnsafeMutablePointer<Double>
  ) {
    let isHalved = isHalved(direction, input)
    let step = (isHalved ? 1 : 2) * Self.lanes
    // The inverse is the transform with real and imaginary parts exchanged.
    let real = direction == .forward ? 0 : Self.lanes
    let imaginary = Self.lanes - real
    unsafe values.update(repeating: 0, count: length * step)
    for (lane, line) in lines.enumerated() {
      let (from, to) = unsafe (x + input.starts[line], values + lane)
      for index in 0..<input.count {
        let weight = weights?[index] ?? 1
        unsafe to[index * step + real] = Double(from[index * input.step]) * weight
        if input.isComplex {
          unsafe to[index * step + imaginary] = Double(from[index * input.step + 1]) * weight
        }
      }
    }
    if direction == .inverseOfHalf { unsafe mirror(values) }
  }

  /// Makes lines with exchanged parts spectra of real lines.
  private func mirror(_ values: UnsafeMutablePointer<Double>) {
    let width = 2 * Self.lanes
    for lane in 0..<Self.lanes {
      unsafe values[lane] = 0
      if isEven { unsafe values[length / 2 * width + lane] = 0 }
      for index in 1..<max(1, (length + 1) / 2) {
        let (from, to) = unsafe (
          values + index * width + lane, values + (length - index) * width + lane
        )
        unsafe to[0] = -from[0]
        unsafe to[Self.lanes] = from[Self.lanes]
      }
    }
  }

  private func store<T: BinaryFloatingPoint>(
    _ values: UnsafePointer<Double>, _ direction: Direction, isReal: Bool, _ lines: Range<Int>,
    into y: UnsafeMutablePointer<T>, _ output: Lines
  ) {
    let width = 2 * Self.lanes
    let isForward = direction == .forward
    let scale = isForward ? 1 : 1 / Double(length)
    let (real, imaginary) = isForward ? (0, Self.lanes) : (Self.lanes, 0)
    // The upper half of the spectrum of a real line mirrors the lower one.
    let lower = isReal ? min(output.count, length / 2 + 1) : output.count
    for (lane, line) in lines.enumerated() {
      let (from, to) = unsafe (values + lane, y + output.starts[line])
      for index in 0..<lower {
        unsafe to[index * output.step] = T(from[index * width + real] * scale)
        if output.isComplex {
          unsafe to[index * output.step + 1] = T(from[index * width + imaginary] * scale)
        }
      }
      guard isReal, output.isComplex else { continue }
      unsafe to[1] = 0
      if isEven, output.count > length / 2 { unsafe to[length / 2 * output.step + 1] = 0 }
      for index in lower..<max(lower, output.count) {
        let mirrored = unsafe to + (length - index) * output.step
        unsafe to[index * output.step] = mirrored[0]
        unsafe to[index * output.step + 1] = -mirrored[1]
      }
    }
  }
}
