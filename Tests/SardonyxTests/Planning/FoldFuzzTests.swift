import Testing

@testable import Sardonyx

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Random small graphs of what a BatchNormalization stands among: folded and as written, against the
/// same in double. SARDONYX_FOLDS says how many, SARDONYX_SEED from which one on; see tools/fuzz.
@Suite struct FoldFuzzTests {
  static func number(_ name: String) -> Int? {
    unsafe getenv(name).flatMap { Int(unsafe String(cString: $0)) }
  }

  @Test func foldsRandomGraphs() throws {
    let first = Self.number("SARDONYX_SEED") ?? 1
    let count = Self.number("SARDONYX_FOLDS") ?? 250
    var (normalizations, left, worst) = (0, 0, 0.0)
    for seed in first..<first + count {
      var maker = GraphMaker(seed: seed)
      let example = maker.make()
      do {
        let outcome = try example.check()
        normalizations += outcome.normalizations
        left += outcome.left
        worst = max(worst, outcome.error)
        #expect(
          outcome.fault == nil,
          "seed \(seed): \(outcome.fault ?? ""); \(example.nodes.map(\.operatorName))")
      } catch {
        Issue.record("seed \(seed): \(error); \(example.nodes.map(\.operatorName))")
      }
    }
    #expect(normalizations > count / 2 && left < normalizations)
    print(
      "\(count) graphs from seed \(first): \(normalizations) BatchNormalizations, \(left) left, "
        + "largest error \(worst) of the largest magnitude")
  }
}

/// A model made at random.
struct RandomGraph {
  var shape: [Int]
  var nodes: [NodeDefinition] = []
  var constants: [String: Tensor] = [:]
  var outputs: [String] = []

  struct Outcome {
    var normalizations = 0
    var left = 0
    var error = 0.0
    var fault: String?
  }

  func model(_ type: ElementType) throws -> Model {
    let converted = constants.mapValues {
      $0.type == .float
        ? Tensor(converting: $0.converted(to: Double.self), to: type, $0.shape) : $0
    }
    return try SardonyxTests.model(
      graph(
        [declared("x", type, shape)], nodes, outputs.map { declared($0, type) },
        constants: converted))
  }

  /// Runs it folded, as written, and as `fold` writes it, each against double.
  func check() throws -> Outcome {
    var unfolded = Session.Options()
    unfolded.batchNormalization = .unfolded
    let x = randomTensor(shape, seed: 11)
    let wide = Tensor(converting: x.converted(to: Double.self), to: .double, x.shape)
    let truth = try Session(try model(.double), options: unfolded).run(["x": .tensor(wide)])
    let model = try model(.float)
    let folded = try FoldedModel(model)
    let inputs = ["x": Value.tensor(x)]
    let written = try Session(model, options: unfolded).run(inputs)
    let runs = [
      ("folded", try Session(model).run(inputs)),
      ("written by fold", try Session(Model(folded.definition), options: unfolded).run(inputs)),
    ]
    var outcome = Outcome()
    outcome.normalizations = nodes.count { $0.operatorName == "BatchNormalization" }
    outcome.left = folded.graph.nodes.count { $0.operatorName == "BatchNormalization" }
    for name in outputs {
      let reference = truth[name]!.tensor!.converted(to: Double.self)
      guard reference.allSatisfy(\.isFinite) else { continue }
      let plain = Metrics(
        written[name]!.tensor!.converted(to: Double.self), reference: reference
      ).relative
      for (way, values) in runs {
        let found = values[name]!.tensor!.converted(to: Double.self)
        guard found.count == reference.count else {
          outcome.fault = "\(way), \(name): \(found.count) elements, not \(reference.count)"
          continue
        }
        let error = Metrics(found, reference: reference).relative
        outcome.error = max(outcome.error, error)
        if !(error <= 1e-5 + 4 * plain) {
          outcome.fault = "\(way), \(name): off by \(error), as written by \(plain)"
        }
      }
    }
    return outcome
  }
}

