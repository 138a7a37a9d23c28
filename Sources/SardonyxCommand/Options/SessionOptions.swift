public import ArgumentParser
import Sardonyx

/// How a model is run.
struct SessionOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Threads to compute with. (default: as many as this process may keep busy)",
      valueName: "count"))
  var threads: Int?

  @Option(
    help: ArgumentHelp("End a run that takes longer, with exit status 1.", valueName: "seconds"))
  var timeout: Double?

  @Option(
    help: """
      What becomes of BatchNormalization: folded into weights wherever that is exact; auto, the same \
      unless it takes large copies of weights that others read too; epilogue, which leaves weights \
      alone and computes it in one pass with the activation behind it; unfolded, as written; or batch, \
      with the statistics of the batch, as in training.
      """)
  var batchnorm = BatchNormalizationChoice(mode: .auto)

  @Option(
    help: """
      What becomes of Dropout: written, which is to hand on its input outside training, or train, as in \
      training. Nothing else changes.
      """)
  var dropout: Session.DropoutMode = .written

  @Option(
    help: ArgumentHelp(
      "What random operators without a seed of their own draw from.", valueName: "number"))
  var seed: UInt64 = 0

  @Flag(
    inversion: .prefixedNo,
    help: "Compute 3×3 convolutions by Winograd's algorithm: faster, and about half as exact.")
  var winograd = true

  @Flag(help: "Tell on standard error what was loaded and how long each part took.")
  var verbose = false

  func validate() throws {
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads: expected 1 to 1024, got \(threads)")
    }
    try checkTimeout(timeout)
  }

  /// What the library calls these options.
  var session: Session.Options {
    var options = Session.Options()
    options.threads = threads
    options.timeLimit = timeout
    options.batchNormalization = batchnorm.mode
    options.dropout = dropout
    options.seed = seed
    options.winograd = winograd
    return options
  }

  /// Loads a model, and says so if asked; `-` is standard input.
  func model(_ path: String) throws(ModelError) -> Model {
    let start = seconds()
    let model = try Model(file: path)
    note("loaded \(path)", since: start)
    return model
  }

  /// Reads a model without asking whether it can be run; `-` is standard input.
  func definition(_ path: String) throws(ModelError) -> ModelDefinition {
    try Watch.over("loading \(path)") { () throws(ModelError) in
      try path == "-" ? ModelDefinition(bytes: bytes(ofFile: path)) : ModelDefinition(path: path)
    }
  }

  /// Prepares a model, and says so if asked.
  func session(_ model: Model, taps: [String] = []) throws(ModelError) -> Session {
    let start = seconds()
    var options = session
    options.taps = taps
    let session = try model.session(options)
    if dropout == .train, !model.definition.hasDropout {
      Terminal.warn("--dropout train: the model has no Dropout, so nothing is dropped")
    }
    note("prepared for \(session.threadReason)", since: start)
    return session
  }

  /// A remark with the milliseconds that passed, for `--verbose`.
  func note(_ text: String, since start: Double) {
    if verbose { Terminal.note("\(text) (\(((seconds() - start) * 1000).text(decimals: 2)) ms)") }
  }
}

/// Refuses a time limit that nothing could keep to.
func checkTimeout(_ timeout: Double?) throws {
  guard let timeout, !(timeout > 0) else { return }
  throw ValidationError("--timeout: expected a positive number of seconds, got \(timeout)")
}

extension Model {
  /// Loads a model while people watch; `-` is standard input.
  init(file path: String) throws(ModelError) {
    self = try Watch.over("loading \(path)") { () throws(ModelError) in
      try path == "-" ? Model(bytes: bytes(ofFile: path)) : Model(path: path)
    }
  }

  /// Prepares the model while people watch.
  func session(_ options: Session.Options) throws(ModelError) -> Session {
    try Watch.over("preparing") { () throws(ModelError) in try Session(self, options: options) }
  }
}

extension ModelDefinition {
  /// Whether a node of the file is one.
  fileprivate var hasDropout: Bool {
    ModelListing(self).operators.contains { $0.name == "Dropout" && $0.domain.isEmpty }
  }
}

extension Session.BatchNormalizationMode: ExpressibleByArgument {}
extension Session.DropoutMode: ExpressibleByArgument {}

/// What becomes of BatchNormalization, as the command line says it.
struct BatchNormalizationChoice: ExpressibleByArgument {
  let mode: Session.BatchNormalizationMode

  init(mode: Session.BatchNormalizationMode) { self.mode = mode }

  init?(argument: String) {
    guard let mode = Session.BatchNormalizationMode(rawValue: argument) else { return nil }
    self.mode = mode
  }

  static var allValueStrings: [String] { Session.BatchNormalizationMode.allCases.map(\.rawValue) }

  var defaultValueDescription: String { mode.rawValue }

  /// What reports call it: `auto` folds too.
  var rawValue: String { mode == .auto ? "folded" : mode.rawValue }
}
