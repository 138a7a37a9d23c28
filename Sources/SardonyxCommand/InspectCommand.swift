import ArgumentParser
import Sardonyx

/// `sardonyx inspect`: what a model is made of, and what a session makes of it.
struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Show a model's inputs, outputs, operators, size and work.",
    discussion: """
      --nodes, --values, --weights and --operators list what the file holds, and work on models with \
      operators that this build lacks, too; those are named under "missing".
      """)

  @Argument(
    help: ArgumentHelp("The ONNX model; `-` is standard input.", valueName: "model"),
    completion: .file(extensions: ["onnx"]))
  var path: String

  @Option(
    name: .customLong("dim"),
    help: ArgumentHelp(
      "The extent of a symbolic dimension. May be repeated. (default: 1 each)",
      valueName: "name=extent"))
  var dimensions: [DimensionExtent] = []

  @Flag(help: "Also show what the passes did or declined to do, the nodes that run, and memory.")
  var plan = false

  @Flag(help: "List the nodes with their inputs, outputs and attributes.")
  var nodes = false

  @Flag(help: "List all values with their types and shapes, and the node that makes each.")
  var values = false

  @Flag(help: "List the constants with their types, shapes and statistics.")
  var weights = false

  @Option(
    help: ArgumentHelp(
      "List the constants of this name alone; `*` stands for any characters.", valueName: "name"))
  var weight: String?

  @Flag(
    help: "List the operators with their domains and versions, and whether this build has them.")
  var operators = false

  @Flag(help: "Print as JSON.")
  var json = false

  @OptionGroup(title: "Running options") var options: SessionOptions

  /// Whether anything is to be listed.
  private var lists: Bool { nodes || values || weights || weight != nil || operators }

  func run() throws {
    let definition = try options.definition(path)
    guard !lists else {
      let listing = Watch.over("reading") { ModelListing(definition) }
      let lists = try Lists(self, listing)
      return print(json ? lists.json.description : lists.text)
    }
    guard plan || ModelListing.operators(of: definition).allSatisfy(\.isSupported) else {
      let listing = Watch.over("reading") { ModelListing(definition) }
      return print(json ? brief(definition, listing).description : text(definition, listing))
    }
    let model = try Watch.over("loading") { () throws(ModelError) in try Model(definition) }
    let declared = Watch.over("inspecting") { Inspection(model) }
    var extents = Dictionary(declared.symbols.map { ($0, 1) }, uniquingKeysWith: { $1 })
    let given = Dictionary(
      dimensions.map { ($0.name, $0.extents[0]) }, uniquingKeysWith: { $1 })
    try model.checkDimensions(given)
    extents.merge(given) { $1 }
    let inspection =
      extents.isEmpty
      ? declared : Watch.over("inspecting") { Inspection(model, dimensions: extents) }
    let planned =
      plan ? try PlanInspection(try options.session(model), dimensions: extents) : nil
    if json {
      print(description(model, declared, inspection, planned, extents))
    } else {
      print(report(model, declared, inspection, planned, extents))
    }
  }
}

// MARK: - Text

extension InspectCommand {
  private func report(
    _ model: Model, _ declared: Inspection, _ inspection: Inspection, _ planned: PlanInspection?,
    _ extents: [String: Int]
  ) -> String {
    var lines = head(model.definition)
    lines += declared.inputs.map { input in
      "input: \(input.caption)\(model.optionalInputs.contains(input.name) ? ", with a default" : "")"
    }
    lines += declared.outputs.map { "output: \($0.caption)" }
    lines += declared.sharedDimensions.map { name, axes in
      "declared as equal: \(name): \(axes.joined(separator: ", ")) (runs do not insist)"
    }
    lines.append(
      "parameters: \(inspection.parameterCount.grouped) "
        + "(\(inspection.parameterByteCount.byteText))")
    let sizes = extents.sorted { $0.key < $1.key }.map { "\($0.key) = \($0.value)" }
    lines.append(
      "multiply-adds: \(inspection.multiplyAdds?.grouped ?? "unknown")"
        + (sizes.isEmpty ? "" : " (\(sizes.joined(separator: ", ")))"))
    lines.append("operators: \(inspection.operators.reduce(0) { $0 + $1.count })")
    lines += inspection.operators.map { "  \($0.name) \($0.count)" }
    lines = lines.map(\.visible)
    if let planned { lines += report(planned) }
    return lines.joined(separator: "\n")
  }

  /// What the file says of itself.
  private func head(_ definition: ModelDefinition) -> [String] {
    let sets = definition.operatorSets.sorted { $0.key < $1.key }
      .map { "\($0.key.isEmpty ? "ai.onnx" : $0.key) \($0.value)" }.joined(separator: ", ")
    let first = "\(path): IR \(definition.irVersion), operator sets \(sets)"
    guard !definition.producerName.isEmpty else { return [first] }
    return [first, "producer: \(definition.producerName) \(definition.producerVersion)"]
  }

