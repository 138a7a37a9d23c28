public import CSardonyx
import Sardonyx

/// A comparison with the texts that C reads of it.
@safe final class ComparisonHandle: Handle, @unchecked Sendable {
  let passed: Bool
  let outputs: [sardonyx_comparison_entry]
  let layers: [sardonyx_comparison_entry]
  private let memory: CMemory

  init(_ comparison: Comparison) {
    let memory = CMemory()
    self.memory = memory
    passed = comparison.passed
    unsafe outputs = unsafe comparison.outputs.map { unsafe sardonyx_comparison_entry($0, memory) }
    unsafe layers = unsafe comparison.layers.map { unsafe sardonyx_comparison_entry($0, memory) }
  }
}

extension sardonyx_comparison_entry {
  fileprivate init(_ entry: Comparison.Entry, _ memory: CMemory) {
    let metrics = entry.metrics
    unsafe self.init(
      size: MemoryLayout<sardonyx_comparison_entry>.size, name: memory.text(entry.name),
      operator_name: memory.text(entry.operatorName), passed: entry.passed,
      is_measured: metrics != nil, max_absolute: metrics?.maxAbsolute ?? 0,
      allowed: entry.allowed ?? 0, magnitude: metrics?.magnitude ?? 0,
      relative: metrics?.relative ?? 0, rms: metrics?.rms ?? 0, cosine: metrics?.cosine ?? 0,
      ulp: metrics?.ulp.map { Int64(clamping: $0) } ?? -1, remark: unsafe memory.text(entry.remark))
  }
}

/// Notes with the texts that C reads of them.
@safe final class NotesHandle: Handle, @unchecked Sendable {
  let notes: [sardonyx_note]
  private let memory: CMemory

  init(_ notes: [Note]) {
    let memory = CMemory()
    self.memory = memory
    unsafe self.notes = unsafe notes.map { note in
      unsafe sardonyx_note(
        size: MemoryLayout<sardonyx_note>.size, pass: memory.text(note.pass),
        node: memory.text(note.node), text: memory.text(note.text), is_done: note.kind == .done)
    }
  }
}

/// An inspection with the texts that C reads of it.
@safe final class InspectionHandle: Handle, @unchecked Sendable {
  let summary: sardonyx_summary
  let operators: [(name: UnsafePointer<CChar>, count: UInt64)]
  private let memory: CMemory

  init(_ inspection: Inspection) {
    let memory = CMemory()
    self.memory = memory
    summary = sardonyx_summary(
      size: MemoryLayout<sardonyx_summary>.size,
      parameter_count: UInt64(inspection.parameterCount),
      parameter_byte_count: UInt64(inspection.parameterByteCount),
      multiply_adds: Int64(inspection.multiplyAdds ?? -1))
    unsafe operators = unsafe inspection.operators.map {
      unsafe (memory.text($0.name), UInt64($0.count))
    }
  }
}

/// `sardonyx_compare` of sardonyx.h.
@_cdecl("sardonyx_compare")
public func compare(
  _ model: OpaquePointer?, _ reference: OpaquePointer?,
  _ inputNames: UnsafePointer<UnsafePointer<CChar>?>?, _ values: UnsafePointer<OpaquePointer?>?,
  _ inputCount: Int, _ sessionOptions: UnsafePointer<sardonyx_session_options>?,
  _ tolerance: UnsafePointer<sardonyx_comparison_options>?,
  _ comparison: UnsafeMutablePointer<OpaquePointer?>?,
  _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  unsafe attempt(error) { () throws(ModelError) in
    let result = try unsafe place(comparison, "comparison")
    let model = try unsafe ModelHandle.given(model, "model").model
    let given = try unsafe options(tolerance, sardonyx_comparison_options(), "tolerance")
    let made = try unsafe Comparison(
      model, against: ModelHandle.borrowed(reference)?.model,
      inputs: inputs(inputNames, values, inputCount), options: Session.Options(sessionOptions),
      layers: given.layers, tolerance: Comparison.Tolerance(given))
    unsafe result.pointee = unsafe ComparisonHandle(made).retained
  }
}

