@testable import Sardonyx

/// How far results may be from what is expected, by the rules of ONNX's own runner.
struct Tolerance: Sendable {
  var relative = 1e-3
  var absolute = 1e-7

  /// The first difference, in words; nil where the values agree.
  func difference(_ expected: Value, _ result: Value, comparesValues: Bool = true) -> String? {
    switch (expected, result) {
    case (.tensor(let expected), .tensor(let result)):
      return difference(expected, result, comparesValues)
    case (.sequence(let expected, _), .sequence(let result, _)):
      guard expected.count == result.count else {
        return "expected \(expected.count) elements, got \(result.count)"
      }
      for (index, pair) in zip(expected, result).enumerated() {
        if let words = difference(pair.0, pair.1, comparesValues: comparesValues) {
          return "element \(index): \(words)"
        }
      }
      return nil
    case (.optional(let expected?, _), .optional(let result?, _)):
      return difference(expected, result, comparesValues: comparesValues)
    case (.optional(nil, _), .optional(nil, _)): return nil
    case (.map(let keys, let values), .map(let resultKeys, let resultValues)):
      return difference(sorted(keys, values), sorted(resultKeys, resultValues))
    default: return "expected \(expected.type), got \(result.type)"
    }
  }

  private func difference(_ expected: Tensor, _ result: Tensor, _ comparesValues: Bool) -> String? {
    guard expected.type == result.type, expected.shape == result.shape else {
      return "expected \(Fact(expected)), got \(Fact(result))"
    }
    guard comparesValues else { return nil }
    if expected.type == .string {
      return firstDifference(expected.textElements, result.textElements) { $0 == $1 }
    }
    // Two units in the last place of bfloat16.
    let relative = expected.type == .bfloat16 ? max(relative, 0x1p-6) : relative
    return firstDifference(expected.numbers, result.numbers) { expected, result in
      if expected.isNaN || result.isNaN { return expected.isNaN && result.isNaN }
      return expected == result
        || abs(expected - result) <= absolute + relative * abs(expected)
          && expected.isFinite && result.isFinite
    }
  }

  private func firstDifference<T>(_ expected: [T], _ result: [T], _ agree: (T, T) -> Bool)
    -> String?
  {
    let index = expected.indices.first { !agree(expected[$0], result[$0]) }
    return index.map { "element \($0): expected \(expected[$0]), got \(result[$0])" }
  }

  /// A map as a sequence in the order of its keys.
  private func sorted(_ keys: Tensor, _ values: Tensor) -> Value {
    let order = keys.elementOrder
    let parts = [keys, values].map { tensor in
      tensor.type == .string
        ? Tensor(strings: order.map { tensor.textElements[$0] }, tensor.shape)
        : Tensor(converting: order.map { tensor.numbers[$0] }, to: tensor.type, tensor.shape)
    }
    return .sequence(parts.map(Value.tensor), of: .tensor(keys.type))
  }
}

extension Tensor {
  fileprivate var textElements: [String] { (try? strings()) ?? [] }

  /// The elements as doubles; of complex ones, both parts.
  fileprivate var numbers: [Double] {
    switch type {
    case .complex64: parts(of: .float).converted()
    case .complex128: parts(of: .double).converted()
    default: converted()
    }
  }

  private func parts(of type: ElementType) -> Tensor {
    Tensor(type, shape + [2], storage: storage, byteOffset: byteOffset)
  }

  fileprivate var elementOrder: [Int] {
    type == .string
      ? textElements.indices.sorted { textElements[$0] < textElements[$1] }
      : numbers.indices.sorted { numbers[$0] < numbers[$1] }
  }
}
