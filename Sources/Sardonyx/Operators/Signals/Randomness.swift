#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// Operators that draw random numbers; Dropout does so in training.
let randomness: OperatorFamily = [
  "Bernoulli": Bernoulli.init,
  "Dropout": Dropout.init,
  "Multinomial": Multinomial.init,
  "RandomNormal": RandomNumbers.init,
  "RandomNormalLike": RandomNumbers.init,
  "RandomUniform": RandomNumbers.init,
  "RandomUniformLike": RandomNumbers.init,
]

/// Where a node's random numbers come from: its own seed, or one of the run.
struct RandomSource: Sendable {
  private let seed: UInt32?

  init(_ node: inout NodeReader) throws(ModelError) {
    // Version 12 of Dropout has an int, all others a float.
    if node.operatorName == "Dropout" {
      seed = try node.int("seed", within: NodeReader.any).map { UInt32(truncatingIfNeeded: $0) }
    } else {
      seed = try node.float("seed").flatMap { seed in
        seed.isNaN ? nil : UInt32(truncatingIfNeeded: Double(seed).saturated() as Int64)
      }
    }
  }

  var isSeeded: Bool { seed != nil }

  func generator(_ context: RunContext) -> MersenneTwister {
    MersenneTwister(seed: seed ?? context.drawSeed())
  }
}

/// Independent numbers, distributed uniformly or normally, of a given shape or that of the input.
struct RandomNumbers: Operator {
  private let source: RandomSource
  private let type: ElementType?
  private let shape: Shape?
  private let isNormal: Bool
  /// The mean and deviation, or the least number and the width.
  private let offset: Double
  private let scale: Double

