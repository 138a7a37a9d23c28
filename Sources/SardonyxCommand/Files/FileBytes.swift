import Sardonyx

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// What the system last said was wrong.
var systemReason: String { unsafe String(cString: strerror(errno)) }

/// The bytes of a file.
/// - Throws: ``ModelError`` (unreadable) with the system's reason.
func bytes(ofFile path: String) throws(ModelError) -> [UInt8] {
  func fault() -> ModelError { ModelError(.unreadable, systemReason, file: path) }
  let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw fault() }
  defer { close(descriptor) }
  var status = stat()
  guard unsafe fstat(descriptor, &status) == 0 else { throw fault() }
  var bytes: [UInt8] = []
  // Pipes say 0; the last read that finds nothing ends either kind.
  var chunk = [UInt8](repeating: 0, count: max(1 << 16, Int(status.st_size) + 1))
  while true {
    let count = unsafe read(descriptor, &chunk, chunk.count)
    guard count >= 0 else { throw fault() }
    if count == 0 { return bytes }
    bytes.append(contentsOf: chunk[..<count])
  }
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
