/// How a tensor holds vectors by batch, head and position.
struct HeadLayout: Sendable {
  let batch: Int
  let heads: Int
  let length: Int
  let size: Int
  /// batch×length×(heads·size) instead of batch×heads×length×size.
  let isPacked: Bool

  init(batch: Int, heads: Int, length: Int, size: Int, isPacked: Bool) {
    self.batch = batch
    self.heads = heads
    self.length = length
    self.size = size
    self.isPacked = isPacked
  }

  /// - Parameter heads: the attribute that a tensor of rank 3 needs.
  init(_ name: String, _ shape: Shape, heads: Int?) throws(ModelError) {
    if shape.count == 4 {
      self.init(
        batch: shape[0], heads: shape[1], length: shape[2], size: shape[3], isPacked: false)
      return
    }
    guard shape.count == 3 else {
      throw .unexpected("rank of \(name)", expected: "3 or 4", got: "\(shape.count)")
    }
    guard let heads, heads > 0 else {
      throw ModelError(
        .invalid, "\(name) has rank 3: expected the number of its heads as an attribute, got none")
    }
    guard shape[2] % heads == 0, heads <= max(shape[2], 1) else {
      throw .unexpected(
        "last axis of \(name)", expected: "a multiple of \(heads), the number of heads",
        got: "\(shape[2])")
    }
    self.init(
      batch: shape[0], heads: heads, length: shape[1], size: shape[2] / heads, isPacked: true)
  }

  /// batch×heads×`length`×size.
  func shape(length: Int) -> Shape { [batch, heads, length, size] }

  var shape: Shape { isPacked ? [batch, length, heads * size] : shape(length: length) }

  /// The vectors as batch×heads×length×size.
  func arranged<T>(_ x: [T]) throws(ModelError) -> [T] {
    isPacked ? try swapped(x, heads, length) : x
  }

  /// The vectors of batch×heads×length×size as this layout has them.
  func restored<T>(_ x: [T]) throws(ModelError) -> [T] {
    isPacked ? try swapped(x, length, heads) : x
  }

  /// batch×inner×outer×size to batch×outer×inner×size.
  private func swapped<T>(_ x: [T], _ outer: Int, _ inner: Int) throws(ModelError) -> [T] {
    var y: [T] = []
    var interruption = Interruption()
    y.reserveCapacity(x.count)
    for b in 0..<batch {
      for first in 0..<outer {
        for second in 0..<inner {
          if interruption.isDue(after: size &+ 8) { try Interruption.check() }
          let place = ((b * inner + second) * outer + first) * size
          y.append(contentsOf: x[place..<place + size])
        }
      }
    }
    return y
  }
}

/// The sizes of an attention.
struct AttentionExtents: Sendable {
  let query: HeadLayout
  let key: HeadLayout
  let value: HeadLayout
  let pastLength: Int

  init(query: HeadLayout, key: HeadLayout, value: HeadLayout, pastLength: Int = 0)
    throws(ModelError)
  {
    (self.query, self.key, self.value) = (query, key, value)
    self.pastLength = pastLength
    guard key.batch == query.batch, value.batch == query.batch else {
      throw .unexpected(
        "batch of K and V", expected: "\(query.batch)", got: "\(key.batch) and \(value.batch)")
    }
    guard key.size == query.size else {
      throw .unexpected("head size of K", expected: "\(query.size)", got: "\(key.size)")
    }
    guard value.heads == key.heads, value.length == key.length else {
      throw .unexpected(
        "heads and length of V", expected: "\(key.heads) and \(key.length)",
        got: "\(value.heads) and \(value.length)")
    }
    guard key.heads > 0 ? query.heads % key.heads == 0 : query.heads == 0 else {
      throw .unexpected(
        "heads of Q", expected: "a multiple of \(key.heads), the heads of K",
        got: "\(query.heads)")
    }
  }

  var totalLength: Int { pastLength + key.length }
  var productShape: Shape { [query.batch, query.heads, query.length, totalLength] }
  var presentKeyShape: Shape { key.shape(length: totalLength) }
  var presentValueShape: Shape { value.shape(length: totalLength) }
  var outputShape: Shape { output.shape }