/// Makes random graphs.
struct GraphMaker {
  private var numbers: Numbers
  private var graph = RandomGraph(shape: [])
  private var count = 0

  init(seed: Int) { numbers = Numbers(seed: seed) }

  mutating func make() -> RandomGraph {
    let rank = numbers.next(in: 2...4)
    var shape = [numbers.next(in: 1...2), 2 * numbers.next(in: 1...3)]
    for _ in 2..<rank { shape.append(numbers.next(in: 4...7)) }
    if rank == 2 { shape[0] = numbers.next(in: 1...4) }
    graph.shape = shape
    var value = "x"
    for _ in 0..<numbers.next(in: 2...6) {
      (value, shape) = step(value, shape)
      if isLikely(0.06) { graph.outputs.append(value) }
    }
    (value, shape) = normalize(value, shape)
    if isLikely(0.4) { (value, shape) = step(value, shape) }
    if !graph.outputs.contains(value) { graph.outputs.append(value) }
    graph.outputs.removeAll { $0 == "x" }
    return graph
  }

  private mutating func isLikely(_ share: Float) -> Bool { (numbers.next() + 1) / 2 < share }

  private mutating func name(_ prefix: String) -> String {
    count += 1
    return "\(prefix)\(count)"
  }

  private mutating func constant(_ shape: [Int], _ scale: Float = 1, above: Float? = nil) -> String
  {
    let name = name("k")
    let values = numbers.array(shape.reduce(1, *)).map { number in
      above.map { abs(number) * scale + $0 } ?? number * scale
    }
    graph.constants[name] = Tensor(values, shape)
    return name
  }

  private mutating func add(
    _ operatorName: String, _ inputs: [String], _ attributes: [String: Attribute] = [:]
  ) -> String {
    let output = name("v")
    var made = node(operatorName, inputs, [output], attributes)
    made.name = name("n")
    graph.nodes.append(made)
    return output
  }

  private typealias Made = (String, [Int])

  private mutating func step(_ value: String, _ shape: [Int]) -> Made {
    switch numbers.next(in: 0...13) {
    case 0...2: return normalize(value, shape)
    case 3...4: return shape.count > 2 ? convolve(value, shape) : multiply(value, shape)
    case 5: return shape.count > 2 ? transposeConvolve(value, shape) : multiply(value, shape)
    case 6: return matrixProduct(value, shape)
    case 7: return arithmetic(value, shape)
    case 8: return pool(value, shape)
    case 9: return move(value, shape)
    case 10: return isLikely(0.5) ? (add("Relu", [value]), shape) : arithmetic(value, shape)
    case 11: return sum(value, shape)
    case 12: return join(value, shape)
    default: return shape.count > 2 ? convolve(value, shape) : arithmetic(value, shape)
    }
  }

  private mutating func normalize(_ value: String, _ shape: [Int]) -> Made {
    let channels = [shape[1]]
    let gamma =
      isLikely(0.3) ? constant(channels, 1, above: 0) : constant(channels)
    if isLikely(0.1) {
      var values = graph.constants[gamma]!.array(of: Float.self)
      values[0] = 0
      graph.constants[gamma] = Tensor(values, channels)
    }
    let mean = constant(channels, isLikely(0.1) ? 30 : 1)
    let variance = constant(channels, 2, above: 0.05)
    let epsilon: [String: Attribute] = isLikely(0.3) ? ["epsilon": .float(1e-3)] : [:]
    return (
      add("BatchNormalization", [value, gamma, constant(channels), mean, variance], epsilon), shape
    )
  }

