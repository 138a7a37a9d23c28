import Sardonyx

/// Texts that stay for ever.
@safe private struct Constants: @unchecked Sendable {
  let version: UnsafePointer<CChar>
  let instructionSet: UnsafePointer<CChar>
  private let memory = CMemory()

  static let shared = Constants()

  private init() {
    unsafe version = unsafe memory.text(Build.version)
    unsafe instructionSet = unsafe memory.text(Processor.instructionSet)
  }
}

/// `sardonyx_version` of sardonyx.h.
@_cdecl("sardonyx_version")
public func version() -> UnsafePointer<CChar>? { unsafe Constants.shared.version }

/// `sardonyx_has_feature` of sardonyx.h.
@_cdecl("sardonyx_has_feature")
public func hasFeature(_ name: UnsafePointer<CChar>?) -> Bool {
  guard let name = unsafe name else { return false }
  return unsafe Build.features.contains(String(cString: name))
}

/// `sardonyx_instruction_set` of sardonyx.h.
@_cdecl("sardonyx_instruction_set")
public func instructionSet() -> UnsafePointer<CChar>? { unsafe Constants.shared.instructionSet }
