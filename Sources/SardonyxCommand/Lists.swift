import Sardonyx

/// What `inspect` lists of a model.
struct Lists {
  private let command: InspectCommand
  private let listing: ModelListing
  /// Those that are asked for.
  private let weights: [ModelListing.Weight]

  /// - Throws: ``ModelError`` (mismatch) for a constant that does not exist, with names near it.
  init(_ command: InspectCommand, _ listing: ModelListing) throws(ModelError) {
    self.command = command
    self.listing = listing
    guard let name = command.weight else {
      weights = command.weights ? listing.weights : []
      return
    }
    weights = listing.weights.filter { $0.name.matches(name) }
    guard !weights.isEmpty else {
      let near = listing.weights.map(\.name).near(name).quotedList
      throw ModelError(
        .mismatch, "--weight: the model has no constant \"\(name)\"",
        hint: near.isEmpty ? "--weights lists them" : "did you mean \(near)?")
    }
  }

  private var listsWeights: Bool { command.weights || command.weight != nil }

  // MARK: - Text

  var text: String {
    var parts: [String] = []
    if command.operators { parts.append(operators.text) }
    if command.nodes { parts.append(nodes.text) }
    if command.values { parts.append(values.text) }
    if listsWeights { parts.append(weightTable.text) }
    return parts.joined(separator: "\n\n")
  }

  private var operators: Table {
    var table = Table([
      ("operator", .left), ("domain", .left), ("set", .right), ("count", .right), ("", .left),
    ])
    for entry in listing.operators {
      table.append(
        entry.name, entry.domainName, entry.operatorSet.map(String.init) ?? "-", "\(entry.count)",
        entry.isSupported ? "" : "missing", isAlarming: true)
    }
    return table
  }

  private var nodes: Table {
    var table = Table([
      ("node", .left), ("operator", .left), ("inputs", .left), ("outputs", .left),
      ("attributes", .left),
    ])
    for node in listing.nodes {
      let attributes = node.attributes.map { "\($0.name)=\($0.value)" }
      table.append(
        String(repeating: "  ", count: node.depth) + node.name, node.operatorName,
        node.inputs.joined(separator: " "), node.outputs.joined(separator: " "),
        attributes.joined(separator: " "))
    }
    return table
  }

  private var values: Table {
    var table = Table([("value", .left), ("type", .left), ("made by", .left)])
    let makers = makers
    for value in listing.values {
      table.append(value.name, value.kind, makers[value.name] ?? "")
    }
    return table
  }

  /// The nodes that make values, by the values' names.
  private var makers: [String: String] {
    Dictionary(
      listing.nodes.flatMap { node in
        node.outputs.map { ($0, node.name.isEmpty ? node.operatorName : node.name) }
      }, uniquingKeysWith: { first, _ in first })
  }

  private var weightTable: Table {
    var table = Table([
      ("constant", .left), ("type", .left), ("bytes", .right), ("min", .right), ("max", .right),
      ("mean", .right), ("deviation", .right), ("zeros", .right), ("not finite", .right),
    ])
    for weight in weights {
      let statistics = weight.statistics
      func text(_ number: Double?) -> String { number?.text() ?? "" }
      table.append(
        weight.name, Value.tensor(weight.tensor).caption, "\(weight.tensor.byteCount)",
        text(statistics?.minimum), text(statistics?.maximum), text(statistics?.mean),
        text(statistics?.deviation), statistics.map { "\($0.zeroCount)" } ?? "",
        statistics.map { "\($0.notFiniteCount)" } ?? "")
    }
    return table
  }

  // MARK: - JSON

  var json: JSON {
    var members: [(key: String, value: JSON)] = [
      ("missing", .array(listing.missingOperators.map(\.json)))
    ]
    if command.operators { members.append(("operators", .array(listing.operators.map(\.json)))) }
    if command.nodes { members.append(("nodes", .array(listing.nodes.map(\.json)))) }
    if command.values {
      let makers = makers
      members.append(
        (
          "values",
          .array(
            listing.values.map { value in
              guard case .object(let own) = value.json else { return value.json }
              return .object(own + [("made_by", makers[value.name].map(JSON.string) ?? .null)])
            })
        ))
    }
    if listsWeights { members.append(("weights", .array(weights.map(\.json)))) }
    return .object(members)
  }
}

extension ModelListing.Operator {
  /// The domain as people know it.
  var domainName: String { domain.isEmpty ? "ai.onnx" : domain }

  var json: JSON {
    .object([
      ("name", .string(name)), ("domain", .string(domainName)),
      ("operator_set", operatorSet.map { .number($0) } ?? .null), ("count", .number(count)),
      ("supported", .bool(isSupported)),
    ])
  }
}

extension ModelListing.Node {
  fileprivate var json: JSON {
    .object([
      ("name", .string(name)), ("operator", .string(operatorName)),
      ("domain", .string(domain.isEmpty ? "ai.onnx" : domain)),
      ("inputs", .array(inputs.map(JSON.string))), ("outputs", .array(outputs.map(JSON.string))),
      ("attributes", .object(attributes.map { ($0.name, .string($0.value)) })),
      ("depth", .number(depth)),
    ])
  }
}

extension ModelListing.Weight {
  fileprivate var json: JSON {
    let statistics = statistics
    func number(_ value: Double?) -> JSON { value.map { .number($0) } ?? .null }
    return .object([
      ("name", .string(name)), ("type", .string("\(tensor.type)")),
      ("shape", .array(tensor.shape.map { .number($0) })), ("bytes", .number(tensor.byteCount)),
      ("min", number(statistics?.minimum)), ("max", number(statistics?.maximum)),
      ("mean", number(statistics?.mean)), ("deviation", number(statistics?.deviation)),
      ("zeros", statistics.map { .number($0.zeroCount) } ?? .null),
      ("not_finite", statistics.map { .number($0.notFiniteCount) } ?? .null),
    ])
  }
}
