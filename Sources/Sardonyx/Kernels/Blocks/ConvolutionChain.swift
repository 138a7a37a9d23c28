import CKernels

/// Convolutions over blocks of channels, one after the other, some rows at a time: what one makes is read by the next
/// while it is in the second cache, and is kept no longer.
///
/// 16 to 96 channels at 112×112, depthwise with stride 2 and 96 to 24 took 1.39 ms and take 0.76 (Cascade Lake, AVX-512, one
/// thread), 24 to 144 at 56×56, depthwise and 144 to 24 took 0.85 and take 0.62: what lies between was written to the third
/// cache and read again. What fits the second cache is as fast whole: 32 to 192 channels at 28×28 take 0.22 ms both ways.
/// Each output is the same sum as without, so results are the same to the bit.
struct ConvolutionChain: Sendable {
  struct Link: Sendable {
    let shape: ConvolutionShape
    let filter: BlockedFilter
    let activation: Activation
  }

  private let links: [BlockedConvolution]
  private let activations: [Activation]
  /// Rows of the output that are made in turn; nil where links follow each other whole.
  private let rowsAtOnce: Int?
  /// Of each link but the last, how many rows of its output are kept in turn.
  private let rowsKept: [Int]

  /// - Parameter cache: bytes of the second cache.
  /// - Returns: nil where a link cannot go by rows, or does not fit the one before.
  init?(_ links: [Link], cache: Int = Caches.level2) {
    for (link, next) in zip(links, links.dropFirst()) {
      guard link.shape.batch == next.shape.batch, next.filter.algorithm != .planar,
        link.shape.outputChannels == next.shape.inputChannels,
        link.shape.output.asPlane == next.shape.input.asPlane
      else { return nil }
    }
    activations = links.map(\.activation)
    let plain = links.map { BlockedConvolution($0.shape, $0.filter) }
    guard plain.allSatisfy(\.goesByRows) else { return nil }
    let outputs = plain.dropLast().map { $0.outputImage * MemoryLayout<Float>.stride }
    guard let last = plain.last, outputs.contains(where: { $0 > cache }) else {
      (self.links, rowsAtOnce, rowsKept) = (plain, nil, [])
      return
    }
    // Three quarters of the second cache for the rows that are kept.
    let most = cache / 4 * 3
    let rows = last.shape.output.asPlane.rows
    let fitting = (1...max(1, rows)).prefix { atOnce in
      let kept = Self.rowsKept(plain, atOnce)
      return zip(plain, kept).reduce(0) { $0 + $1.0.rowBytes * $1.1 } <= most
    }
    let (atOnce, kept) = (fitting.last ?? 1, Self.rowsKept(plain, fitting.last ?? 1))
    (rowsAtOnce, rowsKept) = (atOnce, kept)
    func step(_ index: Int) -> Int? {
      kept.indices.contains(index) ? kept[index] * plain[index].rowFloats : nil
    }
    self.links = links.indices.map { index in
      BlockedConvolution(
        links[index].shape, links[index].filter,
        planeSteps: .init(input: step(index - 1), output: step(index)))
    }
  }

  /// What the next links see of each link for so many rows of the output, and as many rows as come next.
  private static func rowsKept(_ links: [BlockedConvolution], _ atOnce: Int) -> [Int] {
    var (kept, seen, new) = ([Int](), atOnce, atOnce)
    for link in links.dropFirst().reversed() {
      let shape = link.shape
      seen =
        (seen - 1) * shape.strides.asPlane.rows + (shape.kernel.asPlane.rows - 1)
        * shape.dilations.asPlane.rows + 1
      new *= shape.strides.asPlane.rows
      kept.insert(min(shape.input.asPlane.rows, seen + new), at: 0)
    }
    return kept
  }

  /// - Parameter residual: laid out as the output; may not be the input or the output.
  func run(
    _ x: UnsafePointer<Float>, residual: UnsafePointer<Float>?,
    into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    guard let first = links.first, let last = links.last, last.shape.batch > 0,
      last.shape.output.elementCount > 0
    else { return }
    guard let rowsAtOnce else { return unsafe runWhole(x, residual: residual, into: y, on: crew) }
    nonisolated(unsafe) let (y, residual) = unsafe (y, residual)
    let rows = last.shape.output.asPlane.rows
    let part = rowsInPart(rows, rowsAtOnce, crew)
    let parts = (rows + part - 1) / part
    unsafe first.withSource(of: x, on: crew) { source in
      nonisolated(unsafe) let source = unsafe source
      crew.perform(last.shape.batch * parts) { chunk in
        let mode = kernels_flush_denormals()
        defer { kernels_restore_denormals(mode) }
        let (image, index) = chunk.quotientAndRemainder(dividingBy: parts)
        let place = image * last.outputImage
        unsafe run(
          rows: index * part..<min((index + 1) * part, rows), atOnce: rowsAtOnce,
          source + image * first.sourceImage, residual: residual.map { unsafe $0 + place },
          into: y + place, on: crew)
      }
    }
  }

