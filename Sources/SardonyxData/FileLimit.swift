package import Sardonyx

/// What a file may hold, and what may be unpacked of one.
package enum FileLimit {
  /// Half of the memory for what lies in a file: values are made of it, which take as much again.
  package static let ofFile = Machine.memoryByteCount / 2
  /// An eighth for what nobody has measured before: pipes, devices, packed arrays.
  package static let ofStream = Machine.memoryByteCount / 8

  package static func fault(_ limit: Int) -> ModelError {
    ModelError(
      .limit, "the content: expected at most \(limit) bytes, got more",
      hint: "values of this size have to be given by the library")
  }
}