  private mutating func convolve(_ value: String, _ shape: [Int], outputs: Int? = nil) -> Made {
    let spatial = shape.count - 2
    let group = shape[1] % 2 == 0 && isLikely(0.3) ? 2 : 1
    let channels = outputs ?? 2 * numbers.next(in: 1...3)
    let kernel = (0..<spatial).map { min(numbers.next(in: 1...3), shape[$0 + 2]) }
    let isPadded = outputs == nil && isLikely(0.5)
    let pads = (0..<2 * spatial).map { _ in isPadded ? numbers.next(in: 0...1) : 0 }
    let strides = (0..<spatial).map { _ in outputs == nil && isLikely(0.2) ? 2 : 1 }
    let w = constant([channels, shape[1] / group] + kernel)
    var inputs = [value, w]
    if isLikely(0.5) { inputs.append(isLikely(0.2) ? "" : constant([channels])) }
    let result = add(
      "Conv", inputs, ["group": .int(group), "pads": .ints(pads), "strides": .ints(strides)])
    let extents = (0..<spatial).map { axis in
      (shape[axis + 2] + pads[axis] + pads[axis + spatial] - kernel[axis]) / strides[axis] + 1
    }
    return (result, [shape[0], channels] + extents)
  }

  private mutating func transposeConvolve(_ value: String, _ shape: [Int]) -> Made {
    let spatial = shape.count - 2
    guard shape[2...].reduce(1, *) < 200 else { return convolve(value, shape) }
    let group = shape[1] % 2 == 0 && isLikely(0.3) ? 2 : 1
    let half = numbers.next(in: 1...3)
    let kernel = (0..<spatial).map { _ in numbers.next(in: 1...3) }
    let stride = numbers.next(in: 1...2)
    let w = constant([shape[1], half] + kernel)
    var inputs = [value, w]
    if isLikely(0.5) { inputs.append(constant([half * group])) }
    let result = add(
      "ConvTranspose", inputs,
      ["group": .int(group), "strides": .ints(Array(repeating: stride, count: spatial))])
    let extents = (0..<spatial).map { (shape[$0 + 2] - 1) * stride + kernel[$0] }
    return (result, [shape[0], half * group] + extents)
  }

  /// A Gemm of a matrix.
  private mutating func multiply(_ value: String, _ shape: [Int]) -> Made {
    let columns = numbers.next(in: 1...6)
    let isTurned = isLikely(0.5)
    var inputs = [value, constant(isTurned ? [columns, shape[1]] : [shape[1], columns])]
    let shapes = [[], [1], [columns], [1, columns], [shape[0], 1], [shape[0], columns]]
    if isLikely(0.7) { inputs.append(constant(shapes[numbers.next(in: 0...5)])) }
    let result = add(
      "Gemm", inputs,
      ["transB": .int(isTurned ? 1 : 0), "alpha": .float(0.5), "beta": .float(2)])
    return (result, [shape[0], columns])
  }

  private mutating func matrixProduct(_ value: String, _ shape: [Int]) -> Made {
    if shape.count > 2, isLikely(0.3) {
      let rows = numbers.next(in: 1...6)
      let axis = shape.count - 2
      var result = shape
      result[axis] = rows
      return (add("MatMul", [constant([rows, shape[axis]]), value]), result)
    }
    let columns = 2 * numbers.next(in: 1...3)
    let product = add("MatMul", [value, constant([shape[shape.count - 1], columns])])
    let result = Array(shape.dropLast()) + [columns]
    guard isLikely(0.5) else { return (product, result) }
    let bias = constant([columns])
    return (add("Add", isLikely(0.5) ? [product, bias] : [bias, product]), result)
  }

  private mutating func arithmetic(_ value: String, _ shape: [Int]) -> Made {
    let ones = Array(repeating: 1, count: shape.count - 2)
    var plane = shape
    plane[0] = 1
    let shapes = [
      [], [1], [1, shape[1]] + ones, [shape[1]] + ones, plane, [shape[shape.count - 1]],
    ]
    let operand = constant(shapes[numbers.next(in: 0...5)], 1, above: isLikely(0.5) ? 0.3 : nil)
    let operatorName = ["Add", "Sub", "Mul", "Div"][numbers.next(in: 0...3)]
    if operatorName == "Div" {
      let tensor = graph.constants[operand]!
      graph.constants[operand] = Tensor(
        tensor.array(of: Float.self).map { $0 < 0 ? $0 - 0.3 : $0 + 0.3 }, tensor.shape)
    }
    let isRight = operatorName == "Div" || isLikely(0.6)
    return (add(operatorName, isRight ? [value, operand] : [operand, value]), shape)
  }

