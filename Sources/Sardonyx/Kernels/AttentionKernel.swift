import CKernels

/// softmax(Q·Kᵀ·scale + bias)·V of single precision, some queries of a head at a time, so that
/// their scores stay in the cache.
struct AttentionKernel: Sendable {
  /// Where the vectors of all heads lie.
  struct Steps: Sendable {
    var start = 0
    let batch: Int
    let head: Int
    let position: Int
    /// From an element of a vector to the next.
    var element = 1

    /// The steps of a region that is batch×heads×length×size.
    init(_ region: Region) {
      start = region.start
      (batch, head, position) = (region.strides[0], region.strides[1], region.strides[2])
      element = region.strides[3]
    }

    init(_ layout: HeadLayout, length: Int? = nil) {
      let length = length ?? layout.length
      let (heads, size) = (layout.heads, layout.size)
      if layout.isPacked {
        (batch, head, position) = (length * heads * size, size, heads * size)
      } else {
        (batch, head, position) = (heads * length * size, length * size, size)
      }
    }

    /// Where a vector begins.
    func place(_ sample: Int, _ head: Int, _ position: Int) -> Int {
      start + sample * batch + head * self.head + position * self.position
    }
  }

  let extents: AttentionExtents
  let scale: Float
  let softcap: Float
  let visibility: KeyVisibility
  private let maskSteps: Steps
  private let maskIsBool: Bool
  /// Of a mask of flags, the one that hides a key, and the score that it gets.
  var hidingFlag = false
  var hiddenScore = -Float.infinity
  /// Whether a query that the mask hides all keys from gives 0, and not what softmax makes of it.
  var hiddenGivesZero = true
  /// Where queries, keys, values and results lie, if not as the extents' layouts say.
  var query: Steps?
  var key: Steps?
  var value: Steps?
  var result: Steps?

  /// - Parameter maskShape: the shape of the mask, of rank 4; nil without one.
  init(
    extents: AttentionExtents, scale: Float, softcap: Float = 0, visibility: KeyVisibility,
    maskShape: Shape?, maskIsBool: Bool
  ) {
    (self.extents, self.scale, self.softcap) = (extents, scale, softcap)
    (self.visibility, self.maskIsBool) = (visibility, maskIsBool)
    maskSteps = Steps(Region(maskShape ?? [1, 1, 1, 1]).broadcast(to: extents.productShape))
  }

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

  /// Queries that are scored together: their scores stay in the second cache, and as many share a packing of
  /// the keys as leave two parts for each thread.
  private func queriesAtOnce(_ crew: Crew) -> Int {
    let heads = extents.query.batch * extents.query.heads
    let most = Caches.level2 / 4 / MemoryLayout<Float>.stride / max(1, extents.totalLength)
    let parts = (2 * crew.threads + heads - 1) / heads
    return extents.query.length.evenPart(
      atMost: max(64, min(most, (extents.query.length + parts - 1) / parts)),
      multipleOf: crew.instructions.width(of: .left))
  }

  func run(_ operands: Operands, on crew: Crew) {
    guard extents.query.batch > 0, extents.query.heads > 0 else { return }
    unsafe withJoined(
      operands.pastKey, operands.key, extents.key, key, operands.presentKey, crew
    ) { keys, keySteps in
      unsafe withJoined(
        operands.pastValue, operands.value, extents.value, value, operands.presentValue, crew
      ) { values, valueSteps in
        nonisolated(unsafe) let (keys, values, operands) = unsafe (keys, values, operands)
        let together = max(1, queriesAtOnce(crew))
        let blocks = max(1, (extents.query.length + together - 1) / together)
        crew.perform(extents.query.batch * extents.query.heads * blocks) { chunk in
          let (head, block) = chunk.quotientAndRemainder(dividingBy: blocks)
          let first = block * together
          unsafe attend(
            head, first..<min(first + together, extents.query.length), keys, keySteps,
            values, valueSteps, operands, crew)
        }
      }
    }
  }

