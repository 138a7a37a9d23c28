import Sardonyx
import SardonyxData

/// Input values from a seed, the same on every machine.
struct RandomValues {
  /// SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  private mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// A value that fits an input as declared.
  ///
  /// Floating-point numbers lie in [-1, 1). 8-bit integers take their whole range; other integers
  /// are 0 or 1, which are valid wherever an index is wanted.
  /// - Throws: ``ModelError`` (mismatch) where a dimension is not known, or the input is no tensor.
  mutating func value(
    for input: ValueDefinition, extents: [String: Int]
  ) throws(ModelError) -> Value {
    guard let type = input.type?.elementType, !type.isComplex else {
      throw ModelError(
        .mismatch,
        "random values for input \"\(input.name)\": expected a tensor that is not complex, "
          + "got \(input.type.map(\.description) ?? "an unknown type")")
    }
    let shape = try input.concreteShape(extents)
    guard let count = elementCount(shape), count <= FileLimit.ofStream / 8 else {
      throw ModelError(.limit, "input \"\(input.name)\": too many elements for random values")
    }
    switch type {
    case .string:
      let texts = (0..<count).map { _ in String(next() & 1) }
      return .tensor(try Tensor(strings: texts, shape: shape))
    case let type where type.isFloatingPoint:
      return .tensor(Tensor(type, shape) { reals($0) })
    default:
      let mask: UInt64 = type == .uint8 || type == .int8 ? 0xFF : 1
      let integers = (0..<count).map { _ in Int64(next() >> 32 & mask) }
      return .tensor(try Tensor(integers, shape: shape).converted(to: type))
    }
  }

  private mutating func reals(_ count: Int) -> [Float] {
    (0..<count).map { _ in Float(next() >> 40) / Float(1 << 23) - 1 }
  }
}

extension ValueDefinition {
  /// The name that `--dim` knows an axis of no fixed extent by: its symbol, or INPUT[AXIS].
  private func openName(_ axis: Int, _ dimension: Dimension) -> String? {
    switch dimension {
    case .known: nil
    case .symbol(let symbol): symbol
    case .unknown: "\(name)[\(axis)]"
    }
  }

  /// The names of all axes of no fixed extent.
  var openDimensions: Set<String> { Set(openDimensionList) }

  /// The same in the order of the axes.
  var openDimensionList: [String] {
    (shape ?? []).enumerated().compactMap { openName($0, $1) }
  }

  /// The declared shape with symbolic dimensions replaced by the extents given.
  /// - Throws: ``ModelError`` (mismatch) with the option that would tell what is missing.
  func concreteShape(_ extents: [String: Int]) throws(ModelError) -> Shape {
    guard let shape else {
      throw ModelError(
        .mismatch, "shape of input \"\(name)\": the model does not declare it",
        hint: "give the value with --input \(name)=FILE")
    }
    var result: Shape = []
    for (axis, dimension) in shape.enumerated() {
      if case .known(let extent) = dimension {
        result.append(extent)
      } else if let label = openName(axis, dimension), let extent = extents[label] {
        result.append(extent)
      } else {
        let label = openName(axis, dimension) ?? name
        let declared = shape.map(\.description).joined(separator: ",")
        throw ModelError(
          .mismatch, "input \"\(name)\" [\(declared)]: the extent of \(label) is not known",
          hint: "--dim \(quotedForShell("\(label)=1"))")
      }
    }
    return result
  }
}

extension Sequence<ValueDefinition> {
  /// The names of all axes of no fixed extent that no extent is given for, in their order.
  func undetermined(_ extents: [String: Int]) -> [String] {
    flatMap(\.openDimensionList).uniqued.filter { extents[$0] == nil }
  }
}

/// A word as a shell takes it for one.
func quotedForShell(_ word: String) -> String {
  let plain = word.unicodeScalars.allSatisfy {
    $0.isASCII
      && ($0.properties.isAlphabetic || ("0"..."9").contains($0)
        || "_-=.,/:".unicodeScalars.contains($0))
  }
  return plain
    ? word
    : "'"
      + word.split(separator: "'", omittingEmptySubsequences: false)
      .joined(separator: "'\\''") + "'"
}
