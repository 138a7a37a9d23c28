/// Einstein's summation: a sum of products over all indices that the output does not name.
struct Einsum: Operator {
  private let equation: EinsumEquation
  private let programs = ShapeCache<[Shape], EinsumProgram?>()

  init(_ node: inout NodeReader) throws(ModelError) {
    guard let text = try node.string("equation") else { throw node.missing("equation") }
    equation = try EinsumEquation(text)
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(try inputs.type(0), try equation.resolved(shapes(inputs)).shape)]
  }

  private func shapes(_ inputs: Facts) throws(ModelError) -> [Shape] {
    var shapes: [Shape] = []
    for index in 0..<inputs.count { shapes.append(try inputs.shape(index)) }
    return shapes
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    guard try inputs.type(0) == .float else { return nil }
    let shapes = try shapes(inputs)
    let indexing = try equation.resolved(shapes)
    guard
      let program = programs.value(for: shapes, { EinsumProgram(indexing, shapes) })
    else { return nil }
    return { addresses, crew in
      unsafe program.run({ unsafe addresses.input($0) }, into: addresses.output(), on: crew)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    if try compute(inputs, outputs) { return }
    try runPlainly(inputs, outputs)
  }

  /// The specification that the program is compared with.
  func runPlainly(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let indexing = try equation.resolved((0..<inputs.count).map { inputs[$0].shape })
    func compute<T: Number>(_: T.Type) throws(ModelError) {
      let operands = (0..<inputs.count).map { operand in
        LabelledArray<T>(
          inputs[operand].converted(), inputs[operand].shape, indexing.terms[operand],
          indexing.extents)
      }
      outputs[0].store(try contract(operands, to: indexing.output, outputs.context.crew))
    }
    try compute(try inputs[0].type.number())
  }

  /// Multiplies the operands one after the other, and sums an index out as soon as no later one
  /// has it.
  private func contract<T: Number>(
    _ operands: [LabelledArray<T>], to output: [EinsumLabel], _ crew: Crew
  ) throws(ModelError) -> [T] {
    var result = operands[0]
    for (position, operand) in operands.enumerated().dropFirst() {
      let later = operands[(position + 1)...].flatMap(\.labels) + output
      result = try result.multiplied(by: operand, keeping: Set(later), crew)
    }
    return result.summed(keeping: Set(output)).arranged(output).elements
  }
}

/// An index of an equation: a letter, or an axis of the ellipsis counted from the last.
enum EinsumLabel: Hashable {
  case letter(Character)
  case ellipsis(Int)
}

/// The equation as written.
struct EinsumEquation {
  /// A letter, or nil for an ellipsis.
  private typealias Term = [Character?]

  private let terms: [Term]
  private let output: Term?

  init(_ text: String) throws(ModelError) {
    let compact = text.filter { $0 != " " }
    let sides = compact.split(separator: "->", omittingEmptySubsequences: false)
    guard sides.count <= 2 else { throw Self.malformed(text) }
    var terms: [Term] = []
    for term in sides[0].split(separator: ",", omittingEmptySubsequences: false) {
      terms.append(try Self.term(term, text))
    }
    self.terms = terms
    output = sides.count == 2 ? try Self.term(sides[1], text) : nil
  }

  private static func term(_ text: Substring, _ equation: String) throws(ModelError) -> Term {
    var term: Term = []
    var rest = text
    while let letter = rest.first {
      if rest.hasPrefix("..."), !term.contains(nil) {
        term.append(nil)
        rest = rest.dropFirst(3)
      } else if letter.isASCII, letter.isLetter {
        term.append(letter)
        rest = rest.dropFirst()
      } else {
        throw malformed(equation)
      }
    }
    return term
  }

  private static func malformed(_ text: String) -> ModelError {
    .unexpected(
      "attribute equation", expected: "letters, one ... a term, commas and one ->",
      got: "\"\(text)\"", code: .invalid)
  }

