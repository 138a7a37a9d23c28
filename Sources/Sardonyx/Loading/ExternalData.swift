#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// The files beside a model that hold tensors, each mapped once.
///
/// A file must lie in the model's folder or below it, whatever links lead there.
final class ExternalData {
  /// nil where the model has no folder.
  private let folder: String?
  /// Real paths whose contents may be read: the model's folder, and the one that holds the model
  /// itself where it is a link (as in a download cache that links to its blobs).
  private let roots: [String]
  private var files: [String: ModelFile] = [:]

  init(folder: String?, model path: String?) {
    self.folder = folder
    roots = [folder, path.flatMap(realPath).map(folderName)].compactMap { $0 }
      .compactMap(realPath)
  }

  /// The block of a file that `external_data` describes.
  /// - Parameter byteCount: what the tensor needs, the length where none is stated.
  func block(_ entries: [String: String], byteCount: Int) throws(ModelError)
    -> (Storage, Range<Int>)
  {
    guard let location = entries["location"], !location.isEmpty else {
      throw ModelError(.malformed, "external data: expected a location, got none")
    }
    let offset = try number(entries, "offset") ?? 0
    let length = try number(entries, "length") ?? byteCount
    let file = try file(location)
    guard offset <= file.byteCount, length <= file.byteCount - offset else {
      throw .unexpected(
        "external data in \"\(location)\"",
        expected: "\(length) bytes from byte \(offset) on",
        got: "a file of \(file.byteCount) bytes", code: .malformed)
    }
    return (file.storage, offset..<(offset + length))
  }

  private func number(_ entries: [String: String], _ key: String) throws(ModelError) -> Int? {
    guard let text = entries[key] else { return nil }
    guard let number = Int(text), number >= 0 else {
      throw .unexpected(
        "external data: \(key)", expected: "a number of bytes", got: "\"\(text)\"",
        code: .malformed)
    }
    return number
  }

  private func file(_ location: String) throws(ModelError) -> ModelFile {
    if let file = files[location] { return file }
    guard let folder else {
      throw ModelError(
        .unreadable, "external data in \"\(location)\": the model was given without a folder",
        hint: "load the model by its path, or name the folder of its external data")
    }
    guard location.staysBelow else {
      throw .unexpected(
        "external data", expected: "a path inside the model's folder", got: "\"\(location)\"",
        code: .invalid)
    }
    guard let path = realPath("\(folder)/\(location)") else {
      throw ModelError(
        .unreadable, "external data in \"\(location)\": \(systemMessage())",
        hint: "the file belongs beside the model, in \"\(folder)\"")
    }
    guard roots.contains(where: { path.hasPrefix($0 == "/" ? $0 : $0 + "/") }) else {
      throw .unexpected(
        "external data in \"\(location)\"", expected: "a file inside the model's folder",
        got: "a link to \"\(path)\"", code: .invalid)
    }
    let file = try ModelFile(path: path)
    files[location] = file
    return file
  }
}

extension String {
  /// Whether a relative path leads at no point above the folder that it starts from.
  fileprivate var staysBelow: Bool {
    var depth = 0
    for part in split(separator: "/") where part != "." {
      depth += part == ".." ? -1 : 1
      if depth < 0 { return false }
    }
    return !hasPrefix("/") && depth > 0
  }
}

/// The folder of a file's path.
func folderName(_ path: String) -> String {
  guard let slash = path.lastIndex(of: "/") else { return "." }
  return slash == path.startIndex ? "/" : String(path[..<slash])
}

/// The absolute path without links, or nil where there is no such file.
private func realPath(_ path: String) -> String? {
  guard let resolved = unsafe realpath(path, nil) else { return nil }
  defer { unsafe free(resolved) }
  return unsafe String(cString: resolved)
}
