import Sardonyx
import SardonyxData

/// A file that holds the value of an input, whatever its format.
struct InputFile {
  let path: String
  private let contents: [UInt8]

  /// - Throws: ``ModelError`` (unreadable).
  init(_ path: String) throws(ModelError) {
    self.path = path
    contents = try bytes(ofFile: path)
  }

  /// Whether a file is an image or an array by its first bytes, or a protobuf value by its name.
  /// - Throws: ``ModelError`` (unreadable).
  static func isKnown(_ path: String) throws(ModelError) -> Bool {
    if path.hasSuffix(".pb") { return true }
    let contents = try bytes(ofFile: path)
    return NPY.isNPY(contents) || ImagePreparation.isImage(contents)
  }

  /// The value for an input; its format is told by its first bytes.
  /// - Throws: ``ModelError`` with the file's path.
  func value(
    for definition: ValueDefinition, _ image: ImagePreparation
  ) throws(ModelError) -> Value {
    try naming { () throws(ModelError) in
      if NPY.isNPY(contents) {
        return .tensor(try NPY.read(contents).adapted(to: definition))
      }
      if NPZ.isNPZ(contents) {
        return .tensor(try array(for: definition.name).adapted(to: definition))
      }
      if ImagePreparation.isImage(contents) {
        return .tensor(try image.tensor(contents, for: definition))
      }
      return try protobufValue(definition)
    }
  }

  /// The arrays of an archive whose names are wanted; an array file's is `arr_0`, as NumPy would name it.
  func arrays(
    where isWanted: (String) -> Bool = { _ in true }
  ) throws(ModelError) -> [(name: String, tensor: Tensor)] {
    try naming { () throws(ModelError) in
      if NPY.isNPY(contents) {
        return isWanted("arr_0") ? [("arr_0", try NPY.read(contents))] : []
      }
      guard NPZ.isNPZ(contents) else {
        throw ModelError(.malformed, "not a NumPy array or archive (.npy, .npz)")
      }
      return try NPZ.read(contents, where: isWanted)
    }
  }

  /// The array of this name, or the only one.
  private func array(for name: String) throws(ModelError) -> Tensor {
    let arrays = try NPZ.read(contents)
    if let match = arrays.first(where: { $0.name == name || $0.name == "in:\(name)" }) {
      return match.tensor
    }
    guard arrays.count == 1 else {
      let names = arrays.map(\.name).quotedList
      throw ModelError(.mismatch, "no array is named \"\(name)\"; there are \(names)")
    }
    return arrays[0].tensor
  }

  private func protobufValue(_ definition: ValueDefinition) throws(ModelError) -> Value {
    do throws(ModelError) {
      return try Value(protobuf: contents, as: definition.type ?? .tensor(.float))
    } catch {
      guard error.code == .malformed, !path.hasSuffix(".pb") else { throw error }
      throw ModelError(
        .malformed,
        "expected a NumPy array or archive, an image or a TensorProto, got something else")
    }
  }

  private func naming<Result>(
    _ body: () throws(ModelError) -> Result
  ) throws(ModelError) -> Result {
    do throws(ModelError) { return try body() } catch {
      var named = error
      named.file = named.file ?? path
      throw named
    }
  }
}