  private mutating func pool(_ value: String, _ shape: [Int]) -> Made {
    guard shape.count > 2 else { return arithmetic(value, shape) }
    let spatial = shape.count - 2
    if isLikely(0.2) {
      return (
        add("GlobalAveragePool", [value]),
        [shape[0], shape[1]] + Array(repeating: 1, count: spatial)
      )
    }
    guard shape[2...].allSatisfy({ $0 > 1 }) else { return (add("Relu", [value]), shape) }
    let isMaximum = isLikely(0.5)
    let pad = isLikely(0.4) ? 1 : 0
    var attributes: [String: Attribute] = [
      "kernel_shape": .ints(Array(repeating: 2, count: spatial)),
      "pads": .ints(Array(repeating: pad, count: 2 * spatial)),
    ]
    if !isMaximum, isLikely(0.3) { attributes["count_include_pad"] = .int(1) }
    return (
      add(isMaximum ? "MaxPool" : "AveragePool", [value], attributes),
      shape[..<2] + shape[2...].map { $0 + 2 * pad - 1 }
    )
  }

  private mutating func move(_ value: String, _ shape: [Int]) -> Made {
    if shape.count == 2 || isLikely(0.4) {
      let flat = shape.count == 2 ? shape : [shape[0], shape.dropFirst().reduce(1, *)]
      return (add("Flatten", [value]), flat)
    }
    if isLikely(0.5) {
      var order = Array(shape.indices)
      order.swapAt(1, numbers.next(in: 1...shape.count - 1))
      return (add("Transpose", [value], ["perm": .ints(order)]), order.map { shape[$0] })
    }
    let last = shape[shape.count - 1]
    let target =
      isLikely(0.5)
      ? [shape.dropLast().reduce(1, *), last]
      : [shape[0], shape[1], shape.dropFirst(2).reduce(1, *)]
    let name = name("s")
    graph.constants[name] = Tensor(target.map { Int64($0) }, [target.count])
    return (add("Reshape", [value, name]), target)
  }

  /// A sum of branches, or of a branch and what it began with.
  private mutating func sum(_ value: String, _ shape: [Int]) -> Made {
    guard shape.count > 2 else { return multiply(value, shape) }
    let channels = isLikely(0.4) ? shape[1] : 2 * numbers.next(in: 1...3)
    let spatial = shape.count - 2
    func pointwise(_ maker: inout Self) -> String {
      let w = maker.constant([channels, shape[1]] + Array(repeating: 1, count: spatial))
      let bias = maker.isLikely(0.5) ? [maker.constant([channels])] : []
      return maker.add("Conv", [value, w] + bias)
    }
    let first = pointwise(&self)
    let second = channels == shape[1] && isLikely(0.4) ? value : pointwise(&self)
    let result = [shape[0], channels] + shape[2...]
    return (add(isLikely(0.8) ? "Add" : "Sub", [first, second]), result)
  }

  private mutating func join(_ value: String, _ shape: [Int]) -> Made {
    guard shape.count > 2 else { return arithmetic(value, shape) }
    let spatial = shape.count - 2
    var (branches, channels): ([String], Int) = ([], 0)
    for _ in 0..<2 {
      let own = numbers.next(in: 1...3)
      let w = constant([own, shape[1]] + Array(repeating: 1, count: spatial))
      var branch = add("Conv", [value, w])
      if isLikely(0.15) { branch = add("Relu", [branch]) }
      branches.append(branch)
      channels += own
    }
    return (
      add("Concat", branches, ["axis": .int(1)]), [shape[0], channels] + shape[2...]
    )
  }
}
