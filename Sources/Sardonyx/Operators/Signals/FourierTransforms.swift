/// The discrete Fourier transform along an axis, or its inverse; of real signals half of it says all.
struct DFT: Operator {
  private let isInverse: Bool
  private let isOneSided: Bool
  private let fixedAxis: Int
  private let transforms = ShapeCache<Int, LineTransform?>()

  init(_ node: inout NodeReader) throws(ModelError) {
    isInverse = try node.bool("inverse")
    isOneSided = try node.bool("onesided")
    fixedAxis = try node.int("axis", default: node.version < 20 ? 1 : -2)
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let (axis, length) = try axisAndLength(inputs)
    var shape = try inputs.shape(0)
    shape[axis] = isOneSided && !isInverse ? length / 2 + 1 : length
    shape[shape.count - 1] = isOneSided && isInverse ? 1 : 2
    return [Fact(try inputs.type(0), shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let (axis, length) = try axisAndLength(inputs.facts)
    // A length without a line to transform may be too large to prepare for.
    guard outputs[0].elementCount > 0 else { return }
    let lines = transforms.value(for: length) { LineTransform(length: length) }
    // Complex lines of single precision are computed in it: ONNX's cases compare the noise of zeros.
    if let lines, inputs[0].type == .float, !isInverse, inputs[0].shape.last == 1 {
      transform(inputs[0], outputs, axis, lines, as: Float.self)
    } else if let lines, inputs[0].type == .double {
      transform(inputs[0], outputs, axis, lines, as: Double.self)
    } else if inputs[0].type == .double {
      transform(inputs[0], outputs[0], axis, FourierTransform<Double>(length: length))
    } else {
      transform(inputs[0], outputs[0], axis, FourierTransform<Float>(length: length))
    }
  }

  private func transform<T: BinaryFloatingPoint & BitwiseCopyable>(
    _ input: Tensor, _ outputs: Outputs, _ axis: Int, _ transform: LineTransform, as _: T.Type
  ) {
    let output = outputs[0]
    let (from, to) = (Region(input.shape), Region(output.shape))
    let isHalf = isOneSided && isInverse
    let source = LineTransform.Lines(
      starts: from.lines(axis), step: from.strides[axis],
      count: min(input.shape[axis], isHalf ? transform.length / 2 + 1 : transform.length),
      isComplex: input.shape.last == 2)
    let target = LineTransform.Lines(
      starts: to.lines(axis), step: to.strides[axis],
      count: output.shape[axis], isComplex: output.shape.last == 2)
    // Not all lines may have been listed.
    if Interruption.isDue { return }
    unsafe transform.run(
      isHalf ? .inverseOfHalf : isInverse ? .inverse : .forward, input.pointer(as: T.self), source,
      into: output.pointer(as: T.self), target, on: outputs.context.crew)
  }

  /// The same for lengths and types that no kernel serves.
  private func transform<T: RealNumber>(
    _ input: Tensor, _ output: Destination, _ axis: Int, _ transform: FourierTransform<T>
  ) {
    let numbers = input.converted(to: T.self)
    var result = [T](zerosUntilDue: output.elementCount)
    let (from, to) = (Region(input.shape), Region(output.shape))
    let isComplex = (input: input.shape.last == 2, output: output.shape.last == 2)
    let isHalf = isOneSided && isInverse
    let given = min(input.shape[axis], isHalf ? transform.length / 2 + 1 : transform.length)
    for (source, target) in zip(from.lines(axis), to.lines(axis)) {
      if Interruption.isDue { return }
      var line = [Complex<T>](repeating: .zero, count: transform.length)
      for index in 0..<given {
        let place = source + index * from.strides[axis]
        line[index] = Complex(numbers[place], isComplex.input ? numbers[place + 1] : 0)
      }
      if isHalf { line.mirror() }
      if isInverse { transform.invert(&line) } else { transform.transform(&line) }
      if !isInverse && !isComplex.input { line.mirror() }
      for index in 0..<output.shape[axis] {
        let place = target + index * to.strides[axis]
        result[place] = line[index].real
        if isComplex.output { result[place + 1] = line[index].imaginary }
      }
    }
    output.store(result)
  }

  private func axisAndLength(_ inputs: Facts) throws(ModelError) -> (Int, Int) {
    let shape = try inputs.shape(0)
    try inputs.checkSignal(shape)
    let named = inputs.has(2) ? try inputs.integer(2, "axis") : fixedAxis
    let axis = try named.axis(ofRank: shape.count)
    guard axis < shape.count - 1 else {
      throw .unexpected("axis", expected: "one before the last", got: "\(named)")
    }
    if inputs.has(1) { return (axis, try inputs.positive(1, "dft_length")) }
    let length = isInverse && isOneSided ? 2 * (shape[axis] - 1) : shape[axis]
    guard length > 0 else {
      throw .unexpected("extent of axis \(axis)", expected: "a signal", got: "\(shape[axis])")
    }
    return (axis, length)
  }
}

extension Array {
  /// Makes a line the spectrum of a real signal, whose upper half mirrors the lower, exactly.
  fileprivate mutating func mirror<T>() where Element == Complex<T> {
    self[0].imaginary = 0
    if count % 2 == 0 { self[count / 2].imaginary = 0 }
    for index in 0..<(count - 1) / 2 { self[count - 1 - index] = self[index + 1].conjugate }
  }
}

extension Region {
  /// Where the lines of complex numbers along an axis start.
  fileprivate func lines(_ axis: Int) -> [Int] {
    sliced(axis, from: 0, count: 1).sliced(extents.count - 1, from: 0, count: 1).offsets
  }
}

/// The Fourier transforms of frames of a signal: [batch, length, 1 or 2] to [batch, frames, bins, 2].
///
/// Exporters leave out the last axis of real signals, which the specification asks for.
struct STFT: Operator {
  private let isOneSided: Bool
  private let transforms = ShapeCache<Int, LineTransform?>()

  init(_ node: inout NodeReader) throws(ModelError) {
    isOneSided = try node.bool("onesided", default: true)
  }

  private struct Frames {
    let step: Int
    let length: Int
    let count: Int
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let frames = try frames(inputs)
    let bins = isOneSided ? frames.length / 2 + 1 : frames.length
    return [Fact(try inputs.type(0), [try inputs.shape(0)[0], frames.count, bins, 2])]
  }

  /// In double precision, as models take logarithms of bins that are nearly 0.
  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let frames = try frames(inputs.facts)
    guard outputs[0].elementCount > 0 else { return }
    let lines = transforms.value(for: frames.length) { LineTransform(length: frames.length) }
    if let lines, inputs[0].type == .float {
      return run(inputs, outputs, frames, lines, as: Float.self)
    }
    if let lines, inputs[0].type == .double {
      return run(inputs, outputs, frames, lines, as: Double.self)
    }
    runPlainly(inputs, outputs, frames)
  }

  private func run<T: BinaryFloatingPoint & BitwiseCopyable>(
    _ inputs: Inputs, _ outputs: Outputs, _ frames: Frames, _ transform: LineTransform,
    as _: T.Type
  ) {
    let (signal, output) = (inputs[0], outputs[0])
    let parts = signal.shape.count == 3 ? signal.shape[2] : 1
    let window = inputs.tensor(2)?.converted(to: Double.self)
    let bins = output.shape[2]
    let starts = (0..<signal.shape[0]).flatMap { batch in
      (0..<frames.count).map { (batch * signal.shape[1] + $0 * frames.step) * parts }
    }
    let source = LineTransform.Lines(
      starts: starts, step: parts,
      count: window?.count ?? frames.length, isComplex: parts == 2)
    let target = LineTransform.Lines(
      starts: starts.indices.map { 2 * bins * $0 }, step: 2,
      count: bins, isComplex: true)
    unsafe transform.run(
      .forward, signal.pointer(as: T.self), source, weights: window,
      into: output.pointer(as: T.self), target, on: outputs.context.crew)
  }

  /// The same for lengths and types that no kernel serves.
  private func runPlainly(_ inputs: Inputs, _ outputs: Outputs, _ frames: Frames) {
    let transform = FourierTransform<Double>(length: frames.length)
    let signal = inputs[0].converted(to: Double.self)
    let window = inputs.tensor(2)?.converted(to: Double.self)
    let length = inputs[0].shape[1]
    let parts = inputs[0].shape.count == 3 ? inputs[0].shape[2] : 1
    var result: [Double] = []
    result.reserveCapacity(outputs[0].elementCount)
    for batch in 0..<inputs[0].shape[0] {
      for frame in 0..<frames.count {
        if Interruption.isDue { return }
        var line = [Complex<Double>](repeating: .zero, count: frames.length)
        for index in 0..<(window?.count ?? frames.length) {
          let place = (batch * length + frame * frames.step + index) * parts
          let weight = window?[index] ?? 1
          line[index] = Complex(
            signal[place] * weight, parts == 2 ? signal[place + 1] * weight : 0)
        }
        transform.transform(&line)
        if parts == 1 { line.mirror() }
        for value in line.prefix(outputs[0].shape[2]) { result += [value.real, value.imaginary] }
      }
    }
    outputs[0].store(result)
  }

  private func frames(_ inputs: Facts) throws(ModelError) -> Frames {
    let shape = try inputs.shape(0)
    guard shape.count == 2 || shape.count == 3 else {
      throw .unexpected("rank of signal", expected: "2 or 3", got: "\(shape.count)")
    }
    if shape.count == 3 { try inputs.checkSignal(shape) }
    let step = try inputs.positive(1, "frame_step")
    let window = inputs.has(2) ? try inputs.shape(2) : nil
    let length = inputs.has(3) ? try inputs.positive(3, "frame_length") : window?.first ?? shape[1]
    guard length > 0, length <= shape[1] else {
      throw .unexpected("frame_length", expected: "1 to \(shape[1])", got: "\(length)")
    }
    if let window, window.count != 1 || window[0] > length {
      throw .unexpected("shape of window", expected: "[\(length)]", got: "[\(window.joined)]")
    }
    return Frames(step: step, length: length, count: (shape[1] - length) / step + 1)
  }
}
