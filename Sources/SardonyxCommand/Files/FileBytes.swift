import Sardonyx
import SardonyxData

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// What the system last said was wrong.
var systemReason: String { unsafe String(cString: strerror(errno)) }

/// The bytes of a file, or of standard input for `-`.
/// - Parameter limit: how many bytes are read at most; by default a part of the memory.
/// - Throws: ``ModelError``: unreadable with the system's reason, limit where there are more bytes.
func bytes(ofFile path: String, atMost limit: Int? = nil) throws(ModelError) -> [UInt8] {
  let isStandard = path == "-"
  func fault() -> ModelError {
    ModelError(.unreadable, systemReason, file: isStandard ? "standard input" : path)
  }
  let descriptor = isStandard ? STDIN_FILENO : unsafe open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw fault() }
  defer { if !isStandard { close(descriptor) } }
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

/// The files in a folder, hidden ones and folders left out, by name.
/// - Throws: ``ModelError`` (unreadable) with the system's reason.
func filesIn(folder path: String) throws(ModelError) -> [String] {
  guard let stream = unsafe opendir(path) else {
    throw ModelError(.unreadable, systemReason, file: path)
  }
  defer { unsafe closedir(stream) }
  var names: [String] = []
  while let entry = unsafe readdir(stream) {
    let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
      unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
    }
    if !name.hasPrefix("."), !isFolder("\(path)/\(name)") { names.append(name) }
  }
  return names.sorted().map { path.hasSuffix("/") ? path + $0 : "\(path)/\($0)" }
}

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
