#if canImport(Glibc)
  private import Glibc
#else
  private import Darwin
#endif

/// The bytes of a model or of its external data: a file mapped read-only, or given by the caller.
///
/// Tensors refer into the mapping, which lives as long as any of them. A file that another program
/// shortens meanwhile takes its pages away; replacing a model by renaming is safe.
struct ModelFile: Sendable {
  /// nil for bytes.
  let path: String?
  let storage: Storage

  var byteCount: Int { storage.byteCount }

  init(bytes: [UInt8]) {
    path = nil
    storage = Tensor(bytes).storage
  }

  /// Maps a regular file that is not empty.
  init(path: String) throws(ModelError) {
    // Without O_NONBLOCK, opening a pipe would wait for a writer.
    let descriptor = unsafe open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw ModelError(.unreadable, "the file cannot be opened: \(systemMessage())", file: path)
    }
    defer { close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else {
      throw ModelError(.unreadable, "the file cannot be read: \(systemMessage())", file: path)
    }
    let kind = status.st_mode & S_IFMT
    guard kind == S_IFREG else {
      let found = kind == S_IFDIR ? "a folder" : "something else"
      throw ModelError(.unreadable, "expected a file, got \(found)", file: path)
    }
    guard status.st_size > 0 else { throw ModelError(.malformed, "the file is empty", file: path) }
    let mapping = Mapping(descriptor, byteCount: Int(status.st_size))
    guard let mapping else {
      throw ModelError(.unreadable, "the file cannot be mapped: \(systemMessage())", file: path)
    }
    self.path = path
    storage = unsafe Storage(
      borrowing: mapping.base, byteCount: mapping.byteCount, owner: mapping)
  }
}

/// What the system says of the call that just failed.
func systemMessage() -> String { unsafe String(cString: strerror(errno)) }

/// Pages of a file, given back when the last tensor in them goes.
@safe private final class Mapping: @unchecked Sendable {
  let base: UnsafeRawPointer
  let byteCount: Int

  init?(_ descriptor: Int32, byteCount: Int) {
    let pages = unsafe mmap(nil, byteCount, PROT_READ, MAP_PRIVATE, descriptor, 0)
    guard let pages = unsafe pages, unsafe pages != MAP_FAILED else { return nil }
    unsafe base = UnsafeRawPointer(pages)
    self.byteCount = byteCount
  }

  deinit { unsafe munmap(UnsafeMutableRawPointer(mutating: base), byteCount) }
}