  /// The report on a model that this build cannot run.
  private func text(_ definition: ModelDefinition, _ listing: ModelListing) -> String {
    var lines = head(definition)
    let missing = listing.missingOperators.map { "\($0.name) (\($0.domainName)) \($0.count)" }
    lines.append("missing in this build: \(missing.joined(separator: ", "))")
    lines.append(
      "parameters: \(listing.weights.reduce(0) { $0 + $1.tensor.elementCount }.grouped) "
        + "(\(listing.weights.reduce(0) { $0 + $1.tensor.byteCount }.byteText))")
    lines.append("operators: \(listing.nodes.count)")
    lines += listing.operators.sorted { ($1.count, $0.name) < ($0.count, $1.name) }
      .map { "  \($0.domain.isEmpty ? "" : "\($0.domain):")\($0.name) \($0.count)" }
    return lines.map(\.visible).joined(separator: "\n")
  }

  private func report(_ plan: PlanInspection) -> [String] {
    var lines = [
      "",
      "plan: \(plan.steps.count) of \(plan.loadedNodeCount) nodes run, "
        + "\(plan.workingByteCount.byteText) of working memory",
    ]
    lines += plan.notes.map { note in
      "  \(note.pass), \(note.kind == .done ? "done" : "declined"): \(note.node): \(note.text)"
        .visible
    }
    var table = Table([("node", .left), ("operator", .left), ("outputs", .left)])
    for step in plan.steps {
      table.append(step.node, step.operatorName, step.outputs.joined(separator: " "))
    }
    return lines + ["", table.text]
  }
}

// MARK: - JSON

extension InspectCommand {
  private func description(
    _ model: Model, _ declared: Inspection, _ inspection: Inspection, _ planned: PlanInspection?,
    _ extents: [String: Int]
  ) -> JSON {
    .object(
      members(model.definition) + [
        ("inputs", .array(declared.inputs.map(\.json))),
        ("outputs", .array(declared.outputs.map(\.json))),
        (
          "shared_dimensions",
          .object(
            declared.sharedDimensions.map { ($0.name, .array($0.axes.map(JSON.string))) })
        ),
        ("missing", .array([])),
        ("parameters", .number(inspection.parameterCount)),
        ("parameter_bytes", .number(inspection.parameterByteCount)),
        ("dimensions", numbers(extents)),
        ("multiply_adds", inspection.multiplyAdds.map { .number($0) } ?? .null),
        ("operators", .object(inspection.operators.map { ($0.name, .number($0.count)) })),
        ("plan", planned.map(description) ?? .null),
      ])
  }

  /// What is known of a model that this build cannot run.
  private func brief(_ definition: ModelDefinition, _ listing: ModelListing) -> JSON {
    .object(
      members(definition) + [
        ("missing", .array(listing.missingOperators.map(\.json))),
        ("operators", .array(listing.operators.map(\.json))),
      ])
  }

  private func members(_ definition: ModelDefinition) -> [(key: String, value: JSON)] {
    [
      ("ir_version", .number(Int(definition.irVersion))),
      ("producer", .string(definition.producerName)),
      ("producer_version", .string(definition.producerVersion)),
      ("operator_sets", numbers(definition.operatorSets)),
    ]
  }

  private func numbers(_ entries: [String: Int]) -> JSON {
    .object(entries.sorted { $0.key < $1.key }.map { ($0.key, .number($0.value)) })
  }

  private func description(_ plan: PlanInspection) -> JSON {
    .object([
      ("loaded_nodes", .number(plan.loadedNodeCount)),
      ("working_bytes", .number(plan.workingByteCount)),
      (
        "notes",
        .array(
          plan.notes.map { note in
            .object([
              ("pass", .string(note.pass)), ("kind", .string(note.kind.rawValue)),
              ("node", .string(note.node)), ("text", .string(note.text)),
            ])
          })
      ),
      (
        "nodes",
        .array(
          plan.steps.map { step in
            .object([
              ("name", .string(step.node)), ("operator", .string(step.operatorName)),
              ("outputs", .array(step.outputs.map(JSON.string))),
            ])
          })
      ),
    ])
  }
}

extension ValueDefinition {
  /// `images: float[n,3,640,640]`.
  var caption: String { "\(name): \(kind)" }

  /// `float[n,3,640,640]`.
  var kind: String {
    let kind = type.map { $0.elementType.map(\.description) ?? $0.description } ?? "unknown type"
    return kind + (shape.map { "[\($0.map(\.description).joined(separator: ","))]" } ?? "")
  }

  var json: JSON {
    .object([
      ("name", .string(name)), ("type", type.map { .string($0.description) } ?? .null),
      (
        "shape",
        shape.map { shape in
          .array(
            shape.map { dimension in
              switch dimension {
              case .known(let extent): .number(extent)
              case .symbol(let name): .string(name)
              case .unknown: .null
              }
            })
        } ?? .null
      ),
    ])
  }
}
