/// Operators of ai.onnx.ml that reshape, scale and encode features.
let featureTransforms: OperatorFamily = [
  "ArrayFeatureExtractor": ArrayFeatureExtractor.init,
  "Binarizer": Binarizer.init,
  "FeatureVectorizer": FeatureVectorizer.init,
  "Imputer": Imputer.init,
  "Normalizer": Normalizer.init,
  "Scaler": Scaler.init,
]

/// Picks elements along the last axis by index; the result of a vector is a row of rank 2.
struct ArrayFeatureExtractor: Operator {
  init(_ node: inout NodeReader) {}

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    let shape = try facts.shape(0)
    guard !shape.isEmpty else { throw .unexpected("rank of X", expected: "1 or more", got: "0") }
    let picked = try facts.shape(1).elementCount
    let outer = shape.count == 1 ? [1] : Shape(shape.dropLast())
    return [Fact(try facts.type(0), outer + [picked])]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let width = inputs[0].shape.last ?? 1
    let numbers = inputs[1].converted(to: Int64.self, asPlaces: false)
    let indices = numbers.interruptibleMap(cost: 2) { Int($0) }
    try Interruption.check()
    for index in indices where index < 0 || index >= width {
      throw .unexpected("an index of Y", expected: "0 ..< \(width)", got: "\(index)")
    }
    let rows = width == 0 ? 0 : inputs[0].elementCount / width
    let positions = Interruption.map(rows * indices.count, cost: 4) { place in
      place / indices.count * width + indices[place % indices.count]
    }
    try Interruption.check()
    outputs.set(
      0, .tensor(try Labels(inputs[0]).choose(positions, as: inputs[0].type, outputs[0].shape)))
  }
}

/// 1 where x > threshold, else 0.
struct Binarizer: Operator {
  private let threshold: Double

  init(_ node: inout NodeReader) throws(ModelError) {
    threshold = Double(try node.float("threshold", default: 0))
  }

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    [Fact(try facts.type(0), try facts.shape(0))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    outputs[0].store(
      inputs[0].converted(to: Double.self).interruptibleMap(cost: 2) { $0 > threshold ? 1.0 : 0 })
  }
}

/// Concatenates the rows of all inputs, each cut or zero-padded to its width.
struct FeatureVectorizer: Operator {
  private let widths: [Int]

  init(_ node: inout NodeReader) throws(ModelError) {
    guard let widths = try node.ints("inputdimensions") else {
      throw node.missing("inputdimensions")
    }
    guard widths.count == node.inputCount, widths.allSatisfy({ (0...0x7fff_ffff).contains($0) })
    else {
      throw node.invalid(
        "inputdimensions", expected: "a width for each of \(node.inputCount) inputs", got: widths)
    }
    self.widths = widths
  }

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    var counts: [Int] = []
    for input in 0..<facts.count { counts.append(Self.extents(try facts.shape(input)).count) }
    guard let count = counts.first, counts.allSatisfy({ $0 == count }) else {
      throw .unexpected("inputs", expected: "the same number of rows", got: "\(counts)")
    }
    return [Fact(.float, [count, widths.reduce(0, +)])]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    let destination = outputs[0]
    let stride = destination.shape[1]
    var result = [Double](zerosUntilDue: destination.elementCount)
    var interruption = Interruption()
    var column = 0
    for (input, width) in widths.enumerated() {
      let numbers = inputs[input].converted(to: Double.self)
      let own = Self.extents(inputs[input].shape).width
      for row in 0..<destination.shape[0] {
        if interruption.isDue(after: 2 &* width &+ 10) { return }
        for feature in 0..<Swift.min(own, width) {
          result[row * stride + column + feature] = numbers[row * own + feature]
        }
      }
      column += width
    }
    destination.store(result)
  }

  /// A vector is one row; axes after the first are flattened.
  private static func extents(_ shape: Shape) -> (count: Int, width: Int) {
    guard shape.count > 1 else { return (1, shape.elementCount) }
    return (shape[0], Shape(shape.dropFirst()).elementCount)
  }
}

/// Replaces elements that equal one value (or are NaN, if that is the value) with the one imputed
/// for their feature.
struct Imputer: Operator {
  private let imputedReals: [Float]
  private let imputedIntegers: [Int]
  private let replacedReal: Float
  private let replacedInteger: Int