  var output: HeadLayout {
    HeadLayout(
      batch: query.batch, heads: query.heads, length: query.length, size: value.size,
      isPacked: query.isPacked)
  }

  /// The past followed by what is new, as batch×heads×length×size.
  func joined<T: Number>(
    _ past: Tensor?, _ new: Tensor, _ layout: HeadLayout
  ) throws(ModelError) -> [T] {
    try joined(past, try layout.arranged(new.converted()), layout)
  }

  /// The past followed by what is new, both batch×heads×length×size.
  func joined<T: Number>(
    _ past: Tensor?, _ arranged: [T], _ layout: HeadLayout
  ) throws(ModelError) -> [T] {
    guard let past: [T] = past?.converted() else { return arranged }
    let (old, added) = (pastLength * layout.size, layout.length * layout.size)
    var joined: [T] = []
    joined.reserveCapacity(past.count + arranged.count)
    var interruption = Interruption()
    func append(_ numbers: ArraySlice<T>) throws(ModelError) {
      let stretch = 1 << 16
      for first in stride(from: numbers.startIndex, to: numbers.endIndex, by: stretch) {
        let part = numbers[first...].prefix(stretch)
        if interruption.isDue(after: part.count) { try Interruption.check() }
        joined.append(contentsOf: part)
      }
    }
    for head in 0..<layout.batch * layout.heads {
      try append(past[head * old..<(head + 1) * old])
      try append(arranged[head * added..<(head + 1) * added])
    }
    return joined
  }

  /// The head of K and V that a head of Q, counted through the batch, attends to.
  private func keyHead(_ head: Int) -> Int {
    let sharing = query.heads / key.heads
    return head / query.heads * key.heads + head % query.heads / sharing
  }

  /// Q·Kᵀ·scale of all heads, each query length × total length; scale is 1/√size by default.
  func products<T: RealNumber>(
    _ q: [T], _ k: [T], scale: Float?, on crew: Crew
  ) throws(ModelError) -> [T] {
    let factor = T(scale.map { Double($0) } ?? 1 / Double(query.size).squareRoot())
    let batch = ProductBatch(
      m: query.length, n: totalLength, k: query.size, left: MatrixView(columns: query.size),
      right: MatrixView(columns: query.size, isTransposed: true),
      offsets: offsets(query.length * query.size, totalLength * query.size))
    let scaled = q.interruptibleMap(cost: 1) { $0 * factor }
    try Interruption.check()
    return batch.multiply(scaled, k, on: crew)
  }

  /// P·V of all heads.
  func weighted<T: RealNumber>(_ p: [T], _ v: [T], on crew: Crew) -> [T] {
    let batch = ProductBatch(
      m: query.length, n: value.size, k: totalLength, left: MatrixView(columns: totalLength),
      right: MatrixView(columns: value.size),
      offsets: offsets(query.length * totalLength, totalLength * value.size))
    return batch.multiply(p, v, on: crew)
  }

  /// Where each head's matrices begin, given their sizes.
  private func offsets(_ left: Int, _ right: Int) -> [(left: Int, right: Int)] {
    (0..<query.batch * query.heads).map { ($0 * left, keyHead($0) * right) }
  }
}

/// What is added to the scores of an attention: -∞ where a query may not see a key.
struct AttentionBias {
  private let extents: AttentionExtents
  private let isCausal: Bool
  private let window: (left: Int, right: Int)
  /// Keys that count in each sample, if not all.
  private let validLengths: [Int]?
  private let mask: [Double]?
  private let maskShape: Shape
  private let maskStrides: [Int]

