import CKernels

/// softmax(Q·Kᵀ·scale + bias)·V of single precision, some queries of a head at a time, so that
/// their scores stay in the cache.
struct AttentionKernel: Sendable {
  /// Where a vector of HeadLayout begins: batch, head and position steps.
  private struct Steps: Sendable {
    let batch: Int
    let head: Int
    let position: Int

    init(_ layout: HeadLayout, length: Int? = nil) {
      let length = length ?? layout.length
      let (heads, size) = (layout.heads, layout.size)
      if layout.isPacked {
        (batch, head, position) = (length * heads * size, size, heads * size)
      } else {
        (batch, head, position) = (heads * length * size, length * size, size)
      }
    }
  }

  let extents: AttentionExtents
  let scale: Float
  let softcap: Float
  let visibility: KeyVisibility
  /// The shape of the mask, of rank 4; nil without one.
  let maskShape: Shape?
  let maskIsBool: Bool

  /// Where the tensors lie.
  @unsafe struct Operands {
    let query: UnsafePointer<Float>
    let key: UnsafePointer<Float>
    let value: UnsafePointer<Float>
    let mask: UnsafeRawPointer?
    let pastKey: UnsafePointer<Float>?
    let pastValue: UnsafePointer<Float>?
    let validLengths: UnsafePointer<Int64>?
    let result: UnsafeMutablePointer<Float>
    let presentKey: UnsafeMutablePointer<Float>?
    let presentValue: UnsafeMutablePointer<Float>?
  }

  /// Queries that are scored together.
  private static let queriesAtOnce = 64

  func run(_ operands: Operands, on crew: Crew) {
    guard extents.query.batch > 0, extents.query.heads > 0 else { return }
    unsafe withJoined(operands.pastKey, operands.key, extents.key, operands.presentKey, crew) {
      keys, keySteps in
      unsafe withJoined(
        operands.pastValue, operands.value, extents.value, operands.presentValue, crew
      ) { values, valueSteps in
        nonisolated(unsafe) let (keys, values, operands) = unsafe (keys, values, operands)
        let blocks = max(1, (extents.query.length + Self.queriesAtOnce - 1) / Self.queriesAtOnce)
        crew.perform(extents.query.batch * extents.query.heads * blocks) { chunk in
          let (head, block) = chunk.quotientAndRemainder(dividingBy: blocks)
          let first = block * Self.queriesAtOnce
          unsafe attend(
            head, first..<min(first + Self.queriesAtOnce, extents.query.length), keys, keySteps,
            values, valueSteps, operands, crew)
        }
      }
    }
  }

  /// Keys or values of the past and the present: where they lie, or joined where there is a past.
  private func withJoined(
    _ past: UnsafePointer<Float>?, _ new: UnsafePointer<Float>, _ layout: HeadLayout,
    _ present: UnsafeMutablePointer<Float>?, _ crew: Crew,
    _ body: (UnsafePointer<Float>, Steps) -> Void
  ) {
    let total = extents.totalLength
    let whole = HeadLayout(
      batch: layout.batch, heads: layout.heads, length: total, size: layout.size, isPacked: false)
    func join(into target: UnsafeMutablePointer<Float>) {
      let (from, to) = (Steps(layout), Steps(whole))
      for batch in 0..<layout.batch {
        for head in 0..<layout.heads {
          let place = unsafe target + (batch * to.batch + head * to.head)
          let old = extents.pastLength * layout.size
          if let past = unsafe past {
            let number = batch * layout.heads + head
            unsafe place.update(from: past + number * old, count: old)
          }
          let start = unsafe new + (batch * from.batch + head * from.head)
          for position in 0..<layout.length {
            unsafe (place + old + position * layout.size).update(
              from: start + position * from.position, count: layout.size)
          }
        }
      }
    }
    if let present = unsafe present {
      unsafe join(into: present)
      return unsafe body(UnsafePointer(present), Steps(whole))
    }
    guard unsafe past != nil else { return unsafe body(new, Steps(layout)) }
    unsafe crew.scratch.withFloats(layout.batch * layout.heads * total * layout.size) { room in
      unsafe join(into: room)
      unsafe body(UnsafePointer(room), Steps(whole))
    }
  }

