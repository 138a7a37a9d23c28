/// What an equation makes of single-precision tensors of known shapes: copies, sums, products of matrices
/// and of elements, one after the other.
struct EinsumProgram: Sendable {
  private enum Place: Sendable, Equatable {
    case input(Int)
    /// So many floats behind the beginning of the working memory.
    case scratch(Int)
    case output
  }

  /// Numbers whose axes have names.
  private struct View {
    var place: Place
    var labels: [EinsumLabel]
    var extents: Shape
    var strides: [Int]

    var isDense: Bool { strides == extents.strides }

    init(_ place: Place, _ labels: [EinsumLabel], _ extents: Shape, _ strides: [Int]) {
      (self.place, self.labels, self.extents, self.strides) = (place, labels, extents, strides)
    }

    /// Numbers side by side.
    init(_ place: Place, _ labels: [EinsumLabel], _ extents: Shape) {
      self.init(place, labels, extents, extents.strides)
    }

    func extent(_ label: EinsumLabel) -> Int { extents[labels.firstIndex(of: label)!] }
    func stride(_ label: EinsumLabel) -> Int { strides[labels.firstIndex(of: label)!] }

    func ordered(_ order: [EinsumLabel]) -> View {
      View(place, order, order.map(extent), order.map(stride))
    }

    /// The number of places along some axes, and how far the places of a walk through them lie apart;
    /// nil where that differs.
    func merged(_ axes: [EinsumLabel]) -> (count: Int, step: Int)? {
      var merged = (count: 1, step: 1)
      for label in axes.reversed() where extent(label) != 1 {
        if merged.count == 1 {
          merged = (extent(label), stride(label))
        } else {
          guard stride(label) == merged.step * merged.count else { return nil }
          merged.count *= extent(label)
        }
      }
      return merged
    }

    /// Where each place along some axes lies.
    func offsets(_ axes: [EinsumLabel]) -> [Int] {
      var region = Region(axes.map(extent))
      region.strides = axes.map(stride)
      return region.offsets
    }
  }

  private enum Step: Sendable {
    case copy(Place, extents: Shape, strides: [Int])
    case sum(Place, AxisBlock)
    case products(Place, Place, ProductBatch)
    case elements(Place, Place, Broadcast)
  }

  private var steps: [(step: Step, target: Place)] = []
  /// Floats of working memory.
  private var room = 0

  /// More products than these are told one by one nowhere else either.
  private static let mostProducts = 1 << 16

  /// - Returns: nil where there is nothing to compute, or too many small products.
  init?(_ indexing: EinsumIndexing, _ shapes: [Shape]) {
    guard shapes.allSatisfy({ !$0.contains(0) }), indexing.shape.checkedElementCount != nil else {
      return nil
    }
    var views = zip(indexing.terms, shapes).enumerated().map { position, operand in
      Self.operand(position, operand.0, operand.1, indexing.extents)
    }
    var result = views.removeFirst()
    for (position, view) in views.enumerated() {
      let later = views[(position + 1)...].flatMap(\.labels) + indexing.output
      guard
        let product = multiply(
          result, view, keeping: Set(later),
          isLast: position == views.count - 1 ? indexing.output : nil)
      else { return nil }
      result = product
    }
    result = sum(result, keeping: Set(indexing.output))
    finish(result.ordered(indexing.output.filter(result.labels.contains)))
  }

  /// An operand without the axes that only repeat it, and with equal labels made one: the diagonal.
  private static func operand(
    _ position: Int, _ term: [EinsumLabel], _ shape: Shape, _ extents: [EinsumLabel: Int]
  ) -> View {
    var view = View(.input(position), [], [], [])
    for (axis, label) in term.enumerated() where shape[axis] == extents[label] {
      if let known = view.labels.firstIndex(of: label) {
        view.strides[known] += shape.strides[axis]
      } else {
        view.labels.append(label)
        view.extents.append(shape[axis])
        view.strides.append(shape.strides[axis])
      }
    }
    return view
  }

  // MARK: Steps

  /// Adds a step that makes numbers side by side.
  private mutating func make(_ step: Step, _ labels: [EinsumLabel], _ extents: Shape) -> View {
    let target = Place.scratch(room)
    // Each begins with a cache line.
    room += (extents.elementCount + 15) / 16 * 16
    steps.append((step, target))
    return View(target, labels, extents)
  }

  /// Lets the last step write to the output, or copies to it.
  private mutating func finish(_ result: View) {
    if result.isDense, let last = steps.last, last.target == result.place {
      steps[steps.count - 1].target = .output
    } else {
      steps.append(
        (.copy(result.place, extents: result.extents, strides: result.strides), .output))
    }
  }

  /// A view in another order, its numbers side by side.
  private mutating func arranged(_ view: View, _ order: [EinsumLabel]) -> View {
    let turned = view.ordered(order)
    if turned.isDense { return turned }
    return make(
      .copy(turned.place, extents: turned.extents, strides: turned.strides), order, turned.extents)
  }

