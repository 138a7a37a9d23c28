/// The operator that adds elements around a tensor, or takes them away.
let padding: OperatorFamily = ["Pad": Pad.init]

/// The input with `pads` more elements before and after each axis; negative pads cut off first.
struct Pad: Operator {
  enum Mode: String { case constant, reflect, edge, wrap }

  let mode: Mode
  /// Before version 11 pads and value are attributes.
  let fixedPads: [Int]?
  let fixedValue: Float

  init(_ node: inout NodeReader) throws(ModelError) {
    let name = try node.string("mode", default: "constant")
    guard let mode = Mode(rawValue: name), mode != .wrap || node.version >= 19 else {
      let modes =
        node.version >= 19 ? "constant, reflect, edge or wrap" : "constant, reflect or edge"
      throw node.invalid("mode", expected: modes, got: name)
    }
    self.mode = mode
    fixedValue = try node.float("value", default: 0)
    // ONNX Runtime's own is of version 1 and has inputs.
    let hasAttributes = node.domain.isEmpty && node.version < 11
    let attribute = node.version < 2 ? "paddings" : "pads"
    fixedPads = hasAttributes ? try node.ints(attribute) : nil
    if hasAttributes && fixedPads == nil { throw node.missing(attribute) }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    var padded = shape
    for (axis, pads) in try pads(inputs, rank: shape.count).enumerated() {
      padded[axis] = shape[axis].saturatingSum(pads.before).saturatingSum(pads.after)
      guard padded[axis] >= 0 else {
        throw .unexpected(
          "pads of axis \(axis)", expected: "at most \(shape[axis]) elements cut off",
          got: "\(pads.before) and \(pads.after)")
      }
      let kept = shape[axis].saturatingSum(min(pads.before, 0)).saturatingSum(min(pads.after, 0))
      guard mode == .constant || kept > 0 || padded[axis] == 0 else {
        throw .unexpected(
          "extent of axis \(axis)", expected: "an element to repeat in mode \(mode)", got: "0")
      }
    }
    return [Fact(try inputs.type(0), padded)]
  }

  /// More copies than these are worked out as they are made.
  private static let mostCopies = 64
  /// More bytes than these are filled by all threads, with looks at the clock.
  private static let mostFilledBytes = 1 << 17

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    // What depends on data is left to `run`.
    guard let shape = outputs[0]?.shape, !shape.contains(0), let type = outputs[0]?.elementType,
      let pads = try? pads(inputs, rank: shape.count)
    else { return nil }
    let extents = try inputs.shape(0)
    var (all, count): ([[Stretch]], Int) = ([], 1)
    for axis in extents.indices {
      all.append(stretches(of: axis, extents, pads))
      count *= all[axis].count
      guard count <= Self.mostCopies else { return nil }
    }
    var moves: [RegionMove] = []
    forEachMove(all, Region(extents), Region(shape)) {
      moves.append(RegionMove(source: $0, target: $1))
    }
    guard let copying = moves.computation(of: type) else { return nil }
    guard fillsAround(pads) else { return copying }
    guard !inputs.has(2) || inputs[2].value != nil,
      shape.elementCount * type.byteCount <= Self.mostFilledBytes,
      let filling = PreparedCopy(
        from: Region([]).broadcast(to: [shape.elementCount]), to: Region([shape.elementCount]),
        size: type.byteCount)
    else { return nil }
    let value =
      value(inputs.has(2) ? try inputs.tensor(2) : nil, type) ?? Tensor(zeros: type, [])
    return { addresses, crew throws(ModelError) in
      unsafe filling.run(from: value.bytes, to: addresses.output(), on: crew)
      try copying(addresses, crew)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let (input, output) = (inputs[0], outputs[0])
    let pads = try pads(inputs.facts, rank: input.shape.count)
    if fillsAround(pads) {
      if let value = value(inputs.tensor(2), output.type) {
        output.fill(value, on: outputs.context.crew)
      } else {
        output.clear()
      }
    }
    let all = input.shape.indices.map { stretches(of: $0, input.shape, pads) }
    forEachMove(all, Region(input.shape), Region(output.shape)) {
      output.copy(input, from: $0, to: $1, on: outputs.context.crew)
    }
  }

