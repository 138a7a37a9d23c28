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

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    // What depends on data is left to `run`.
    guard let shape = outputs[0]?.shape, !shape.contains(0), let type = outputs[0]?.elementType,
      let pads = try? pads(inputs, rank: shape.count),
      let filling = try filling(inputs, type, pads, count: shape.elementCount)
    else { return nil }
    let extents = try inputs.shape(0)
    var moves = [RegionMove(source: Region(extents), target: Region(shape))]
    for axis in extents.indices {
      let stretches = Stretch.all(mode, extent: extents[axis], pads[axis].before, pads[axis].after)
      guard moves.count * stretches.count <= Self.mostCopies else { return nil }
      moves = moves.flatMap { move in
        stretches.map { stretch in
          RegionMove(
            source: move.source.sliced(
              axis, from: stretch.source, step: stretch.step, count: stretch.count),
            target: move.target.sliced(axis, from: stretch.target, count: stretch.count))
        }
      }
    }
    guard let copying = moves.computation(of: type) else { return nil }
    return { addresses, crew throws(ModelError) in
      try filling(addresses, crew)
      try copying(addresses, crew)
    }
  }

  /// What fills the output with the value around the input; nil where the value is not known.
  private func filling(
    _ inputs: Facts, _ type: ElementType, _ pads: [(before: Int, after: Int)], count: Int
  ) throws(ModelError) -> Computation? {
    guard mode == .constant, pads.contains(where: { $0.before > 0 || $0.after > 0 }) else {
      return { _, _ in }
    }
    guard !inputs.has(2) || inputs[2].value != nil else { return nil }
    var value = Tensor(converting: [fixedValue], to: type, [])
    if inputs.has(2), let given = try? inputs.tensor(2), given.elementCount > 0 { value = given }
    let bytes = value.rawBytes.prefix(type.byteCount)
    switch type.byteCount {
    case 1: return Self.filling(bytes, UInt8.self, count)
    case 2: return Self.filling(bytes, UInt16.self, count)
    case 4: return Self.filling(bytes, UInt32.self, count)
    case 8: return Self.filling(bytes, UInt64.self, count)
    default: return nil
    }
  }

  private static func filling<T: FixedWidthInteger & BitwiseCopyable & Sendable>(
    _ bytes: some Collection<UInt8>, _: T.Type, _ count: Int
  ) -> Computation {
    // The first byte is the lowest.
    let element = bytes.reversed().reduce(T(0)) { $0 << 8 | T($1) }
    return { addresses, _ in
      let y: UnsafeMutablePointer<T> = unsafe addresses.output()
      Interruption.inStretches(of: count) {
        unsafe (y + $0.lowerBound).initialize(repeating: element, count: $0.count)
      }
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let (input, output) = (inputs[0], outputs[0])
    let pads = try pads(inputs.facts, rank: input.shape.count)
    if mode == .constant && pads.contains(where: { $0.before > 0 || $0.after > 0 }) {
      fill(output, inputs.tensor(2), on: outputs.context.crew)
    }
    let stretches = input.shape.indices.map { axis in
      Stretch.all(mode, extent: input.shape[axis], pads[axis].before, pads[axis].after)
    }
    copy(
      input, output, stretches, axis: 0, Region(input.shape), Region(output.shape),
      on: outputs.context.crew)
  }

  private func fill(_ output: Destination, _ value: Tensor?, on crew: Crew) {
    if let value, value.elementCount > 0 {
      output.fill(value, on: crew)
    } else if fixedValue != 0 {
      output.fill(Tensor(converting: [fixedValue], to: output.type, []), on: crew)
    } else {
      output.clear()
    }
  }

  /// Copies each combination of stretches of the axes from `axis` on.
  private func copy(
    _ input: Tensor, _ output: Destination, _ stretches: [[Stretch]], axis: Int,
    _ source: Region, _ target: Region, on crew: Crew
  ) {
    guard axis < stretches.count else {
      return output.copy(input, from: source, to: target, on: crew)
    }
    for stretch in stretches[axis] {
      copy(
        input, output, stretches, axis: axis + 1,
        source.sliced(axis, from: stretch.source, step: stretch.step, count: stretch.count),
        target.sliced(axis, from: stretch.target, count: stretch.count), on: crew)
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