  /// - Parameter padsMask: whether a mask shorter than the keys forbids the rest of them.
  init(
    _ inputs: Inputs, _ extents: AttentionExtents, _ isCausal: Bool,
    _ window: (left: Int, right: Int), padsMask: Bool
  ) throws(ModelError) {
    self.extents = extents
    self.isCausal = isCausal
    self.window = window
    validLengths = inputs.has(6) ? inputs.integers(6) : nil
    guard let tensor = inputs.tensor(3) else {
      (mask, maskShape, maskStrides) = (nil, [], [])
      return
    }
    var full = extents.productShape
    if padsMask, let last = tensor.shape.last, last <= extents.totalLength {
      full[3] = last
    }
    guard tensor.shape.broadcasts(to: full) else {
      throw .unexpected(
        "shape of attn_mask", expected: "one that broadcasts to [\(full.joined)]",
        got: "[\(tensor.shape.joined)]")
    }
    let numbers: [Double] = tensor.converted()
    mask =
      tensor.type == .bool
      ? numbers.interruptibleMap(cost: 1) { $0 == 0 ? -.infinity : 0 } : numbers
    try Interruption.check()
    maskShape = Array(repeating: 1, count: 4 - tensor.shape.count) + tensor.shape
    maskStrides = zip(maskShape, maskShape.strides).map { $0 == 1 ? 0 : $1 }
    self.padsMask = padsMask
  }

  private var padsMask = false

  /// Whether every query sees every key as it is.
  private var isNothing: Bool {
    mask == nil && validLengths == nil && !isCausal && window.left < 0 && window.right < 0
  }

  /// Adds the bias to the scores of all heads; returns the rows of queries that see no key.
  /// - Throws: ``ModelError`` (limit or cancelled) where the run is to end.
  func add<T: RealNumber>(to scores: inout [T]) throws(ModelError) -> [Int] {
    if isNothing { return [] }
    let (heads, queries, keys) = (
      extents.query.heads, extents.query.length, extents.totalLength
    )
    var masked: [Int] = []
    var interruption = Interruption()
    for row in 0..<extents.query.batch * heads * queries {
      if interruption.isDue(after: 4 &* keys &+ 200) { try Interruption.check() }
      let (head, query) = row.quotientAndRemainder(dividingBy: queries)
      let (sample, headOfSample) = head.quotientAndRemainder(dividingBy: heads)
      let visible = visibleKeys(query, sample)
      let place = zip(maskStrides, [sample, headOfSample, query]).reduce(0) { $0 + $1.0 * $1.1 }
      var isMasked = true
      for key in 0..<keys {
        let bias = visible.contains(key) ? maskBias(place, key) : -Double.infinity
        if bias != -.infinity { isMasked = false }
        if bias != 0 { scores[row * keys + key] += T(converting: bias) }
      }
      if isMasked { masked.append(row) }
    }
    return masked
  }

  /// What the mask adds for a key, given the place of the query's row in it.
  private func maskBias(_ place: Int, _ key: Int) -> Double {
    guard let mask else { return 0 }
    return padsMask && key >= maskShape[3] ? -.infinity : mask[place + key * maskStrides[3]]
  }

  /// The keys that a query sees, but for the mask.
  private func visibleKeys(_ row: Int, _ sample: Int) -> Range<Int> {
    visibility.keys(for: row, validLengths?[sample])
  }

  private var visibility: KeyVisibility {
    KeyVisibility(extents: extents, isCausal: isCausal, window: window)
  }
}

/// Which keys a query sees by its position alone.
struct KeyVisibility: Sendable {
  let extents: AttentionExtents
  let isCausal: Bool
  let window: (left: Int, right: Int)

  /// - Parameter valid: the keys that count in the query's sample, if not all.
  func keys(for row: Int, _ valid: Int?) -> Range<Int> {
    let offset =
      if extents.pastLength == 0, let valid { valid &- extents.query.length } else {
        extents.pastLength
      }
    let position = row &+ offset
    var first = 0
    var last = min(extents.totalLength, valid ?? .max)
    if isCausal { last = min(last, position &+ 1) }
    if window.left >= 0 { first = max(first, position &- window.left) }
    if window.right >= 0, window.right < extents.totalLength {
      last = min(last, position &+ window.right &+ 1)
    }
    return first..<max(first, last)
  }
}
