private import Synchronization

/// A session that is checked against the model as written while it serves, and gives way to it where they differ.
///
/// A run that is checked takes about three times as long; where outputs differ beyond tolerance it returns those of
/// the model as written, and tells the first layer that differs. Runs may overlap on any number of threads.
public final class VerifiedSession: Sendable {
  /// What checking a run has shown.
  public enum Verdict: Sendable, Equatable {
    /// This run was not among those that are checked.
    case unchecked
    /// All outputs are within tolerance.
    case agreed
    /// An output is not, and the outputs returned are those of the model as written.
    /// - Parameter layer: the first value inside the graph that differs too, if one that both compute does.
    case differed(output: String, layer: String?)
  }

  /// The session that serves.
  public let session: Session
  private let reference: Session
  private let tolerance: Comparison.Tolerance
  private let period: Int
  private let runs = Mutex(0)

  /// Prepares a model both ways.
  /// - Parameters:
  ///   - model: what is run.
  ///   - options: how the session that serves is prepared.
  ///   - tolerance: what outputs may differ by.
  ///   - period: one run in so many is checked, the first among them.
  /// - Throws: ``ModelError``: mismatch for a period below 1, and what ``Session/init(_:options:)`` throws.
  public init(
    _ model: Model, options: Session.Options = Session.Options(),
    tolerance: Comparison.Tolerance = Comparison.Tolerance(), every period: Int = 1
  ) throws(ModelError) {
    guard period > 0 else {
      throw .unexpected("runs from one check to the next", expected: "1 or more", got: "\(period)")
    }
    session = try Session(model, options: options)
    reference = try Session(model, options: options.asWritten)
    (self.tolerance, self.period) = (tolerance, period)
  }

  /// Runs the model.
  /// - Parameter inputs: values by input name; those with a default may be left out.
  /// - Returns: the outputs and taps by name, and what checking has shown.
  /// - Throws: ``ModelError``: what ``Session/run(_:outputs:profile:)`` throws, of either plan.
  public func run(_ inputs: [String: Value]) throws(ModelError)
    -> (values: [String: Value], verdict: Verdict)
  {
    let values = try session.run(inputs)
    guard isNextChecked() else { return (values, .unchecked) }
    return try judge(values, written: try reference.run(inputs), inputs)
  }

  /// Runs the model on a thread of its own, while the caller's may do other things.
  /// - Parameter inputs: values by input name; those with a default may be left out.
  /// - Returns: the outputs and taps by name, and what checking has shown.
  /// - Throws: ``ModelError``: what the other ``run(_:)`` throws, or cancelled soon after the task was.
  public func run(_ inputs: [String: Value]) async throws(ModelError)
    -> (values: [String: Value], verdict: Verdict)
  {
    let values = try await session.run(inputs)
    guard isNextChecked() else { return (values, .unchecked) }
    return try judge(values, written: try await reference.run(inputs), inputs)
  }

  private func isNextChecked() -> Bool {
    let number = runs.withLock { count in
      defer { count &+= 1 }
      return count
    }
    return number % period == 0
  }

  private func judge(
    _ values: [String: Value], written: [String: Value], _ inputs: [String: Value]
  ) throws(ModelError) -> (values: [String: Value], verdict: Verdict) {
    // What squeezing operators allow is known to the comparison in lock step alone.
    guard !Comparison(values, reference: written, tolerance: tolerance).passed else {
      return (values, .agreed)
    }
    let comparison = try Comparison(
      session, against: reference, inputs: inputs, layers: true, tolerance: tolerance)
    guard let output = comparison.outputs.first(where: { !$0.passed }) else {
      return (values, .agreed)
    }
    return (written, .differed(output: output.name, layer: comparison.firstFailure?.name))
  }
}
