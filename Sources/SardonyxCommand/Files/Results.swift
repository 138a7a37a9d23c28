import Sardonyx
import SardonyxData

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Values by name in the order in which they are shown.
typealias NamedValues = [(name: String, value: Value)]

/// Writes values to a NumPy archive, or to an array file where the name ends so; `-` is an archive on
/// standard output.
/// - Throws: ``ModelError``: mismatch where an array file cannot hold them, unreadable with the
///   system's reason.
func write(_ values: NamedValues, toArrays path: String) throws(ModelError) {
  let arrays = values.flatMap { parts($0.name, $0.value) }
  guard path.hasSuffix(".npy") else {
    let archive = try NPZ.write(arrays)
    return path == "-" ? try writeToStandardOutput(archive) : try write(archive, toFile: path)
  }
  guard arrays.count == 1 else {
    throw ModelError(
      .mismatch,
      "an array file holds one array, and there are \(arrays.count): "
        + arrays.map(\.name).quotedList,
      hint: "name the file .npz", file: path)
  }
  try write(try NPY.write(arrays[0].tensor), toFile: path)
}

/// Writes bytes to standard output, after all that was printed.
/// - Throws: ``ModelError`` (unreadable) with the system's reason.
func writeToStandardOutput(_ bytes: [UInt8]) throws(ModelError) {
  func fault() -> ModelError {
    ModelError(.unreadable, systemReason, file: "standard output")
  }
  guard fflush(nil) == 0 else { throw fault() }
  var written = 0
  while written < bytes.count {
    let count = unsafe bytes.withUnsafeBytes { source in
      unsafe write(STDOUT_FILENO, source.baseAddress! + written, source.count - written)
    }
    guard count > 0 else { throw fault() }
    written += count
  }
}

/// The arrays that stand for a value in an archive.
private func parts(_ name: String, _ value: Value) -> [(name: String, tensor: Tensor)] {
  switch value {
  case .tensor(let tensor): [(name, tensor)]
  case .optional(let value, _): value.map { parts(name, $0) } ?? []
  case .map(let keys, let values): [("\(name).keys", keys), ("\(name).values", values)]
  case .sequence(let elements, _):
    table(name, elements) ?? elements.enumerated().flatMap { parts("\(name)[\($0)]", $1) }
  }
}

/// Maps of the same keys, as ZipMap makes one for each row: their values as a matrix.
private func table(_ name: String, _ rows: [Value]) -> [(name: String, tensor: Tensor)]? {
  var columns: [UInt8]?
  var keys: Tensor?
  var numbers: [Double] = []
  for row in rows {
    guard case .map(let rowKeys, let values) = row, let text = try? rowKeys.keyBytes(),
      columns == nil || columns == text, let rowNumbers = try? values.numbers()
    else { return nil }
    (columns, keys) = (text, rowKeys)
    numbers += rowNumbers
  }
  guard let keys, case .map(_, let first)? = rows.first,
    let matrix = try? Tensor(numbers, shape: [rows.count, keys.elementCount])
      .converted(to: first.type)
  else { return nil }
  return [(name, matrix), ("\(name).keys", keys)]
}

extension Tensor {
  /// Bytes that tell the keys of one map from those of another.
  fileprivate func keyBytes() throws(ModelError) -> [UInt8] {
    type == .string ? Array(try strings().joined(separator: "\0").utf8) : rawBytes
  }
}