  init(_ node: inout NodeReader) throws(ModelError) {
    source = try RandomSource(&node)
    type = try node.elementType("dtype")
    guard type?.isFloatingPoint ?? true else {
      throw node.invalid("dtype", expected: "floating-point", got: type!)
    }
    isNormal = node.operatorName.hasPrefix("RandomNormal")
    if node.operatorName.hasSuffix("Like") {
      shape = nil
    } else {
      guard let shape = try node.ints("shape") else { throw node.missing("shape") }
      guard shape.allSatisfy({ $0 >= 0 }) else {
        throw node.invalid("shape", expected: "no negative extent", got: "[\(shape.joined)]")
      }
      self.shape = shape
    }
    if isNormal {
      offset = Double(try node.float("mean", default: 0))
      scale = Double(try node.float("scale", default: 1))
    } else {
      offset = Double(try node.float("low", default: 0))
      scale = Double(try node.float("high", default: 1)) - offset
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    if let shape { return [Fact(type ?? .float, shape)] }
    let type = if let type { type } else { try inputs.type(0) }
    guard type.isFloatingPoint else {
      throw .unexpected("type of random numbers", expected: "floating-point", got: "\(type)")
    }
    return [Fact(type, try inputs.shape(0))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    var generator = source.generator(outputs.context)
    outputs[0].store(
      Interruption.map(outputs[0].elementCount, cost: 20) { _ in
        (isNormal ? generator.normal() : generator.uniform()) * scale + offset
      })
  }

  var isDeterministic: Bool { source.isSeeded }
}

/// 1 with the probability that the input states, else 0.
struct Bernoulli: Operator {
  private let source: RandomSource
  private let type: ElementType?

  init(_ node: inout NodeReader) throws(ModelError) {
    source = try RandomSource(&node)
    type = try node.elementType("dtype")
    guard type == nil || type?.computed != nil else {
      throw node.invalid("dtype", expected: "numbers", got: type!)
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let type = if let type { type } else { try inputs.type(0) }
    return [Fact(type, try inputs.shape(0))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    var generator = source.generator(outputs.context)
    outputs[0].store(
      inputs[0].converted(to: Double.self).interruptibleMap(cost: 10) {
        generator.uniform() < $0 ? Int64(1) : 0
      })
  }

  var isDeterministic: Bool { source.isSeeded }
}

/// Classes drawn by their unnormalised log-probabilities, `sample_size` for each row.
struct Multinomial: Operator {
  private let source: RandomSource
  private let type: ElementType
  private let sampleCount: Int

  init(_ node: inout NodeReader) throws(ModelError) {
    source = try RandomSource(&node)
    type = try node.elementType("dtype") ?? .int32
    sampleCount = try node.int("sample_size", default: 1)
    guard type == .int32 || type == .int64 else {
      throw node.invalid("dtype", expected: "int32 or int64", got: type)
    }
    guard sampleCount >= 0 else {
      throw node.invalid("sample_size", expected: "a number from 0", got: sampleCount)
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    guard shape.count == 2, shape[1] > 0 else {
      throw .unexpected(
        "shape of input", expected: "[batch, classes] with a class", got: "[\(shape.joined)]")
    }
    return [Fact(type, [shape[0], sampleCount])]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    var generator = source.generator(outputs.context)
    let classCount = inputs[0].shape[1]
    let logarithms = inputs[0].converted(to: Double.self)
    var samples: [Int64] = []
    var interruption = Interruption()
    for row in 0..<inputs[0].shape[0] {
      if interruption.isDue(after: 2 &* classCount &+ 100) { return }
      let scores = logarithms[row * classCount..<(row + 1) * classCount]
      let highest = scores.max() ?? 0
      var sums: [Double] = []
      for score in scores {
        if interruption.isDue(after: 20) { return }
        sums.append((sums.last ?? 0) + exp(score - highest))
      }
      for _ in 0..<sampleCount {
        if interruption.isDue(after: 20 &+ classCount) { return }
        let drawn = generator.uniform() * sums[classCount - 1]
        samples.append(Int64(sums.firstIndex { drawn < $0 } ?? classCount - 1))
      }
    }
    outputs[0].store(samples)
  }

  var isDeterministic: Bool { source.isSeeded }
}

/// The input itself; in training each element with the probability `ratio` 0, and the others divided
/// by 1 - ratio. The mask tells which are kept.
struct Dropout: Operator {
  private let source: RandomSource
  private let fixedRatio: Double
  /// Whether training or not is known from the attributes alone: before version 12.
  private let fixedTraining: Bool?
  private let maskIsBool: Bool
  private let hasTrainingInput: Bool
  /// Whether it drops whatever the node says, as a pass may have it.
  var isTraining = false

  init(_ node: inout NodeReader) throws(ModelError) {
    node.ignore("consumed_inputs")
    source = try RandomSource(&node)
    fixedRatio = Double(try node.float("ratio", default: 0.5))
    maskIsBool = node.version >= 10
    hasTrainingInput = node.version >= 12 && node.inputCount > 2
    fixedTraining = node.version < 7 ? try !node.bool("is_test") : hasTrainingInput ? nil : false
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let (type, shape) = (try inputs.type(0), try inputs.shape(0))
    return [Fact(type, shape), Fact(maskIsBool ? .bool : type, shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let ratio = inputs.tensor(1)?.converted(to: Double.self).first ?? fixedRatio
    let flag = hasTrainingInput ? inputs.tensor(2)?.converted(to: Int64.self).first : nil
    guard isTraining || fixedTraining ?? ((flag ?? 0) != 0), ratio != 0 else {
      if outputs.wants(0) { outputs[0].copy(inputs[0]) }
      if outputs.wants(1) {
        outputs[1].fill(
          Tensor(converting: [Int64(1)], to: outputs[1].type, []), on: outputs.context.crew)
      }
      return
    }
    guard ratio > 0, ratio < 1 else {
      throw .unexpected("ratio", expected: "from 0 to less than 1", got: "\(ratio)")
    }
    var generator = source.generator(outputs.context)
    let isKept = Interruption.map(inputs[0].elementCount, cost: 10) { _ in
      generator.uniform() >= ratio
    }
    try Interruption.check()
    if outputs.wants(1) {
      outputs[1].store(isKept.interruptibleMap(cost: 4) { $0 ? Int64(1) : 0 })
    }
    guard outputs.wants(0) else { return }
    let numbers = inputs[0].converted(to: Double.self)
    outputs[0].store(
      isKept.indices.interruptibleMap(cost: 4) {
        isKept[$0] ? numbers[$0] / (1 - ratio) : numbers[$0] * 0
      })
  }

  var isView: Bool { !isTraining && fixedTraining == false }
  var reusableInput: Int? { 0 }
  var isDeterministic: Bool { !isTraining && fixedTraining == false || source.isSeeded }
}