  /// The sum over all axes but these.
  private mutating func sum(_ view: View, keeping kept: Set<EinsumLabel>) -> View {
    let staying = view.labels.filter(kept.contains)
    guard staying.count < view.labels.count else { return view }
    let dropped = view.labels.indices.filter { !kept.contains(view.labels[$0]) }
    let range = dropped.first!..<dropped.last! + 1
    if view.isDense, range.count == dropped.count {
      return make(
        .sum(view.place, AxisBlock(view.extents, axes: range)), staying, staying.map(view.extent))
    }
    let turned = arranged(view, staying + dropped.map { view.labels[$0] })
    return make(
      .sum(turned.place, AxisBlock(turned.extents, axes: staying.count..<turned.labels.count)),
      staying, staying.map(view.extent))
  }

  /// The product of two, summed over the common indices that are not kept.
  /// - Parameter isLast: the labels of the output, where nothing but that follows.
  private mutating func multiply(
    _ left: View, _ right: View, keeping kept: Set<EinsumLabel>, isLast output: [EinsumLabel]?
  ) -> View? {
    let left = sum(left, keeping: kept.union(right.labels))
    let right = sum(right, keeping: kept.union(left.labels))
    func sorted(_ labels: [EinsumLabel]) -> [EinsumLabel] {
      output.map { $0.filter(labels.contains) } ?? labels
    }
    let common = left.labels.filter(right.labels.contains)
    let batch = sorted(common.filter(kept.contains))
    let depth = common.filter { !kept.contains($0) }
    let rows = sorted(left.labels.filter { !common.contains($0) })
    let columns = sorted(right.labels.filter { !common.contains($0) })
    if depth.isEmpty {
      return multiplyElements(left, right, sorted(batch + rows + columns))
    }
    // What is behind in the output becomes columns.
    if batch + columns + rows == output {
      return multiplyMatrices(right, left, batch, columns, depth, rows)
    }
    return multiplyMatrices(left, right, batch, rows, depth, columns)
  }

  private mutating func multiplyElements(_ left: View, _ right: View, _ order: [EinsumLabel])
    -> View?
  {
    let left = arranged(left, order.filter(left.labels.contains))
    let right = arranged(right, order.filter(right.labels.contains))
    func spread(_ view: View) -> Shape {
      order.map { view.labels.contains($0) ? view.extent($0) : 1 }
    }
    guard let broadcast = try? Broadcast([spread(left), spread(right)]) else { return nil }
    return make(.elements(left.place, right.place, broadcast), order, broadcast.shape)
  }

  private mutating func multiplyMatrices(
    _ left: View, _ right: View, _ batch: [EinsumLabel], _ rows: [EinsumLabel],
    _ depth: [EinsumLabel], _ columns: [EinsumLabel]
  ) -> View? {
    let left = matrices(left, batch, rows, depth)
    let right = matrices(right, batch, depth, columns)
    let (m, leftStep) = left.merged(rows)!
    let (k, leftDepthStep) = left.merged(depth)!
    let (n, rightStep) = right.merged(columns)!
    let (_, rightDepthStep) = right.merged(depth)!
    guard batch.map(left.extent).elementCount <= Self.mostProducts else { return nil }
    let offsets = zip(left.offsets(batch), right.offsets(batch)).map { ($0, $1) }
    let products = ProductBatch(
      m: m, n: n, k: k, left: MatrixView(rowStep: leftStep, columnStep: leftDepthStep),
      right: MatrixView(rowStep: rightDepthStep, columnStep: rightStep), offsets: offsets)
    return make(
      .products(left.place, right.place, products), batch + rows + columns,
      batch.map(left.extent) + rows.map(left.extent) + columns.map(right.extent))
  }

  /// A view whose axes of either kind can be walked as one.
  private mutating func matrices(
    _ view: View, _ batch: [EinsumLabel], _ outer: [EinsumLabel], _ inner: [EinsumLabel]
  ) -> View {
    if view.merged(outer) != nil, view.merged(inner) != nil { return view }
    return arranged(view, batch + outer + inner)
  }

  // MARK: Running

  /// - Parameter inputs: the address of each operand.
  func run(
    _ inputs: (Int) -> UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>,
    on crew: Crew
  ) {
    unsafe crew.scratch.withFloats(room) { scratch in
      func source(_ place: Place) -> UnsafePointer<Float> {
        switch place {
        case .input(let position): unsafe inputs(position)
        case .scratch(let offset): unsafe UnsafePointer(scratch + offset)
        case .output: unsafe UnsafePointer(output)
        }
      }
      for (step, place) in steps {
        if crew.wasCancelled { return }
        let target =
          unsafe place == .output ? output : UnsafeMutablePointer(mutating: source(place))
        switch step {
        case .copy(let from, let extents, let strides):
          unsafe Movement.copy(
            extents, strides: strides, elementSize: MemoryLayout<Float>.stride, from: source(from),
            into: target, on: crew)
        case .sum(let from, let block):
          unsafe ReductionKernel.reduce(
            .sum, outer: block.outer, count: block.count, inner: block.inner, source(from),
            into: target, on: crew)
        case .products(let left, let right, let products):
          unsafe products.multiply(source(left), source(right), into: target, on: crew)
        case .elements(let left, let right, let broadcast):
          unsafe broadcast.combine(
            .multiply, source(left), source(right), into: target, on: crew)
        }
      }
    }
  }
}

extension MatrixView {
  fileprivate init(rowStep: Int, columnStep: Int) {
    (self.rowStep, self.columnStep) = (rowStep, columnStep)
  }
}