  /// Some queries of a head, counted through the batch.
  private func attend(
    _ head: Int, _ queries: Range<Int>, _ keys: UnsafePointer<Float>, _ keySteps: Steps,
    _ values: UnsafePointer<Float>, _ valueSteps: Steps, _ operands: Operands, _ crew: Crew
  ) {
    let instructions = crew.instructions
    let (sample, headOfSample) = head.quotientAndRemainder(dividingBy: extents.query.heads)
    let keyHead = headOfSample / (extents.query.heads / extents.key.heads)
    let valid = unsafe operands.validLengths.map { unsafe Int($0[sample]) }
    let visible = queries.map { visibility.keys(for: $0, valid) }
    // Nothing behind the last key that any of them sees matters.
    let count = visible.map { $0.isEmpty ? 0 : $0.upperBound }.max() ?? 0
    let (size, valueSize) = (extents.query.size, extents.value.size)
    let querySteps = Steps(extents.query)
    let resultSteps = Steps(extents.output)
    let width = instructions.width(of: .right)
    func panels(_ columns: Int, _ depth: Int) -> Int {
      (columns + width - 1) / width * width * depth
    }
    let result =
      unsafe operands.result
      + (sample * resultSteps.batch + headOfSample * resultSteps.head
        + queries.lowerBound * resultSteps.position)
    let key = unsafe keys + (sample * keySteps.batch + keyHead * keySteps.head)
    let value = unsafe values + (sample * valueSteps.batch + keyHead * valueSteps.head)
    let rowStep = max(count, 1)
    let scoreRoom = queries.count * rowStep
    unsafe crew.scratch.withFloats(scoreRoom + panels(count, size) + panels(valueSize, count)) {
      room in
      let packed = unsafe room + scoreRoom
      if count > 0 {
        unsafe instructions.kernels.pack_panels(
          size, count, width, key, keySteps.position, 1, packed, width * size)
      }
      var product = unsafe SmallProduct(
        rows: queries.count, columns: count, depth: size,
        a: operands.query
          + (sample * querySteps.batch + headOfSample * querySteps.head
            + queries.lowerBound * querySteps.position),
        a_row: querySteps.position, a_depth: 1, b: packed, b_step: width, b_panel: width * size,
        c: room, c_step: rowStep, alpha: scale, column_bias: nil, slope: 1, low: -.infinity,
        high: .infinity)
      unsafe instructions.kernels.multiply_small(&product)
      if softcap > 0 {
        unsafe instructions.kernels.affine(scoreRoom, room, room, 1 / softcap, 0)
        unsafe instructions.kernels.tanh(scoreRoom, room, room, 0, 0)
        unsafe instructions.kernels.affine(scoreRoom, room, room, softcap, 0)
      }
      for (row, query) in queries.enumerated() {
        unsafe weigh(
          room + row * rowStep, count, visible[row],
          mask: maskRow(operands.mask, sample, headOfSample, query), instructions)
      }
      unsafe product.columns = valueSize
      unsafe product.depth = count
      unsafe product.a = UnsafePointer(room)
      unsafe product.a_row = rowStep
      unsafe product.alpha = 1
      unsafe product.c = result
      unsafe product.c_step = resultSteps.position
      if unsafe valueSize % instructions.kernels.lanes == 0 {
        unsafe product.b = value
        unsafe product.b_step = valueSteps.position
        unsafe product.b_panel = width
      } else if count > 0 {
        let packedValues = unsafe packed + panels(count, size)
        unsafe instructions.kernels.pack_panels(
          count, valueSize, width, value, 1, valueSteps.position, packedValues, width * count)
        unsafe product.b = UnsafePointer(packedValues)
        unsafe product.b_step = width
        unsafe product.b_panel = width * count
      }
      unsafe instructions.kernels.multiply_small(&product)
    }
  }

  /// The mask's row for a query, and the step from key to key in it.
  private func maskRow(_ mask: UnsafeRawPointer?, _ sample: Int, _ head: Int, _ query: Int)
    -> (start: UnsafeRawPointer, step: Int)?
  {
    guard let mask = unsafe mask, let maskShape else { return nil }
    let strides = maskShape.strides
    var place = 0
    for (axis, index) in [sample, head, query].enumerated() where maskShape[axis] != 1 {
      place += index * strides[axis]
    }
    return unsafe (mask + place * (maskIsBool ? 1 : 4), maskShape[3] == 1 ? 0 : 1)
  }

  /// Makes weights of the scores of a query: 0 for keys that it does not see.
  private func weigh(
    _ scores: UnsafeMutablePointer<Float>, _ count: Int, _ visible: Range<Int>,
    mask: (start: UnsafeRawPointer, step: Int)?, _ instructions: InstructionSet
  ) {
    unsafe scores.update(repeating: 0, count: min(visible.lowerBound, count))
    if visible.upperBound < count {
      unsafe (scores + visible.upperBound).update(
        repeating: 0, count: count - visible.upperBound)
    }
    guard !visible.isEmpty else { return }
    let start = unsafe scores + visible.lowerBound
    if let mask = unsafe mask {
      var isMasked = true
      if maskIsBool {
        let flags = unsafe mask.start.assumingMemoryBound(to: UInt8.self)
        for key in visible {
          if unsafe flags[key * mask.step] == 0 {
            unsafe scores[key] = -.infinity
          } else {
            isMasked = false
          }
        }
      } else {
        let terms = unsafe mask.start.assumingMemoryBound(to: Float.self)
        let first = unsafe terms + visible.lowerBound * mask.step
        let largest =
          unsafe mask.step == 0
          ? first.pointee : instructions.kernels.row_maximum(visible.count, first)
        isMasked = largest == -.infinity
        unsafe instructions.kernels.add(visible.count, start, 1, first, mask.step, start)
      }
      if isMasked { return unsafe start.update(repeating: 0, count: visible.count) }
    }
    unsafe instructions.kernels.softmax(visible.count, start, start)
  }
}

extension AttentionKernel {
  /// The inputs and outputs of the operator in their order.
  func computation(_ inputs: Facts) -> Computation {
    let given = (0..<7).map { inputs.has($0) }
    return { addresses, crew in
      func optional(_ index: Int) -> UnsafePointer<UInt8>? {
        given[index] ? unsafe addresses.input(index, as: UInt8.self) : nil
      }
      func floats(_ index: Int) -> UnsafePointer<Float>? {
        given[index] ? unsafe addresses.input(index, as: Float.self) : nil
      }
      unsafe run(
        Operands(
          query: addresses.input(0), key: addresses.input(1), value: addresses.input(2),
          mask: optional(3).map { unsafe UnsafeRawPointer($0) }, pastKey: floats(4),
          pastValue: floats(5),
          validLengths: given[6] ? addresses.input(6, as: Int64.self) : nil,
          result: addresses.output(),
          presentKey: addresses.wanted(1)?.assumingMemoryBound(to: Float.self),
          presentValue: addresses.wanted(2)?.assumingMemoryBound(to: Float.self)),
        on: crew)
    }
  }
}
