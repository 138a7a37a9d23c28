import Dispatch

/// Tells people what takes its time, from two seconds on, and nothing where nobody watches.
struct Watch {
  private let timer: (any DispatchSourceTimer)?

  /// - Parameters:
  ///   - what: such as `loading m.onnx`.
  ///   - detail: how far it has come, asked again and again.
  init(_ what: String, detail: (@Sendable () -> String)? = nil) {
    guard Terminal.isWatched else {
      timer = nil
      return
    }
    let start = seconds()
    let timer = DispatchSource.makeTimerSource(queue: .global())
    timer.schedule(deadline: .now() + 2, repeating: 0.2)
    timer.setEventHandler {
      let elapsed = (seconds() - start).text(decimals: 0)
      Terminal.progress("\(what), \(elapsed) s\(detail.map { ": \($0())" } ?? "")")
    }
    timer.resume()
    self.timer = timer
  }

  /// Takes the line away.
  func end() {
    guard let timer else { return }
    timer.cancel()
    Terminal.endProgress()
  }

  /// Watches over `body`.
  static func over<Result, Failure>(
    _ what: String, detail: (@Sendable () -> String)? = nil,
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let watch = Watch(what, detail: detail)
    defer { watch.end() }
    return try body()
  }
}