  /// The equation for operands of the given shapes.
  func resolved(_ shapes: [Shape]) throws(ModelError) -> EinsumIndexing {
    guard shapes.count == terms.count else {
      throw .unexpected("operands", expected: "\(terms.count)", got: "\(shapes.count)")
    }
    var extents: [EinsumLabel: Int] = [:]
    var ellipsisRank = 0
    var labels: [[EinsumLabel]] = []
    for (term, shape) in zip(terms, shapes) {
      let dots = shape.count - term.count { $0 != nil }
      guard term.contains(nil) ? dots >= 0 : dots == 0 else {
        throw .unexpected(
          "rank of an operand", expected: "\(shape.count - dots) as its term has letters",
          got: "\(shape.count)")
      }
      ellipsisRank = max(ellipsisRank, dots)
      let own = Self.labels(term, ellipsisRank: dots)
      for (label, extent) in zip(own, shape) {
        let known = extents[label] ?? 1
        guard known == extent || known == 1 || extent == 1 else {
          throw .unexpected("extent of \(label)", expected: "\(known)", got: "\(extent)")
        }
        extents[label] = known == 1 ? extent : known
      }
      labels.append(own)
    }
    return EinsumIndexing(
      terms: labels, output: try outputLabels(labels, ellipsisRank, extents), extents: extents)
  }

  private static func labels(_ term: Term, ellipsisRank: Int) -> [EinsumLabel] {
    term.flatMap { letter -> [EinsumLabel] in
      if let letter { return [.letter(letter)] }
      return (0..<ellipsisRank).reversed().map { .ellipsis($0) }
    }
  }

  /// Without "->": the ellipsis, then every letter that comes once, in the order of ASCII.
  private func outputLabels(
    _ terms: [[EinsumLabel]], _ ellipsisRank: Int, _ extents: [EinsumLabel: Int]
  ) throws(ModelError) -> [EinsumLabel] {
    guard let output else {
      let letters = self.terms.joined().compactMap { $0 }
      let single = letters.filter { letter in letters.count { $0 == letter } == 1 }.sorted()
      return Self.labels([nil] + single, ellipsisRank: ellipsisRank)
    }
    let labels = Self.labels(output, ellipsisRank: ellipsisRank)
    guard Set(labels).count == labels.count, labels.allSatisfy({ extents[$0] != nil }) else {
      throw ModelError(
        .invalid, "the output of the equation: expected each index once and from an operand")
    }
    return labels
  }
}

extension EinsumLabel: CustomStringConvertible {
  var description: String {
    switch self {
    case .letter(let letter): "index \(letter)"
    case .ellipsis(let axis): "axis \(-1 - axis) of the ellipsis"
    }
  }
}

/// An equation with the extent of each index.
struct EinsumIndexing {
  let terms: [[EinsumLabel]]
  let output: [EinsumLabel]
  let extents: [EinsumLabel: Int]

  var shape: Shape { output.map { extents[$0]! } }
}

/// Numbers whose axes have names.
private struct LabelledArray<T: Number> {
  private(set) var labels: [EinsumLabel]
  private var shape: Shape
  private(set) var elements: [T]

  private init(labels: [EinsumLabel], shape: Shape, elements: [T]) {
    self.labels = labels
    self.shape = shape
    self.elements = elements
  }

  /// An operand without the axes that only repeat it, and with equal labels made one: the diagonal.
  init(
    _ elements: [T], _ shape: Shape, _ term: [EinsumLabel], _ extents: [EinsumLabel: Int]
  ) {
    var labels: [EinsumLabel] = []
    var strides: [Int] = []
    for (axis, label) in term.enumerated() where shape[axis] == extents[label] {
      if let known = labels.firstIndex(of: label) {
        strides[known] += shape.strides[axis]
      } else {
        labels.append(label)
        strides.append(shape.strides[axis])
      }
    }
    self.labels = labels
    self.shape = labels.map { extents[$0]! }
    self.elements = Self.picked(elements, self.shape, strides)
  }