extension Comparison.Tolerance {
  fileprivate init(_ options: sardonyx_comparison_options) {
    self.init()
    if options.relative_tolerance != 0 { relative = options.relative_tolerance }
    absolute = options.absolute_tolerance
  }
}

/// `sardonyx_model_fold_within` of sardonyx.h.
@_cdecl("sardonyx_model_fold_within")
public func modelFoldWithin(
  _ model: OpaquePointer?, _ inputNames: UnsafePointer<UnsafePointer<CChar>?>?,
  _ values: UnsafePointer<OpaquePointer?>?, _ inputCount: Int,
  _ sessionOptions: UnsafePointer<sardonyx_session_options>?,
  _ tolerance: UnsafePointer<sardonyx_comparison_options>?,
  _ folded: UnsafeMutablePointer<OpaquePointer?>?, _ notes: UnsafeMutablePointer<OpaquePointer?>?,
  _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  unsafe attempt(error) { () throws(ModelError) in
    let result = try unsafe place(folded, "folded")
    let model = try unsafe ModelHandle.given(model, "model").model
    let given = try unsafe options(tolerance, sardonyx_comparison_options(), "tolerance")
    let inputs = try unsafe inputs(inputNames, values, inputCount)
    let made = try FoldedModel(
      model, keeping: Comparison.Tolerance(given), options: unsafe Session.Options(sessionOptions)
    ) { run throws(ModelError) in try run(inputs) }
    let handle = ModelHandle(try Model(made.definition))
    unsafe result.pointee = unsafe handle.retained
    unsafe notes?.pointee = unsafe NotesHandle(made.notes).retained
  }
}

/// `sardonyx_comparison_passed` of sardonyx.h.
@_cdecl("sardonyx_comparison_passed")
public func comparisonPassed(_ comparison: OpaquePointer?) -> Bool {
  unsafe ComparisonHandle.borrowed(comparison)?.passed ?? false
}

/// `sardonyx_comparison_output_count` of sardonyx.h.
@_cdecl("sardonyx_comparison_output_count")
public func comparisonOutputCount(_ comparison: OpaquePointer?) -> Int {
  unsafe ComparisonHandle.borrowed(comparison)?.outputs.count ?? 0
}

/// `sardonyx_comparison_layer_count` of sardonyx.h.
@_cdecl("sardonyx_comparison_layer_count")
public func comparisonLayerCount(_ comparison: OpaquePointer?) -> Int {
  unsafe ComparisonHandle.borrowed(comparison)?.layers.count ?? 0
}

/// `sardonyx_comparison_output` of sardonyx.h.
@_cdecl("sardonyx_comparison_output")
public func comparisonOutput(
  _ comparison: OpaquePointer?, _ index: Int,
  _ entry: UnsafeMutablePointer<sardonyx_comparison_entry>?
) -> Bool {
  unsafe fill(entry, ComparisonHandle.borrowed(comparison)?.outputs[at: index])
}

/// `sardonyx_comparison_layer` of sardonyx.h.
@_cdecl("sardonyx_comparison_layer")
public func comparisonLayer(
  _ comparison: OpaquePointer?, _ index: Int,
  _ entry: UnsafeMutablePointer<sardonyx_comparison_entry>?
) -> Bool {
  unsafe fill(entry, ComparisonHandle.borrowed(comparison)?.layers[at: index])
}

/// `sardonyx_comparison_release` of sardonyx.h.
@_cdecl("sardonyx_comparison_release")
public func comparisonRelease(_ comparison: OpaquePointer?) {
  unsafe ComparisonHandle.release(comparison)
}