  /// Rows of an image's output that a thread makes alone: what its first ones see is made anew.
  private func rowsInPart(_ rows: Int, _ atOnce: Int, _ crew: Crew) -> Int {
    // Two parts for each thread even them out, where they are not mostly beginnings.
    let images = links[0].shape.batch
    let parts = crew.threads == 1 ? 1 : (2 * crew.threads + images - 1) / images
    let even = (rows + parts - 1) / parts
    let part = even >= 4 * atOnce ? even : max(1, min(rows, 2 * even))
    // Some hundred millions of multiply-adds, so that an interruption does not come late.
    let work = links.reduce(0) { $0 + $1.multiplyAdds } / max(1, rows)
    return max(1, min(part, (1 << 28) / max(1, work)))
  }

  // MARK: Some rows at a time

  /// Rows of a link's output that are at hand, plane by plane.
  @unsafe private struct KeptRows {
    private let memory: UnsafeMutablePointer<Float>
    private let planes: Int
    private let capacity: Int
    private let rowFloats: Int
    /// The row at the beginning of memory.
    private var first = 0
    private var rows = 0..<0

    init(_ memory: UnsafeMutablePointer<Float>, of link: BlockedConvolution, capacity: Int) {
      unsafe self.memory = unsafe memory
      unsafe planes = link.filter.outputBlocks
      unsafe self.capacity = capacity
      unsafe rowFloats = link.rowFloats
    }

    /// Where row 0 of the first plane lies, or would.
    var origin: UnsafeMutablePointer<Float> { unsafe memory - first * rowFloats }

    /// Makes room for rows, no earlier than any before, by moving those of them that are at hand to the beginning.
    /// - Returns: those that are to be made.
    mutating func reserve(_ wanted: Range<Int>) -> Range<Int> {
      let isNew = unsafe rows.isEmpty
      if unsafe isNew || wanted.upperBound > first + capacity {
        let kept = unsafe max(0, rows.upperBound - wanted.lowerBound)
        for plane in unsafe 0..<planes where !isNew && kept > 0 {
          let start = unsafe memory + plane * capacity * rowFloats
          unsafe start.update(
            from: start + (wanted.lowerBound - first) * rowFloats, count: kept * rowFloats)
        }
        unsafe first = wanted.lowerBound
        unsafe rows = wanted.lowerBound..<wanted.lowerBound + (isNew ? 0 : kept)
      }
      let end = unsafe max(rows.upperBound, wanted.upperBound)
      defer { unsafe rows = unsafe rows.lowerBound..<end }
      return unsafe max(rows.upperBound, wanted.lowerBound)..<end
    }
  }

  private func run(
    rows: Range<Int>, atOnce: Int, _ source: UnsafePointer<Float>,
    residual: UnsafePointer<Float>?,
    into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    unsafe crew.scratch.withFloats(links.dropLast().reduce(0) { $0 + $1.outputImage }) { room in
      var place = unsafe room
      var kept: [KeptRows] = unsafe []
      for (link, capacity) in zip(links, rowsKept) {
        unsafe kept.append(KeptRows(place, of: link, capacity: capacity))
        unsafe place += link.outputImage
      }
      for first in stride(from: rows.lowerBound, to: rows.upperBound, by: atOnce) {
        unsafe make(
          first..<min(first + atOnce, rows.upperBound), of: links.count - 1, &kept, source,
          residual, y, crew)
      }
    }
  }

  /// Makes rows of a link's output, and before them those that they see and that are not at hand.
  private func make(
    _ rows: Range<Int>, of index: Int, _ kept: inout [KeptRows], _ source: UnsafePointer<Float>,
    _ residual: UnsafePointer<Float>?, _ y: UnsafeMutablePointer<Float>, _ crew: Crew
  ) {
    var x = unsafe source
    if index > 0 {
      let missing = unsafe kept[index - 1].reserve(links[index].rowsSeen(by: rows))
      if !missing.isEmpty { unsafe make(missing, of: index - 1, &kept, source, nil, y, crew) }
      unsafe x = unsafe UnsafePointer(kept[index - 1].origin)
    }
    let target = unsafe index == links.count - 1 ? y : kept[index].origin
    unsafe links[index].run(
      rows: rows, x,
      BlockedConvolution.Epilogue(residual: residual, activation: activations[index]),
      into: target, on: crew)
  }

  // MARK: Whole

  private func runWhole(
    _ x: UnsafePointer<Float>, residual: UnsafePointer<Float>?,
    into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    let sizes = links.dropLast().map { $0.shape.batch * $0.outputImage }
    unsafe crew.scratch.withFloats(sizes.reduce(0, +)) { room in
      var (from, place) = unsafe (x, room)
      for (index, link) in links.enumerated() {
        let isLast = index == links.count - 1
        let target = unsafe isLast ? y : place
        unsafe link.run(
          from,
          BlockedConvolution.Epilogue(
            residual: isLast ? residual : nil, activation: activations[index]),
          into: target, on: crew)
        unsafe from = unsafe UnsafePointer(target)
        if !isLast { unsafe place += sizes[index] }
      }
    }
  }
}

extension BlockedConvolution {
  /// Floats of a row of a plane of the output, and bytes of a row of all of them.
  fileprivate var rowFloats: Int { shape.output.asPlane.columns * filter.layout.lanes }
  fileprivate var rowBytes: Int { rowFloats * filter.outputBlocks * MemoryLayout<Float>.stride }

  /// Of an image.
  fileprivate var multiplyAdds: Int {
    shape.output.elementCount * shape.outputChannels * shape.taps
      * (filter.algorithm == .depthwise ? 1 : filter.inputChannels)
  }
}
