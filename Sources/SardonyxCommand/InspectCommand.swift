import ArgumentParser
import Sardonyx

/// `sardonyx inspect`: what a model is made of, and what a session makes of it.
struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Show a model's inputs, outputs, operators, size and work.",
    discussion: """
      A model with operators that this build does not support is refused with the list of all of \
      them and exit status 69.
      """)

  @Argument(help: ArgumentHelp("The ONNX model.", valueName: "model"))
  var path: String

  @Option(
    name: .customLong("dim"),
    help: ArgumentHelp(
      "The extent of a symbolic dimension. May be repeated. (default: 1 each)",
      valueName: "name=extent"))
  var dimensions: [DimensionExtent] = []

  @Flag(help: "Also show what the passes did or declined to do, the nodes that run, and memory.")
  var plan = false

  @Flag(help: "Print as JSON.")
  var json = false

  @OptionGroup(title: "Running options") var options: SessionOptions

  func run() throws {
    let model = try options.model(path)
    let declared = Inspection(model)
    var extents = Dictionary(declared.symbols.map { ($0, 1) }, uniquingKeysWith: { $1 })
    let given = Dictionary(dimensions.map { ($0.name, $0.extent) }, uniquingKeysWith: { $1 })
    try model.checkDimensions(given)
    extents.merge(given) { $1 }
    let inspection = Inspection(model, dimensions: extents)
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
    let definition = model.definition
    let producer = "\(definition.producerName) \(definition.producerVersion)"
    let sets = definition.operatorSets.sorted { $0.key < $1.key }
      .map { "\($0.key.isEmpty ? "ai.onnx" : $0.key) \($0.value)" }.joined(separator: ", ")
    var lines = ["\(path): IR \(definition.irVersion), operator sets \(sets)"]
    if !definition.producerName.isEmpty { lines.append("producer: \(producer)") }
    lines += declared.inputs.map { input in
      "input: \(input.caption)\(model.optionalInputs.contains(input.name) ? ", with a default" : "")"
    }
    lines += declared.outputs.map { "output: \($0.caption)" }
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
    let definition = model.definition
    func numbers(_ entries: [String: Int]) -> JSON {
      .object(entries.sorted { $0.key < $1.key }.map { ($0.key, .number($0.value)) })
    }
    return .object([
      ("ir_version", .number(Int(definition.irVersion))),
      ("producer", .string(definition.producerName)),
      ("producer_version", .string(definition.producerVersion)),
      ("operator_sets", numbers(definition.operatorSets)),
      ("inputs", .array(declared.inputs.map(\.json))),
      ("outputs", .array(declared.outputs.map(\.json))),
      ("parameters", .number(inspection.parameterCount)),
      ("parameter_bytes", .number(inspection.parameterByteCount)),
      ("dimensions", numbers(extents)),
      ("multiply_adds", inspection.multiplyAdds.map { .number($0) } ?? .null),
      ("operators", .object(inspection.operators.map { ($0.name, .number($0.count)) })),
      ("plan", planned.map(description) ?? .null),
    ])
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
  fileprivate var caption: String {
    let kind = type.map { $0.elementType.map(\.description) ?? $0.description } ?? "unknown type"
    let extents = shape.map { "[\($0.map(\.description).joined(separator: ","))]" } ?? ""
    return "\(name): \(kind)\(extents)"
  }

  fileprivate var json: JSON {
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