/// `sardonyx_notes_count` of sardonyx.h.
@_cdecl("sardonyx_notes_count")
public func notesCount(_ notes: OpaquePointer?) -> Int {
  unsafe NotesHandle.borrowed(notes)?.notes.count ?? 0
}

/// `sardonyx_notes_note` of sardonyx.h.
@_cdecl("sardonyx_notes_note")
public func notesNote(
  _ notes: OpaquePointer?, _ index: Int, _ note: UnsafeMutablePointer<sardonyx_note>?
) -> Bool {
  unsafe fill(note, NotesHandle.borrowed(notes)?.notes[at: index])
}

/// `sardonyx_notes_release` of sardonyx.h.
@_cdecl("sardonyx_notes_release")
public func notesRelease(_ notes: OpaquePointer?) { unsafe NotesHandle.release(notes) }

/// `sardonyx_model_inspect` of sardonyx.h.
@_cdecl("sardonyx_model_inspect")
public func modelInspect(
  _ model: OpaquePointer?, _ symbols: UnsafePointer<UnsafePointer<CChar>?>?,
  _ extents: UnsafePointer<Int64>?, _ count: Int,
  _ inspection: UnsafeMutablePointer<OpaquePointer?>?,
  _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  unsafe attempt(error) { () throws(ModelError) in
    let result = try unsafe place(inspection, "inspection")
    let model = try unsafe ModelHandle.given(model, "model").model
    let keys = try unsafe names(symbols, count, "symbols")
    var dimensions: [String: Int] = [:]
    let sizes = try unsafe array(extents, count, "extents")
    for index in sizes.indices {
      let extent = unsafe sizes[index]
      guard extent >= 0 else {
        throw ModelError(
          .mismatch, "extents[\(index)]: expected 0 or more for \"\(keys[index])\", got \(extent)")
      }
      dimensions[keys[index]] = Int(extent)
    }
    let inspection = Inspection(model, dimensions: dimensions)
    if let index = keys.firstIndex(where: { !inspection.symbols.contains($0) }) {
      let known = inspection.symbols.map { "\"\($0)\"" }.joined(separator: ", ")
      throw ModelError(
        .mismatch, "symbols[\(index)]: the inputs have no dimension \"\(keys[index])\"",
        hint: known.isEmpty ? "all dimensions are fixed" : "there are \(known)")
    }
    unsafe result.pointee = unsafe InspectionHandle(inspection).retained
  }
}

/// `sardonyx_inspection_summary` of sardonyx.h.
@_cdecl("sardonyx_inspection_summary")
public func inspectionSummary(
  _ inspection: OpaquePointer?, _ summary: UnsafeMutablePointer<sardonyx_summary>?
) -> Bool {
  unsafe fill(summary, InspectionHandle.borrowed(inspection)?.summary)
}

/// `sardonyx_inspection_operator_count` of sardonyx.h.
@_cdecl("sardonyx_inspection_operator_count")
public func inspectionOperatorCount(_ inspection: OpaquePointer?) -> Int {
  unsafe InspectionHandle.borrowed(inspection)?.operators.count ?? 0
}

/// `sardonyx_inspection_operator` of sardonyx.h.
@_cdecl("sardonyx_inspection_operator")
public func inspectionOperator(
  _ inspection: OpaquePointer?, _ index: Int, _ name: UnsafeMutablePointer<UnsafePointer<CChar>?>?,
  _ count: UnsafeMutablePointer<UInt64>?
) -> Bool {
  guard let entry = unsafe InspectionHandle.borrowed(inspection)?.operators[at: index] else {
    return false
  }
  unsafe name?.pointee = unsafe entry.name
  unsafe count?.pointee = unsafe entry.count
  return true
}

/// `sardonyx_inspection_release` of sardonyx.h.
@_cdecl("sardonyx_inspection_release")
public func inspectionRelease(_ inspection: OpaquePointer?) {
  unsafe InspectionHandle.release(inspection)
}
