/// Why a fold is not done.
enum FoldObstacle: Error {
  case reason(String)
  case fault(ModelError)
}

extension Node {
  /// A pool that gives the same before and behind scale and shift of channels.
  func requireCommuting(with normalization: ChannelNormalization) throws(FoldObstacle) {
    guard outputs.dropFirst().allSatisfy({ $0 == nil }) else {
      throw .reason("\(label) has outputs beside Y")
    }
    if operatorName == "MaxPool" || operatorName == "GlobalMaxPool" {
      guard normalization.scale.allSatisfy({ $0 >= 0 }) else {
        throw .reason("the scale of a channel is negative, which does not pass \(label)")
      }
      return
    }
    // A mean over padding is not one of numbers that were shifted.
    guard operatorName == "AveragePool" else { return }
    guard operatorSet >= 7, attributes.int("count_include_pad") ?? 0 == 0 else {
      throw .reason("the means of \(label) count padding")
    }
  }

  /// Where the axis of channels is on the other side of a ReduceMean; nil where it takes the mean over them, or
  /// over axes that are not known.
  /// - Parameters:
  ///   - axis: of the output where `isBackward`, else of the input.
  ///   - rank: of the input.
  func axisOfMean(_ axis: Int, rank: Int?, _ graph: Graph, isBackward: Bool) -> Int? {
    guard let rank else { return nil }
    var stated: [Int]?
    if operatorSet < 18 {
      if case .ints(let axes)? = attributes["axes"] { stated = axes }
    } else {
      stated = graph.constant(self, 1)?.converted(to: Int64.self).map(Int.init)
    }
    guard let stated, stated.allSatisfy({ (-rank..<rank).contains($0) }) else { return nil }
    let axes = Set(stated.map { $0 < 0 ? $0 + rank : $0 })
    guard !axes.isEmpty else { return nil }
    let kept = (0..<rank).filter { !axes.contains($0) }
    if attributes.int("keepdims") ?? 1 != 0 { return kept.contains(axis) ? axis : nil }
    if isBackward { return kept.indices.contains(axis) ? kept[axis] : nil }
    return kept.firstIndex(of: axis)
  }

  /// Whether a convolution may read zeros beside its input, or write more at some places than at others.
  var hasBorder: Bool {
    if operatorName == "ConvTranspose" { return true }
    if case .string(let padding)? = attributes["auto_pad"], !["NOTSET", "VALID"].contains(padding) {
      return true
    }
    if case .ints(let pads)? = attributes["pads"] { return pads.contains { $0 != 0 } }
    return false
  }

  /// Whether this Pad puts zeros beside images, and nothing beside channels and rows of the batch.
  func padsWithZeros(rank: Int, _ graph: Graph) -> Bool {
    if case .string(let mode)? = attributes["mode"], mode != "constant" { return false }
    var amounts: [Int]?
    if operatorSet < 11 {
      if case .ints(let pads)? = attributes["pads"] { amounts = pads }
      guard attributes.float("value") ?? 0 == 0 else { return false }
    } else {
      amounts = graph.constant(self, 1)?.converted(to: Int64.self).map(Int.init)
      guard !hasInput(3),
        !hasInput(2) || graph.constant(self, 2)?.converted(to: Double.self) == [0]
      else { return false }
    }
    guard rank > 2, let amounts, amounts.count == 2 * rank else { return false }
    return [0, 1, rank, rank + 1].allSatisfy { amounts[$0] == 0 }
  }

  /// The output channels of a Conv or Gemm with weights of this shape.
  func outputChannels(_ shape: Shape) throws(FoldObstacle) -> Int {
    guard operatorName == "Gemm" else { return try ChannelLayout.channels(self, shape) }
    guard shape.count == 2 else { throw .reason("the weights have \(shape.count) axes") }
    return attributes.int("transB") ?? 0 == 0 ? shape[1] : shape[0]
  }

  /// Whether this BatchNormalization uses the stored statistics, by the rules of its version.
  func requireInference() throws(FoldObstacle) {
    let extraOutputs = outputs.dropFirst().contains { $0 != nil }
    let training =
      switch operatorSet {
      case ..<7: attributes.int("is_test") ?? 0 == 0
      case ..<14: extraOutputs
      default: attributes.int("training_mode") ?? 0 != 0
      }
    if training { throw .reason("runs in training mode, with the statistics of its batch") }
    if extraOutputs { throw .reason("has outputs beside Y") }
    // Version 9 dropped `spatial`; its default is 1.
    if operatorSet < 9, attributes.int("spatial") == 0 {
      throw .reason("spatial = 0 scales each element, not each channel")
    }
  }

  /// This node as another operator of no attributes.
  func becoming(
    _ operatorName: String, _ inputs: [Graph.ValueID], _ outputs: [Graph.ValueID?]
  ) throws(FoldObstacle) -> Node {
    var node = self
    node.operatorName = operatorName
    node.inputs = inputs
    node.attributes = [:]
    node.outputs = outputs
    do throws(ModelError) { try node.remake() } catch { throw .fault(error) }
    return node
  }
}
