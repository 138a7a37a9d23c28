import Sardonyx

/// Does with a file all that a user may do with a model, under limits.
struct Trial: Sendable {
  /// Seconds that a preparation or a run may take.
  let timeLimit: Double
  /// Bytes that the values of a run may take.
  let memoryLimit: Int
  /// Called as each part begins, for whoever watches the clock.
  let begin: @Sendable (Part) -> Void

  /// What is done with a file.
  enum Part: String, CaseIterable {
    case load, list, diagnose, fold, inspect
    case prepareFolded = "prepare folded"
    case prepareUnfolded = "prepare unfolded"
    case planFolded = "plan folded"
    case planUnfolded = "plan unfolded"
    case runFolded = "run folded"
    case runUnfolded = "run unfolded"
    case writeFolded = "write folded"
    case writeUnfolded = "write unfolded"
    case overrideFolded = "override folded"
    case overrideUnfolded = "override unfolded"
    case end

    /// Threads that may spend time at once.
    var threads: Int {
      switch self {
      case .prepareUnfolded, .planUnfolded, .runUnfolded, .writeUnfolded, .overrideUnfolded: 2
      default: 1
      }
    }
  }

  /// How far the file got.
  enum Outcome: String { case refused, prepared, ran }

  func run(_ bytes: [UInt8]) -> Outcome {
    begin(.load)
    guard let model = try? Model(bytes: bytes) else { return .refused }
    begin(.list)
    if let definition = try? ModelDefinition(bytes: bytes) {
      let listing = ModelListing(definition)
      _ = listing.weights.map(\.statistics)
    }
    begin(.diagnose)
    _ = NormalizationDiagnosis(model)
    begin(.fold)
    if let folded = try? FoldedModel(model, timeLimit: timeLimit, memoryLimit: memoryLimit) {
      _ = try? Model(bytes: folded.definition.bytes())
    }
    begin(.inspect)
    let symbols = Dictionary(
      Inspection(model).symbols.map { ($0, 2) }, uniquingKeysWith: { first, _ in first })
    _ = Inspection(model, dimensions: symbols)
    var outcome = Outcome.refused
    defer { begin(.end) }
    for (mode, threads) in [(Session.BatchNormalizationMode.folded, 1), (.unfolded, 2)] {
      let isFolded = threads == 1
      var options = Session.Options()
      options.threads = threads
      options.batchNormalization = mode
      options.timeLimit = timeLimit
      options.memoryLimit = memoryLimit
      begin(isFolded ? .prepareFolded : .prepareUnfolded)
      guard let session = try? Session(model, options: options) else { continue }
      if outcome == .refused { outcome = .prepared }
      begin(isFolded ? .planFolded : .planUnfolded)
      _ = try? PlanInspection(session, dimensions: symbols)
      begin(isFolded ? .runFolded : .runUnfolded)
      guard let inputs = values(model, symbols) else { continue }
      guard let outputs = try? session.run(inputs) else { continue }
      outcome = .ran
      begin(isFolded ? .writeFolded : .writeUnfolded)
      write(session, inputs, outputs)
      guard !model.optionalInputs.isEmpty,
        let all = values(model, symbols, includingOptional: true)
      else { continue }
      begin(isFolded ? .overrideFolded : .overrideUnfolded)
      _ = try? session.run(all)
    }
    return outcome
  }

  /// Has outputs written into memory at hand: enough, too little and not aligned for them.
  private func write(_ session: Session, _ inputs: [String: Value], _ outputs: [String: Value]) {
    let sizes = outputs.compactMapValues { $0.tensor?.byteCount }
    guard let (name, size) = sizes.min(by: { ($0.value, $0.key) < ($1.value, $1.key) }),
      size < 1 << 20
    else { return }
    for (offset, count) in [(0, size), (1, size), (0, size / 2)] {
      unsafe withUnsafeTemporaryAllocation(byteCount: offset + count, alignment: 64) { memory in
        let part = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[offset...])
        unsafe _ = try? session.run(inputs, into: [name: part])
      }
    }
  }

  /// Small values for all inputs; nil where one of them cannot be made up.
  func values(
    _ model: Model, _ symbols: [String: Int], includingOptional: Bool = false
  ) -> [String: Value]? {
    var values: [String: Value] = [:]
    for input in model.inputs
    where includingOptional || !model.optionalInputs.contains(input.name) {
      guard let type = input.type, let value = value(type, input.shape ?? [], symbols) else {
        return nil
      }
      values[input.name] = value
    }
    return values
  }

  /// The number of elements, where it is one; beside an extent of 0 the others may be any.
  private static func count(_ extents: [Int]) -> Int? {
    guard extents.allSatisfy({ $0 >= 0 }) else { return nil }
    if extents.contains(0) { return 0 }
    return extents.reduce(Optional(1)) { product, extent in
      product.flatMap {
        let (next, overflow) = $0.multipliedReportingOverflow(by: extent)
        return overflow ? nil : next
      }
    }
  }

  private func value(_ type: ValueType, _ shape: [Dimension], _ symbols: [String: Int]) -> Value? {
    switch type {
    case .tensor(let element):
      let extents = shape.map { dimension in
        switch dimension {
        case .known(let extent): extent
        case .symbol(let name): symbols[name] ?? 2
        case .unknown: 2
        }
      }
      guard let count = Self.count(extents), count < 1 << 18 else { return nil }
      if element == .string {
        return (try? Tensor(strings: (0..<count).map { "a\($0 % 7)" }, shape: extents))
          .map(Value.tensor)
      }
      let numbers = (0..<count).map { Double($0 % 5) - 1 }
      guard let tensor = try? Tensor(numbers, shape: extents) else { return nil }
      if let converted = try? tensor.converted(to: element) { return .tensor(converted) }
      let bytes = [UInt8](repeating: 0, count: count * element.byteCount)
      return (try? Tensor(element, extents, bytes: bytes)).map(Value.tensor)
    case .sequence(let element):
      let inner = value(element, shape, symbols)
      return .sequence(inner.map { [$0, $0] } ?? [], of: element)
    case .optional(let element): return .optional(value(element, shape, symbols), of: element)
    case .map, .sparseTensor: return nil
    }
  }
}
