// The work of the operators that dominate a model, from shapes alone.

extension Conv {
  /// Each output is a sum over the input channels of a group and the kernel.
  func multiplyAdds(_ inputs: Facts, _ outputs: [Fact]) -> Int {
    outputs.elementCount(0) &* inputs.elementCount(1, from: 1)
  }
}

extension ConvTranspose {
  /// Each input spreads over the output channels of a group and the kernel.
  func multiplyAdds(_ inputs: Facts, _ outputs: [Fact]) -> Int {
    inputs.elementCount(0) &* inputs.elementCount(1, from: 1)
  }
}

extension MatMul {
  /// Each output is a sum over the last axis of A.
  func multiplyAdds(_ inputs: Facts, _ outputs: [Fact]) -> Int {
    outputs.elementCount(0) &* (inputs[0].shape?.last ?? 0)
  }
}

extension Gemm {
  /// Each element of A serves each column of the output.
  func multiplyAdds(_ inputs: Facts, _ outputs: [Fact]) -> Int {
    inputs.elementCount(0) &* (outputs.first?.shape?.last ?? 0)
  }
}

extension Recurrence {
  /// Each step of each sequence uses all weights once.
  func multiplyAdds(_ inputs: Facts, _ outputs: [Fact]) -> Int {
    let sequenceSteps = (inputs[0].shape ?? [0]).prefix(2).reduce(1, &*)
    return sequenceSteps &* (inputs.elementCount(1) &+ inputs.elementCount(2))
  }
}

extension Facts {
  /// The product of an input's extents from an axis on; 0 where the shape is not known.
  fileprivate func elementCount(_ index: Int, from axis: Int = 0) -> Int {
    self[index].shape?.dropFirst(axis).reduce(1, &*) ?? 0
  }
}

extension [Fact] {
  /// The elements of an output; 0 where the shape is not known.
  fileprivate func elementCount(_ index: Int) -> Int {
    indices.contains(index) ? self[index].shape?.elementCount ?? 0 : 0
  }
}
