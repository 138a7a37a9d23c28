import Sardonyx

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// What the system last said was wrong.
var systemReason: String { unsafe String(cString: strerror(errno)) }

/// What a file may hold, and what may be unpacked of one.
enum FileLimit {
  /// Half of the memory for what lies in a file: values are made of it, which take as much again.
  static let ofFile = Machine.memoryByteCount / 2
  /// An eighth for what nobody has measured before: pipes, devices, packed arrays.
  static let ofStream = Machine.memoryByteCount / 8

  static func fault(_ limit: Int) -> ModelError {
    ModelError(
      .limit, "the content: expected at most \(limit) bytes, got more",
      hint: "values of this size have to be given by the library")
  }
}

/// The bytes of a file.
/// - Parameter limit: how many bytes are read at most; by default a part of the memory.
/// - Throws: ``ModelError``: unreadable with the system's reason, limit where there are more bytes.
func bytes(ofFile path: String, atMost limit: Int? = nil) throws(ModelError) -> [UInt8] {
  func fault() -> ModelError { ModelError(.unreadable, systemReason, file: path) }
  let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw fault() }
  defer { close(descriptor) }
  var status = stat()
  guard unsafe fstat(descriptor, &status) == 0 else { throw fault() }
  let size = Int(status.st_size)
  guard size <= limit ?? FileLimit.ofFile else {
    throw FileLimit.fault(limit ?? FileLimit.ofFile).in(file: path)
  }
  // Pipes and devices say 0: they are read until nothing comes.
  var bytes = try read(descriptor, atMost: size, fault)
  while bytes.count >= size {
    let more = try read(descriptor, atMost: 1 << 16, fault)
    if more.isEmpty { break }
    bytes += more
    let most = max(size, limit ?? FileLimit.ofStream)
    guard bytes.count <= most else { throw FileLimit.fault(most).in(file: path) }
  }
  return bytes
}

/// The next bytes of a file, fewer than `count` only at its end.
private func read(
  _ descriptor: Int32, atMost count: Int, _ fault: () -> ModelError
) throws(ModelError) -> [UInt8] {
  var isGood = true
  let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
    while filled < count {
      let size = unsafe read(descriptor, buffer.baseAddress! + filled, count - filled)
      isGood = size >= 0
      guard size > 0 else { return }
      filled += size
    }
  }
  guard isGood else { throw fault() }
  return bytes
}

/// Whether the path names a folder.
func isFolder(_ path: String) -> Bool {
  var status = stat()
  return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
}

/// Whether anything is there.
func fileExists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

/// Makes a folder and those above it, as far as they are missing.
/// - Throws: ``ModelError`` (unreadable) with the system's reason.
func makeFolder(_ path: String) throws(ModelError) {
  guard !isFolder(path) else { return }
  if let slash = path.dropLast().lastIndex(of: "/"), slash != path.startIndex {
    try makeFolder(String(path[..<slash]))
  }
  guard unsafe mkdir(path, 0o777) == 0 || errno == EEXIST else {
    throw ModelError(.unreadable, systemReason, file: path)
  }
}
