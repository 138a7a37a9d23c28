/// A graph run along an axis of its scan inputs, one slice at a time.
///
/// The body takes (states…, slices…) and gives (states…, elements…); the elements, stacked along an
/// axis, are the last outputs. Version 8 does so for every batch (axis 0) along axis 1.
struct Scan: Operator {
  var bodies: [Body]
  private let ownInputCount: Int
  private let stateCount: Int
  private let scanCount: Int
  private let inputAxes: [Int]
  private let outputAxes: [Int]
  private let inputsReversed: [Bool]
  private let outputsReversed: [Bool]
  private let hasBatches: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    let body = try node.body("body")
    bodies = [body]
    hasBatches = node.version < 9
    ownInputCount = node.inputCount
    guard let scanCount = try node.int("num_scan_inputs") else {
      throw node.missing("num_scan_inputs")
    }
    let valueCount = ownInputCount - (hasBatches ? 1 : 0)
    guard scanCount > 0, scanCount <= valueCount else {
      throw node.invalid("num_scan_inputs", expected: "1 to \(valueCount)", got: scanCount)
    }
    self.scanCount = scanCount
    stateCount = valueCount - scanCount
    try body.check(
      inputs: valueCount, captures: node.captureCount,
      outputs: max(stateCount, node.outputCount)...Int.max)
    let elementCount = body.graph.outputs.count - stateCount
    inputAxes = try Self.list(&node, "scan_input_axes", scanCount)
    outputAxes = try Self.list(&node, "scan_output_axes", elementCount)
    let directions = hasBatches ? "directions" : "scan_input_directions"
    inputsReversed = try Self.list(&node, directions, scanCount).map { $0 != 0 }
    outputsReversed = try Self.list(&node, "scan_output_directions", elementCount).map { $0 != 0 }
  }

  /// A list attribute with one number per scanned value, 0 unless given.
  private static func list(_ node: inout NodeReader, _ name: String, _ count: Int)
    throws(ModelError) -> [Int]
  {
    let list = try node.ints(name) ?? Array(repeating: 0, count: count)
    guard list.count == count else {
      throw node.invalid(name, expected: "\(count) numbers", got: list.count)
    }
    return list
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    // Batches are rare enough to be described only once they have run.
    if hasBatches { return bodies[0].graph.outputs.map { _ in .unknown } }
    let captured = inputs.from(ownInputCount).map { $0 ?? .unknown }
    var slices: [Fact] = []
    var length: Int?
    for (index, axis) in inputAxes.enumerated() {
      var fact = inputs[stateCount + index]
      fact.value = nil
      if var shape = fact.shape {
        length = shape.remove(at: try axis.axis(ofRank: shape.count, "scan_input_axes"))
        fact.shape = shape
      }
      slices.append(fact)
    }
    let initial = (0..<stateCount).map { inputs[$0] }
    let (states, elements) = bodies[0].settled(initial, after: 0) { $0 + slices + captured }
    var stacked: [Fact] = []
    for (element, axis) in zip(elements, outputAxes) {
      var fact = Fact(type: element.type)
      if var shape = element.shape, let length {
        shape.insert(length, at: try axis.axis(ofRank: shape.count + 1, "scan_output_axes"))
        fact.shape = shape
      }
      stacked.append(fact)
    }
    return states + stacked
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let first = ownInputCount - stateCount - scanCount
    let tensors = (first..<ownInputCount).compactMap { inputs.tensor($0) }
    guard tensors.count == stateCount + scanCount else {
      throw .unexpected(
        "states and scanned inputs", expected: "\(stateCount + scanCount) tensors",
        got: "\(tensors.count)")
    }
    let captured = inputs.from(ownInputCount)
    let results =
      hasBatches
      ? try runBatches(inputs.tensor(0), tensors, captured, outputs.context)
      : try runOne(tensors, length: nil, captured, outputs.context)
    for (index, tensor) in results.enumerated() { outputs.set(index, .tensor(tensor)) }
  }

  /// - Parameter length: the places to go through; nil for all there are.
  private func runOne(
    _ tensors: [Tensor], length: Int?, _ captured: [Value?], _ context: RunContext
  ) throws(ModelError) -> [Tensor] {
    var states = Array(tensors[..<stateCount])
    let scanned = Array(tensors[stateCount...])
    var axes: [Int] = []
    for (tensor, axis) in zip(scanned, inputAxes) {
      axes.append(try axis.axis(ofRank: tensor.shape.count, "scan_input_axes"))
    }
    let extents = zip(scanned, axes).map { $0.shape[$1] }
    guard Set(extents).count == 1 else {
      throw .unexpected(
        "extents of scanned axes", expected: "the same for all", got: extents.joined)
    }
    let count = length ?? extents[0]
    if count > 0, let results = try runDirectly(states, scanned, axes, count, captured, context) {
      return results
    }
    var elements: [[Tensor]] = Array(repeating: [], count: outputAxes.count)
    var given: [Value?] = states.map { .tensor($0) } + scanned.map { _ in nil } + captured
    var runs = BodyRuns(of: bodies[0], context)
    defer { runs.finish() }
    for step in 0..<count {
      try context.checkCancellation()
      for (index, tensor) in scanned.enumerated() {
        let place = inputsReversed[index] ? count - 1 - step : step
        given[stateCount + index] = .tensor(try tensor.place(place, axes[index], context))
      }
      let results = try runs.run(given)
      for (index, result) in results.enumerated() {
        guard let tensor = result.tensor else {
          throw .unexpected("outputs of graph body", expected: "tensors", got: "other values")
        }
        if index < stateCount {
          states[index] = tensor
          given[index] = result
        } else {
          elements[index - stateCount].append(tensor)
        }
      }
    }
    let slices = zip(scanned, axes).map { tensor, axis in
      Fact(tensor.type, Array(tensor.shape[..<axis] + tensor.shape[(axis + 1)...]))
    }
    let facts = states.map { Fact($0) } + slices + captured.map { $0.map { Fact($0) } ?? .unknown }
    return try states
      + elements.indices.map { (index) throws(ModelError) in
        try stacked(elements[index], index, facts, context)
      }
  }

  /// The same on addresses alone, where the body is made for it.
  private func runDirectly(
    _ states: [Tensor], _ scanned: [Tensor], _ axes: [Int], _ count: Int, _ captured: [Value?],
    _ context: RunContext
  ) throws(ModelError) -> [Tensor]? {
    var slices: [Tensor] = []
    for (tensor, axis) in zip(scanned, axes) {
      slices.append(try tensor.slice(axis, at: 0, context))
    }
    let given = (states + slices).map { Value.tensor($0) } + captured
    guard let runs = try bodies[0].directRuns(like: given, context),
      states.indices.allSatisfy({ runs.canFollow($0, as: $0) })
    else { return nil }
    var stacks: [GrowingStack] = []
    for (index, axis) in outputAxes.enumerated() {
      let output = runs.direct.outputs[stateCount + index]
      stacks.append(
        try GrowingStack(
          output.type, output.shape,
          axis: axis.axis(ofRank: output.shape.count + 1, "scan_output_axes"),
          isReversed: outputsReversed[index], capacity: count, context))
    }
    for step in 0..<count {
      try context.checkCancellation()
      for (index, tensor) in scanned.enumerated() {
        let place = inputsReversed[index] ? count - 1 - step : step
        unsafe runs.bind(
          stateCount + index, to: tensor.address(of: place, axes[index], copyingTo: slices[index]))
      }
      try runs.run()
      for index in stacks.indices {
        try unsafe stacks[index].append(runs.output(stateCount + index))
      }
      for index in states.indices { unsafe runs.bind(index, to: runs.output(index)) }
    }
    return states.indices.map { runs.tensor($0) ?? states[$0] } + stacks.map(\.tensor)
  }

  /// The elements of one output along its axis, in its direction.
  private func stacked(
    _ elements: [Tensor], _ index: Int, _ facts: [Fact], _ context: RunContext
  ) throws(ModelError) -> Tensor {
    guard elements.isEmpty else {
      return try Tensor(
        stacking: outputsReversed[index] ? elements.reversed() : elements, outputAxes[index],
        context)
    }
    var (type, shape) = bodies[0].emptyOutput(stateCount + index, facts)
    shape.insert(0, at: try outputAxes[index].axis(ofRank: shape.count + 1, "scan_output_axes"))
    return Tensor(zeros: type, shape)
  }

  /// Each batch by itself; shorter sequences are filled up with zeros.
  private func runBatches(
    _ lengths: Tensor?, _ tensors: [Tensor], _ captured: [Value?], _ context: RunContext
  ) throws(ModelError) -> [Tensor] {
    let ranks = tensors.indices.map { $0 < stateCount ? 1 : 2 }
    guard zip(tensors, ranks).allSatisfy({ $0.shape.count >= $1 }),
      Set(tensors.map { $0.shape[0] }).count == 1
    else {
      throw .unexpected(
        "inputs", expected: "one number of batches, axis 0 of each",
        got: tensors.map { "[\($0.shape.joined)]" }.joined(separator: ", "))
    }
    let longest = tensors[stateCount].shape[1]
    let lengths = lengths?.converted(to: Int64.self).map(Int.init)
    guard tensors[0].shape[0] > 0, lengths.map({ $0.count == tensors[0].shape[0] }) ?? true,
      lengths?.allSatisfy({ 0...longest ~= $0 }) ?? true
    else {
      throw .unexpected(
        "sequence_lens", expected: "a number from 0 to \(longest) for each of at least one batch",
        got: "[\((lengths ?? []).joined)]")
    }
    var batches: [[Tensor]] = []
    for batch in 0..<tensors[0].shape[0] {
      let slices = try tensors.map { (tensor) throws(ModelError) in
        try tensor.slice(0, at: batch, context)
      }
      var results = try runOne(slices, length: lengths?[batch], captured, context)
      for index in stateCount..<results.count {
        results[index] = try results[index].filledUp(to: longest, context)
      }
      batches.append(results)
    }
    return try batches[0].indices.map { (index) throws(ModelError) in
      try Tensor(stacking: batches.map { $0[index] }, 0, context)
    }
  }
}

