import CSardonyx
import Sardonyx

/// An error with its texts.
@safe final class ErrorHandle: Handle, @unchecked Sendable {
  let code: Int32
  let message: UnsafePointer<CChar>
  let hint: UnsafePointer<CChar>?
  let node: UnsafePointer<CChar>?
  let file: UnsafePointer<CChar>?
  let description: UnsafePointer<CChar>
  private let memory = CMemory()

  init(_ error: ModelError) {
    code = error.code.number
    unsafe message = unsafe memory.text(error.message)
    unsafe hint = unsafe memory.text(error.hint)
    unsafe node = unsafe memory.text(error.node)
    unsafe file = unsafe memory.text(error.file)
    unsafe description = unsafe memory.text(error.description)
  }
}

extension ModelError.Code {
  /// The number in sardonyx.h.
  var number: Int32 {
    switch self {
    case .unreadable: Int32(SARDONYX_UNREADABLE)
    case .malformed: Int32(SARDONYX_MALFORMED)
    case .unsupported: Int32(SARDONYX_UNSUPPORTED)
    case .invalid, .undetermined: Int32(SARDONYX_INVALID)
    case .mismatch: Int32(SARDONYX_MISMATCH)
    case .limit: Int32(SARDONYX_LIMIT)
    case .cancelled: Int32(SARDONYX_CANCELLED)
    }
  }
}

/// `sardonyx_error_code` of sardonyx.h.
@_cdecl("sardonyx_error_code")
public func errorCode(_ error: OpaquePointer?) -> Int32 {
  unsafe ErrorHandle.borrowed(error)?.code ?? 0
}

/// `sardonyx_error_message` of sardonyx.h.
@_cdecl("sardonyx_error_message")
public func errorMessage(_ error: OpaquePointer?) -> UnsafePointer<CChar>? {
  unsafe ErrorHandle.borrowed(error)?.message
}

/// `sardonyx_error_hint` of sardonyx.h.
@_cdecl("sardonyx_error_hint")
public func errorHint(_ error: OpaquePointer?) -> UnsafePointer<CChar>? {
  unsafe ErrorHandle.borrowed(error)?.hint
}

/// `sardonyx_error_node` of sardonyx.h.
@_cdecl("sardonyx_error_node")
public func errorNode(_ error: OpaquePointer?) -> UnsafePointer<CChar>? {
  unsafe ErrorHandle.borrowed(error)?.node
}

/// `sardonyx_error_file` of sardonyx.h.
@_cdecl("sardonyx_error_file")
public func errorFile(_ error: OpaquePointer?) -> UnsafePointer<CChar>? {
  unsafe ErrorHandle.borrowed(error)?.file
}

/// `sardonyx_error_description` of sardonyx.h.
@_cdecl("sardonyx_error_description")
public func errorDescription(_ error: OpaquePointer?) -> UnsafePointer<CChar>? {
  unsafe ErrorHandle.borrowed(error)?.description
}

/// `sardonyx_error_release` of sardonyx.h.
@_cdecl("sardonyx_error_release")
public func errorRelease(_ error: OpaquePointer?) { unsafe ErrorHandle.release(error) }