  private func fillsAround(_ pads: [(before: Int, after: Int)]) -> Bool {
    mode == .constant && pads.contains { $0.before > 0 || $0.after > 0 }
  }

  /// What lies around the input; nil for zeros.
  private func value(_ given: Tensor?, _ type: ElementType) -> Tensor? {
    if let given, given.elementCount > 0 { return given }
    return fixedValue == 0 ? nil : Tensor(converting: [fixedValue], to: type, [])
  }

  private func stretches(
    of axis: Int, _ extents: Shape, _ pads: [(before: Int, after: Int)]
  ) -> [Stretch] {
    Stretch.all(mode, extent: extents[axis], pads[axis].before, pads[axis].after)
  }

  /// Visits each combination of stretches of the axes from `axis` on, as regions of the input and the output.
  private func forEachMove(
    _ stretches: [[Stretch]], axis: Int = 0, _ source: Region, _ target: Region,
    _ body: (Region, Region) -> Void
  ) {
    guard axis < stretches.count else { return body(source, target) }
    for stretch in stretches[axis] {
      forEachMove(
        stretches, axis: axis + 1,
        source.sliced(axis, from: stretch.source, step: stretch.step, count: stretch.count),
        target.sliced(axis, from: stretch.target, count: stretch.count), body)
    }
  }

  private func pads(_ inputs: Facts, rank: Int) throws(ModelError) -> [(before: Int, after: Int)] {
    let pads = if let fixedPads { fixedPads } else { try inputs.integers(1) }
    let axes = inputs.has(3) ? try inputs.integers(3).axes(ofRank: rank) : Array(0..<rank)
    guard pads.count == 2 * axes.count else {
      throw .unexpected("elements of pads", expected: "\(2 * axes.count)", got: "\(pads.count)")
    }
    guard pads.allSatisfy({ $0.magnitude < 1 << 60 }) else {
      throw .unexpected("pads", expected: "extents of a tensor", got: "[\(pads.joined)]")
    }
    var all = [(before: Int, after: Int)](repeating: (0, 0), count: rank)
    for (index, axis) in axes.enumerated() {
      all[axis] = (pads[index], pads[axes.count + index])
    }
    return all
  }
}

/// Neighbouring places of an output axis that come from evenly spaced places of the input's.
private struct Stretch {
  var target: Int
  var source: Int
  var step: Int
  var count: Int

  /// The stretches that make up a padded axis; in constant mode only the one of the input.
  static func all(_ mode: Pad.Mode, extent: Int, _ before: Int, _ after: Int) -> [Stretch] {
    let first = max(0, -before)
    let kept = max(0, extent + min(before, 0) + min(after, 0))
    let middle = Stretch(target: max(0, before), source: first, step: 1, count: kept)
    guard mode != .constant, kept > 0 else { return [middle] }
    let sources = (-max(0, before)..<kept + max(0, after)).map {
      first + place($0, mode, among: kept)
    }
    return runs(sources)
  }

  /// The one of `count` places that stands for a place outside of them.
  private static func place(_ place: Int, _ mode: Pad.Mode, among count: Int) -> Int {
    switch mode {
    case .wrap: return (place % count + count) % count
    case .reflect where count > 1:
      let period = 2 * (count - 1)
      let phase = (place % period + period) % period
      return min(phase, period - phase)
    default: return max(0, min(place, count - 1))
    }
  }

  /// Cuts a list of places into evenly spaced runs.
  private static func runs(_ sources: [Int]) -> [Stretch] {
    var runs: [Stretch] = []
    for (target, source) in sources.enumerated() {
      if let run = runs.last {
        let step = source - (run.source + (run.count - 1) * run.step)
        if run.count == 1 || step == run.step {
          runs[runs.count - 1].step = step
          runs[runs.count - 1].count += 1
          continue
        }
      }
      runs.append(Stretch(target: target, source: source, step: 1, count: 1))
    }
    return runs
  }
}
