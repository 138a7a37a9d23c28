public import CSardonyx
import Sardonyx

/// A session.
@safe final class SessionHandle: Handle, @unchecked Sendable {
  let session: Session

  init(_ session: Session) { self.session = session }
}

/// A cancellation.
@safe final class CancellationHandle: Handle, @unchecked Sendable {
  let cancellation = Cancellation()
}

extension Session.Options {
  /// What C gives.
  init(_ pointer: UnsafePointer<sardonyx_session_options>?) throws(ModelError) {
    self.init()
    let given = try unsafe SardonyxC.options(pointer, sardonyx_session_options(), "options")
    if unsafe given.threads != 0 { threads = unsafe Int(given.threads) }
    switch unsafe Int(given.batch_normalization) {
    case Int(SARDONYX_FOLDED): batchNormalization = .auto
    case Int(SARDONYX_UNFOLDED): batchNormalization = .unfolded
    case Int(SARDONYX_BATCH): batchNormalization = .batch
    default:
      throw ModelError(
        .mismatch,
        unsafe "batch_normalization: expected 0, 1 or 2, got \(given.batch_normalization)")
    }
    if unsafe given.time_limit != 0 { timeLimit = unsafe given.time_limit }
    if unsafe given.memory_limit != 0 { memoryLimit = unsafe Int(clamping: given.memory_limit) }
    seed = unsafe given.seed
    taps = try unsafe names(given.taps, given.tap_count, "taps")
    winograd = unsafe !given.without_winograd
  }
}

/// The values that C gives, by name.
func inputs(
  _ inputNames: UnsafePointer<UnsafePointer<CChar>?>?, _ values: UnsafePointer<OpaquePointer?>?,
  _ count: Int
) throws(ModelError) -> [String: Value] {
  let keys = try unsafe names(inputNames, count, "input_names")
  var inputs = [String: Value](minimumCapacity: count)
  let pointers = try unsafe array(values, count, "inputs")
  for index in pointers.indices {
    let value = try unsafe ValueHandle.given(pointers[index], "inputs[\(index)]").value
    guard inputs.updateValue(value, forKey: keys[index]) == nil else {
      throw ModelError(
        .mismatch, "input_names: expected each name once, got \"\(keys[index])\" twice")
    }
  }
  return inputs
}

/// `sardonyx_session_create` of sardonyx.h.
@_cdecl("sardonyx_session_create")
public func sessionCreate(
  _ model: OpaquePointer?, _ options: UnsafePointer<sardonyx_session_options>?,
  _ session: UnsafeMutablePointer<OpaquePointer?>?, _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  unsafe attempt(error) { () throws(ModelError) in
    let result = try unsafe place(session, "session")
    let made = try unsafe Session(
      ModelHandle.given(model, "model").model, options: Session.Options(options))
    unsafe result.pointee = unsafe SessionHandle(made).retained
  }
}

/// `sardonyx_session_release` of sardonyx.h.
@_cdecl("sardonyx_session_release")
public func sessionRelease(_ session: OpaquePointer?) { unsafe SessionHandle.release(session) }

/// `sardonyx_session_threads` of sardonyx.h.
@_cdecl("sardonyx_session_threads")
public func sessionThreads(_ session: OpaquePointer?) -> Int32 {
  unsafe Int32(SessionHandle.borrowed(session)?.session.threads ?? 0)
}

/// `sardonyx_session_notes` of sardonyx.h.
@_cdecl("sardonyx_session_notes")
public func sessionNotes(
  _ session: OpaquePointer?, _ notes: UnsafeMutablePointer<OpaquePointer?>?,
  _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  unsafe attempt(error) { () throws(ModelError) in
    let result = try unsafe place(notes, "notes")
    unsafe result.pointee =
      unsafe NotesHandle(try SessionHandle.given(session, "session").session.notes).retained
  }
}

/// Where outputs are to be written, as C gives it.
private func outputMemory(_ options: sardonyx_run_options, _ outputs: [String])
  throws(ModelError) -> [String: UnsafeMutableRawBufferPointer]
{
  guard let places = unsafe options.output_memory else { return unsafe [:] }
  let sizes = try unsafe array(
    options.output_byte_counts, outputs.count, "options.output_byte_counts")
  var memory: [String: UnsafeMutableRawBufferPointer] = unsafe [:]
  for (index, name) in outputs.enumerated() {
    guard let start = unsafe places[index] else { continue }
    guard unsafe sizes[index] >= 0 else {
      throw ModelError(.mismatch, "options.output_byte_counts[\(index)]: more than there can be")
    }
    unsafe memory[name] = unsafe UnsafeMutableRawBufferPointer(start: start, count: sizes[index])
  }
  return unsafe memory
}

/// `sardonyx_session_run` of sardonyx.h.
@_cdecl("sardonyx_session_run")
public func sessionRun(
  _ session: OpaquePointer?, _ inputNames: UnsafePointer<UnsafePointer<CChar>?>?,
  _ values: UnsafePointer<OpaquePointer?>?, _ inputCount: Int,
  _ outputNames: UnsafePointer<UnsafePointer<CChar>?>?, _ outputCount: Int,
  _ outputs: UnsafeMutablePointer<OpaquePointer?>?,
  _ runOptions: UnsafePointer<sardonyx_run_options>?,
  _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  if let outputs = unsafe outputs {
    for index in 0..<max(0, outputCount) { unsafe outputs[index] = nil }
  }
  return unsafe attempt(error) { () throws(ModelError) in
    let results = try unsafe array(UnsafePointer(outputs), outputCount, "outputs")
    let session = try unsafe SessionHandle.given(session, "session").session
    let given = try unsafe inputs(inputNames, values, inputCount)
    let wanted = try unsafe names(outputNames, outputCount, "output_names")
    let options = try unsafe options(runOptions, sardonyx_run_options(), "options")
    let made = try unsafe session.run(
      given, outputs: wanted, into: outputMemory(options, wanted),
      cancellation: CancellationHandle.borrowed(options.cancellation)?.cancellation)
    for index in results.indices {
      // What an input or a part of it is handed on as may not outlive the caller's memory.
      unsafe outputs?[index] = unsafe made[wanted[index]].map {
        unsafe ValueHandle($0.apart(from: given.values)).retained
      }
    }
  }
}

/// `sardonyx_cancellation_create` of sardonyx.h.
@_cdecl("sardonyx_cancellation_create")
public func cancellationCreate() -> OpaquePointer? { unsafe CancellationHandle().retained }

/// `sardonyx_cancellation_cancel` of sardonyx.h.
@_cdecl("sardonyx_cancellation_cancel")
public func cancellationCancel(_ cancellation: OpaquePointer?) {
  unsafe CancellationHandle.borrowed(cancellation)?.cancellation.cancel()
}

/// `sardonyx_cancellation_release` of sardonyx.h.
@_cdecl("sardonyx_cancellation_release")
public func cancellationRelease(_ cancellation: OpaquePointer?) {
  unsafe CancellationHandle.release(cancellation)
}