  private static func picked(_ elements: [T], _ shape: Shape, _ strides: [Int]) -> [T] {
    if strides == shape.strides, shape.elementCount == elements.count { return elements }
    var picked = [T](zerosUntilDue: shape.elementCount)
    guard let count = shape.last, let step = strides.last, !picked.isEmpty else {
      if !picked.isEmpty { picked[0] = elements[0] }
      return picked
    }
    let outer = shape.dropLast()
    var interruption = Interruption()
    for row in 0..<picked.count / count {
      var (rest, place) = (row, 0)
      for axis in outer.indices.reversed() {
        place += rest % outer[axis] * strides[axis]
        rest /= outer[axis]
      }
      for index in 0..<count {
        if interruption.isDue(after: 8) { return picked }
        picked[row * count + index] = elements[place]
        place += step
      }
    }
    return picked
  }

  /// The same numbers with the axes in another order; an axis it lacks is one it is the same along.
  func arranged(_ order: [EinsumLabel]) -> LabelledArray {
    let axes = order.compactMap { labels.firstIndex(of: $0) }
    let turned = axes.map { shape[$0] }
    return LabelledArray(
      labels: axes.map { labels[$0] }, shape: turned,
      elements: Self.picked(elements, turned, axes.map { shape.strides[$0] }))
  }

  /// The sum over all axes but these.
  func summed(keeping kept: Set<EinsumLabel>) -> LabelledArray {
    let staying = labels.filter(kept.contains)
    guard staying.count < labels.count else { return self }
    let turned = arranged(staying + labels.filter { !kept.contains($0) })
    let outer = Shape(turned.shape.prefix(staying.count))
    let inner = turned.shape.dropFirst(staying.count).reduce(1, *)
    var interruption = Interruption()
    var sums = [T](zerosUntilDue: outer.elementCount)
    for place in sums.indices {
      if interruption.isDue(after: 2 &* inner &+ 10) { break }
      Interruption.inStretches(of: inner) {
        let first = place * inner
        let elements = turned.elements[first + $0.lowerBound..<first + $0.upperBound]
        sums[place] = elements.reduce(sums[place], T.sum)
      }
    }
    return LabelledArray(labels: staying, shape: outer, elements: sums)
  }

  /// The product, summed over the common indices that are not kept: a batch of matrix products.
  func multiplied(by other: LabelledArray, keeping kept: Set<EinsumLabel>, _ crew: Crew)
    throws(ModelError) -> LabelledArray
  {
    let own = summed(keeping: kept.union(other.labels))
    let their = other.summed(keeping: kept.union(labels))
    let common = own.labels.filter(their.labels.contains)
    let batch = common.filter(kept.contains)
    let depth = common.filter { !kept.contains($0) }
    let rows = own.labels.filter { !common.contains($0) }
    let columns = their.labels.filter { !common.contains($0) }
    let left = own.arranged(batch + rows + depth)
    let right = their.arranged(batch + depth + columns)
    func count(_ labels: [EinsumLabel], _ array: LabelledArray) -> Int {
      labels.reduce(1) { $0 * array.shape[array.labels.firstIndex(of: $1)!] }
    }
    let (m, n, k) = (count(rows, left), count(columns, right), count(depth, left))
    let offsets: [(left: Int, right: Int)] = Interruption.map(count(batch, left), cost: 4) {
      ($0 * m * k, $0 * k * n)
    }
    try Interruption.check()
    let batches = ProductBatch(
      m: m, n: n, k: k, left: MatrixView(columns: k), right: MatrixView(columns: n),
      offsets: offsets)
    let product = batches.multiply(left.elements, right.elements, on: crew)
    let shape = left.shape.prefix(batch.count + rows.count) + right.shape.suffix(columns.count)
    return LabelledArray(
      labels: batch + rows + columns, shape: Shape(shape), elements: product)
  }
}
