/// What a node computes for inputs and outputs of known types and shapes, with all that follows from
/// those worked out: the form in which a planned node runs.
///
/// It must do what ``Operator/run(_:_:)`` does, bit for bit. Besides a kernel's working memory it
/// should allocate nothing.
typealias Computation = @Sendable (Addresses, Crew) throws(ModelError) -> Void

/// Where the inputs and the outputs of a node lie during a run.
///
/// All are tensors of the types and shapes that the ``Computation`` was made for; an input that is
/// left out, or that the operator does not read, has no address.
@safe struct Addresses {
  private let inputs: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  private let outputs: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  private let outputCount: Int

  init(
    inputs: UnsafeMutablePointer<UnsafeMutableRawPointer?>,
    outputs: UnsafeMutablePointer<UnsafeMutableRawPointer?>, count: Int
  ) {
    unsafe self.inputs = inputs
    unsafe self.outputs = outputs
    outputCount = count
  }

  /// The elements of an input that is given.
  func input<T: BitwiseCopyable>(_ index: Int, as _: T.Type = T.self) -> UnsafePointer<T> {
    unsafe UnsafePointer(inputs[index].unsafelyUnwrapped.assumingMemoryBound(to: T.self))
  }

  /// The elements of an output that somebody wants.
  func output<T: BitwiseCopyable>(_ index: Int = 0, as _: T.Type = T.self)
    -> UnsafeMutablePointer<T>
  {
    unsafe outputs[index].unsafelyUnwrapped.assumingMemoryBound(to: T.self)
  }

  /// The bytes of an output; nil where nobody wants it.
  func wanted(_ index: Int) -> UnsafeMutableRawPointer? {
    index < outputCount ? unsafe outputs[index] : nil
  }
}

extension Operator {
  /// Runs the computation for tensors at hand.
  /// - Returns: false where there is none.
  func compute(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) -> Bool {
    let wanted = (0..<outputs.count).map { index in
      outputs.wants(index) ? Fact(outputs[index].type, outputs[index].shape) : nil
    }
    guard let computation = try computation(inputs.facts, wanted) else { return false }
    let inputCount = inputs.count
    var places: [UnsafeMutableRawPointer?] = unsafe (0..<inputCount).map { index in
      guard reads(index) else { return nil }
      return unsafe inputs.tensor(index).map { unsafe UnsafeMutableRawPointer(mutating: $0.bytes) }
    }
    for index in 0..<outputs.count {
      unsafe places.append(outputs.wants(index) ? outputs[index].bytes : nil)
    }
    try unsafe places.withUnsafeMutableBufferPointer { places throws(ModelError) in
      guard let start = places.baseAddress else { return }
      try computation(
        unsafe Addresses(inputs: start, outputs: start + inputCount, count: outputs.count),
        outputs.context.crew)
    }
    return true
  }
}