  init(_ node: inout NodeReader) throws(ModelError) {
    imputedReals = try node.floats("imputed_value_floats") ?? []
    imputedIntegers = try node.ints("imputed_value_int64s", within: NodeReader.any) ?? []
    replacedReal = try node.float("replaced_value_float", default: 0)
    replacedInteger = try node.int("replaced_value_int64", default: 0, within: NodeReader.any)
    guard imputedReals.isEmpty != imputedIntegers.isEmpty else {
      throw node.invalid(
        "imputed_value_floats", expected: "values, or imputed_value_int64s, and not both",
        got: imputedReals.isEmpty ? "neither" : "both")
    }
  }

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    let shape = try facts.shape(0)
    let type = try facts.type(0)
    guard type.isFloatingPoint == imputedIntegers.isEmpty else {
      throw .unexpected(
        "values to impute", expected: "those of type \(type)",
        got: imputedIntegers.isEmpty ? "floats" : "integers")
    }
    let count = max(imputedReals.count, imputedIntegers.count)
    guard count == 1 || count == shape.last ?? 1 else {
      throw .unexpected(
        "values to impute", expected: "1 or \(shape.last ?? 1)", got: "\(count)")
    }
    return [Fact(type, shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    if imputedIntegers.isEmpty {
      let value = Double(replacedReal)
      let imputed = imputedReals.map { Double($0) }
      outputs[0].store(
        replace(inputs[0].converted(), by: imputed) { value.isNaN ? $0.isNaN : $0 == value })
    } else {
      let value = Int64(replacedInteger)
      outputs[0].store(
        replace(inputs[0].converted(asPlaces: false), by: imputedIntegers.map(Int64.init)) {
          $0 == value
        })
    }
  }

  private func replace<T: Number>(_ numbers: [T], by imputed: [T], where isReplaced: (T) -> Bool)
    -> [T]
  {
    numbers.indices.interruptibleMap(cost: 8) {
      isReplaced(numbers[$0]) ? imputed[$0 % imputed.count] : numbers[$0]
    }
  }
}

/// Divides each row by its largest element, its sum of magnitudes or its length; rows whose divisor
/// is 0 stay as they are.
struct Normalizer: Operator {
  enum Norm: String, CaseIterable {
    case max = "MAX"
    case l1 = "L1"
    case l2 = "L2"
  }
  private let norm: Norm

  init(_ node: inout NodeReader) throws(ModelError) {
    norm = try node.choice("norm", default: .max)
  }

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    let shape = try facts.shape(0)
    _ = try FeatureRows.extents(shape)
    return [Fact(.float, shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    if norm == .l2, inputs[0].type == .float {
      let (count, width) = try FeatureRows.extents(inputs[0].shape)
      var interruption = Interruption()
      for row in 0..<count {
        if interruption.isDue(after: 2 &* width &+ 10) { return }
        unsafe Self.normalize(
          width, inputs[0].pointer(as: Float.self) + row * width,
          into: outputs[0].pointer(as: Float.self) + row * width)
      }
      return
    }
    let rows = try FeatureRows(inputs[0])
    let divisors = Interruption.map(rows.count, cost: 2 &* rows.width &+ 10) { index in
      divisor(rows.numbers.span.extracting(rows.range(index)))
    }
    var interruption = Interruption()
    unsafe outputs[0].writeNumbers(as: Float.self) { result in
      for (row, divisor) in divisors.enumerated() {
        let exact = divisor == 0 ? 1 : divisor
        for position in rows.range(row) {
          if interruption.isDue(after: 2) { return }
          unsafe result[position] = Float(rows.numbers[position] / exact)
        }
      }
    }
  }

  /// A row over its length, which is summed as ``dot(_:_:)`` does.
  private static func normalize(
    _ width: Int, _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>
  ) {
    var sums = SIMD8<Double>.zero
    let whole = width / 8 * 8
    for first in stride(from: 0, to: whole, by: 8) {
      let numbers = unsafe SIMD8<Double>(
        UnsafeRawPointer(x + first).loadUnaligned(as: SIMD8<Float>.self))
      sums += numbers * numbers
    }
    var sum = sums.sum()
    for index in whole..<width { unsafe sum += Double(x[index]) * Double(x[index]) }
    let length = sum == 0 ? 1 : sum.squareRoot()
    Interruption.inStretches(of: width) {
      for index in $0 { unsafe y[index] = Float(Double(x[index]) / length) }
    }
  }

  private func divisor(_ row: Span<Double>) -> Double {
    var result = norm == .max && !row.isEmpty ? row[0] : 0
    switch norm {
    case .max: for index in row.indices where row[index] > result { result = row[index] }
    case .l1: for index in row.indices { result += abs(row[index]) }
    case .l2: result = dot(row, row).squareRoot()
    }
    return result
  }
}

/// (x - offset) · scale, each for all features or for one.
struct Scaler: Operator {
  private let offset: [Double]
  private let scale: [Double]

  init(_ node: inout NodeReader) throws(ModelError) {
    let offset = try node.doubles("offset") ?? []
    let scale = try node.doubles("scale") ?? []
    self.offset = offset.isEmpty ? [0] : offset
    self.scale = scale.isEmpty ? [1] : scale
  }

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    let shape = try facts.shape(0)
    let width = shape.last ?? 1
    for (name, values) in [("offset", offset), ("scale", scale)]
    where values.count != 1 && values.count != width {
      throw .unexpected(
        "attribute \(name)", expected: "1 or \(width) values", got: "\(values.count)")
    }
    return [Fact(.float, shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    let numbers = inputs[0].converted(to: Double.self)
    outputs[0].store(
      numbers.indices.interruptibleMap(cost: 4) { index in
        (numbers[index] - offset[index % offset.count]) * scale[index % scale.count]
      })
  }
}
