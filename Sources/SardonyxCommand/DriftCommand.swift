import ArgumentParser
import Sardonyx

/// `sardonyx drift`: whether data are those whose statistics a model stores.
struct DriftCommand: JudgingCommand {
  static let configuration = CommandConfiguration(
    commandName: "drift",
    abstract: "Compare what a model's BatchNormalizations meet with the statistics they store.",
    discussion: """
      Runs the model as written on the data and takes mean and variance of each channel that is \
      normalised. A layer's distance is that of the Gaussians met from the stored ones, in their \
      deviations (2-Wasserstein, root mean square over the channels); allowed are 0.35, and what \
      chance makes of few samples. Where the first layer is farther away, the data themselves are \
      others than those of training; where later ones are, what the model makes of them is.

      Exit status: 0 no drift, 1 drift, 2 it could not be told.
      """)

  @Argument(
    help: ArgumentHelp("The ONNX model; `-` is standard input.", valueName: "model"),
    completion: .file(extensions: ["onnx"]))
  var path: String

  @OptionGroup(title: "Data options") var data: DataOptions

  @OptionGroup(title: "Input options") var input: InputOptions

  @Flag(help: "Print as JSON, with the numbers of each channel.")
  var json = false

  @Option(
    help: ArgumentHelp(
      "Also write the report as one page, to be opened in a browser.", valueName: "file.html"),
    completion: .file(extensions: ["html"]))
  var html: String?

  @OptionGroup(title: "Running options") var options: SessionOptions

  func run() throws {
    if let html { try refuse(overwriting: html, madeOf: [path, data.data]) }
    let model = try options.model(path)
    let drift = try Drift(model, options: options.session) { run throws(ModelError) in
      try data.forEach(for: model, input, run)
    }
    print(json ? description(drift).description : report(drift))
    if let html { try write(Array(page(drift).utf8), toFile: html) }
    if drift.hasDrifted { throw ExitCode.failure }
  }

  private func page(_ drift: Drift) -> String {
    var page = HTMLReport(title: "Drift of \(data.data) for \(path)")
    page.paragraph(verdict(drift), drift.hasDrifted ? "bad" : "good")
    page.paragraph("\(drift.layers[0].sampleCount) samples")
    page.heading("How far each layer's data are from those of training")
    page.paragraph(
      "Distance of the Gaussians met from the stored ones, in their deviations; the dashed line is what is allowed.",
      "soft")
    page.decades(
      drift.layers.map(\.node), [("distance", drift.layers.map { $0.distance })],
      limit: drift.layers[0].allowance)
    let worst = drift.layers.sorted { $0.distance > $1.distance }.prefix(12)
    page.heading("Mean shift of the channels of the worst layers")
    page.heatMap(worst.map { ($0.node, $0.meanShift) })
    page.heading("Divergence of the channels of the worst layers")
    page.heatMap(worst.map { ($0.node, $0.divergence) })
    page.heading("How many channels are away by how many deviations")
    let limits = [0.05, 0.1, 0.2, 0.5, 1, 2, .infinity]
    var counts = [Int](repeating: 0, count: limits.count)
    for shift in drift.layers.flatMap(\.meanShift) {
      counts[limits.firstIndex { shift < $0 } ?? limits.count - 1] += 1
    }
    page.bars(["<.05", "<.1", "<.2", "<.5", "<1", "<2", "≥2"], counts)
    page.heading("Layers")
    page.table(
      ["layer", "distance", "allowed", "numbers of a channel", ""],
      drift.layers.map { layer in
        [
          layer.node, layer.distance.text(digits: 3), layer.allowance.text(digits: 3),
          "\(layer.count)", layer.hasDrifted ? "drift" : "ok",
        ]
      })
    return page.text
  }

  private func verdict(_ drift: Drift) -> String {
    let count = drift.layers.count { $0.hasDrifted }
    return drift.hasDrifted
      ? "drift: \(count) of \(drift.layers.count) layers meet other data than the model was trained on"
      : "no drift: the data are as those that the model was trained on"
  }

  private func report(_ drift: Drift) -> String {
    var table = Table([
      ("layer", .left), ("distance", .right), ("allowed", .right), ("mean shift", .right),
      ("worst channel", .right), ("its shift", .right), ("its variance ratio", .right),
      ("its divergence", .right), ("", .left),
    ])
    for layer in drift.layers.sorted(by: { $0.distance > $1.distance }) {
      let worst = layer.divergence.indices.max { layer.divergence[$0] < layer.divergence[$1] } ?? 0
      let shift = layer.meanShift.reduce(0, +) / Double(max(1, layer.meanShift.count))
      table.append(
        layer.node, layer.distance.text(digits: 3), layer.allowance.text(digits: 3),
        shift.text(digits: 3), "\(worst)", layer.meanShift[worst].text(digits: 3),
        layer.varianceRatio[worst].text(digits: 3), layer.divergence[worst].text(digits: 3),
        layer.hasDrifted ? "drift" : "ok", isAlarming: layer.hasDrifted)
    }
    return "\(table.text)\n\n\(drift.layers[0].sampleCount) samples\n\(verdict(drift))"
  }

  private func description(_ drift: Drift) -> JSON {
    func numbers(_ list: [Double]) -> JSON { .array(list.map { .number($0) }) }
    return .object([
      ("drift", .bool(drift.hasDrifted)), ("tolerance", .number(Drift.tolerance)),
      (
        "layers",
        .array(
          drift.layers.map { layer in
            .object([
              ("node", .string(layer.node)), ("drift", .bool(layer.hasDrifted)),
              ("distance", .number(layer.distance)), ("allowed", .number(layer.allowance)),
              ("samples", .number(layer.sampleCount)), ("count", .number(layer.count)),
              ("mean_shift", numbers(layer.meanShift)),
              ("variance_ratio", numbers(layer.varianceRatio)),
              ("divergence", numbers(layer.divergence)),
            ])
          })
      ),
    ])
  }
}

/// `sardonyx recalibrate`: a model with the statistics of other data.
struct RecalibrateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recalibrate",
    abstract: "Store the statistics of other data in a model's BatchNormalizations.",
    discussion: """
      Layer after layer, each with the layers before it recalibrated already. All else in the model \
      stays as it is. No labels are needed; some hundred samples are, of all classes.
      """)

  @Argument(
    help: ArgumentHelp("The ONNX model; `-` is standard input.", valueName: "model"),
    completion: .file(extensions: ["onnx"]))
  var path: String

  @OptionGroup(title: "Data options") var data: DataOptions

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("The model to write, whole or not at all.", valueName: "file"),
    completion: .file(extensions: ["onnx"]))
  var output: String

  @OptionGroup(title: "Input options") var input: InputOptions

  @OptionGroup(title: "Running options") var options: SessionOptions

  func run() throws {
    try refuse(overwriting: output, madeOf: [path])
    let model = try options.model(path)
    let recalibration = try Recalibration(model, options: options.session) {
      run throws(ModelError) in
      try data.forEach(for: model, input, run)
    }
    try recalibration.definition.write(to: output)
    var table = Table([
      ("layer", .left), ("numbers a channel", .right), ("distance before", .right),
    ])
    for layer in recalibration.layers {
      table.append(layer.node, "\(layer.count)", layer.distance.text(digits: 3))
    }
    print("\(table.text)\n\nwrote \(output.visible)")
  }
}