extension Tensor {
  /// The slice at one place along an axis, in this tensor's memory where its elements are neighbours.
  fileprivate func place(_ place: Int, _ axis: Int, _ context: RunContext) throws(ModelError)
    -> Tensor
  {
    guard shape[..<axis].allSatisfy({ $0 == 1 }) else {
      return try slice(axis, at: place, context)
    }
    var part = shape
    part.remove(at: axis)
    return Tensor(
      type, part, storage: storage,
      byteOffset: byteOffset + place * part.elementCount * type.byteCount, texts: texts)
  }

  /// Where the slice at one place along an axis lies: in this tensor's memory where its elements are
  /// neighbours, else in that of `copy`, which is as large.
  fileprivate func address(of place: Int, _ axis: Int, copyingTo copy: Tensor) -> UnsafeRawPointer {
    let rows = Shape(shape[..<axis]).elementCount
    let size = Shape(shape[(axis + 1)...]).elementCount * type.byteCount
    if rows == 1 { return unsafe bytes + place * size }
    for row in 0..<rows {
      unsafe (copy.storage.base + copy.byteOffset + row * size).copyMemory(
        from: bytes + (row * shape[axis] + place) * size, byteCount: size)
    }
    return unsafe copy.bytes
  }

  /// This tensor with zeros behind along axis 0.
  fileprivate func filledUp(to extent: Int, _ context: RunContext) throws(ModelError) -> Tensor {
    guard shape[0] < extent else { return self }
    let missing = Tensor(zeros: type, [extent - shape[0]] + shape.dropFirst())
    return try Tensor(joining: [self, missing], 0, context)
  }
}
