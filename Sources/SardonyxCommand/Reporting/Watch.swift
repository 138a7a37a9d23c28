import Dispatch
import Sardonyx

/// Tells people what takes its time, from two seconds on, and nothing where nobody watches.
enum Watch {
  /// Watches over `body`.
  /// - Parameter what: such as `loading m.onnx`.
  static func over<Result, Failure>(
    _ what: String, _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    guard Terminal.isWatched else { return try body() }
    let activity = Activity()
    let start = seconds()
    let queue = DispatchQueue(label: "watch")
    let timer = DispatchSource.makeTimerSource(queue: queue)
    timer.schedule(deadline: .now() + 2, repeating: 0.2)
    timer.setEventHandler {
      let elapsed = (seconds() - start).text(decimals: 0)
      Terminal.progress("\(what), \(elapsed) s\(activity.state.text(what))")
    }
    timer.resume()
    defer {
      // After the line that may be being written.
      queue.sync { timer.cancel() }
      Terminal.endProgress()
    }
    return try activity.watch(body)
  }
}

extension Activity.State {
  /// Such as `: fold constants: node 3 of 18, conv_2 (Conv)`; nothing of the stage that `what` tells of.
  fileprivate func text(_ what: String) -> String {
    let stage = what.hasPrefix(stage) ? "" : ": \(stage)"
    return count == 0 ? stage : "\(stage): node \(doneCount + 1) of \(count), \(node)"
  }
}