  /// Keys or values of the past and the present: where they lie, or joined where there is a past.
  private func withJoined(
    _ past: UnsafePointer<Float>?, _ new: UnsafePointer<Float>, _ layout: HeadLayout,
    _ steps: Steps?, _ present: UnsafeMutablePointer<Float>?, _ crew: Crew,
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
    guard unsafe past != nil else { return unsafe body(new, steps ?? Steps(layout)) }
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
    let querySteps = query ?? Steps(extents.query)
    let resultSteps = result ?? Steps(extents.output)
    let width = instructions.width(of: .right)
    func panels(_ columns: Int, _ depth: Int) -> Int {
      (columns + width - 1) / width * width * depth
    }
    let result =
      unsafe operands.result
      + resultSteps.place(sample, headOfSample, queries.lowerBound)
    let key = unsafe keys + keySteps.place(sample, keyHead, 0)
    let value = unsafe values + valueSteps.place(sample, keyHead, 0)
    // Rows of scores begin where vectors do, and so does what is packed behind them: 197×64 times 64×197 took 48 µs
    // otherwise and takes 44 (Cascade Lake, AVX-512). Rows a quarter of a page apart would share sets of the first cache.
    let lanes = unsafe instructions.kernels.lanes
    var rowStep = (count + lanes - 1) / lanes * lanes
    if rowStep % 256 == 0 { rowStep += lanes }
    let scoreRoom = queries.count * rowStep
    unsafe crew.scratch.withFloats(scoreRoom + panels(count, size) + panels(valueSize, count)) {
      room in
      let packed = unsafe room + scoreRoom
      if count > 0 {
        unsafe instructions.kernels.pack_panels(
          size, count, width, key, keySteps.position, keySteps.element, packed, width * size)
      }
      var product = unsafe SmallProduct(
        rows: queries.count, columns: count, depth: size,
        a: operands.query + querySteps.place(sample, headOfSample, queries.lowerBound),
        a_row: querySteps.position, a_depth: querySteps.element, b: packed, b_step: width,
        b_panel: width * size,
        c: room, c_step: rowStep, alpha: scale, column_bias: nil, slope: 1, low: -.infinity,
        high: .infinity)
      unsafe instructions.kernels.multiply_small(&product)
      if softcap > 0 {
        unsafe instructions.kernels.affine(scoreRoom, room, room, 1 / softcap, 0)
        unsafe instructions.kernels.tanh(scoreRoom, room, room, 0, 0)
        unsafe instructions.kernels.affine(scoreRoom, room, room, softcap, 0)
      }
      for (row, query) in queries.enumerated() {
        let mask = unsafe operands.mask.map {
          unsafe $0 + maskSteps.place(sample, headOfSample, query) * (maskIsBool ? 1 : 4)
        }
        unsafe weigh(
          room + row * rowStep, count, visible[row], mask: mask, step: maskSteps.element,
          instructions)
      }
      unsafe product.columns = valueSize
      unsafe product.depth = count
      unsafe product.a = UnsafePointer(room)
      unsafe product.a_row = rowStep
      unsafe product.a_depth = 1
      unsafe product.alpha = 1
      unsafe product.c = result
      unsafe product.c_step = resultSteps.position
      if unsafe valueSteps.element == 1 && valueSize % instructions.kernels.lanes == 0 {
        unsafe product.b = value
        unsafe product.b_step = valueSteps.position
        unsafe product.b_panel = width
      } else if count > 0 {
        let packedValues = unsafe packed + panels(count, size)
        unsafe instructions.kernels.pack_panels(
          count, valueSize, width, value, valueSteps.element, valueSteps.position, packedValues,
          width * count)
        unsafe product.b = UnsafePointer(packedValues)
        unsafe product.b_step = width
        unsafe product.b_panel = width * count
      }
      unsafe instructions.kernels.multiply_small(&product)
    }
  }

  /// Makes weights of the scores of a query: 0 for keys that it does not see.
  private func weigh(
    _ scores: UnsafeMutablePointer<Float>, _ count: Int, _ visible: Range<Int>,
    mask: UnsafeRawPointer?, step: Int, _ instructions: InstructionSet
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
        let flags = unsafe mask.assumingMemoryBound(to: UInt8.self)
        var shown = 0
        for key in visible {
          let isHidden = unsafe (flags[key * step] != 0) == hidingFlag
          unsafe scores[key] = isHidden ? hiddenScore : scores[key]
          shown += isHidden ? 0 : 1
        }
        isMasked = shown == 0
      } else {
        let terms = unsafe mask.assumingMemoryBound(to: Float.self)
        let first = unsafe terms + visible.lowerBound * step
        let largest =
          unsafe step == 0
          ? first.pointee : instructions.kernels.row_maximum(visible.count, first)
        isMasked = largest == -.infinity
        unsafe instructions.kernels.add(visible.count, start, 1, first, step, start)
      }
      if isMasked && hiddenGivesZero {
        return unsafe start.update(repeating: 0, count: visible.count)
      }
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
