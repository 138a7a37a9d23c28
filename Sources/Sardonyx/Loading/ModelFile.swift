import Synchronization

#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
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

  /// Maps a regular file that is not empty, or reads a pipe to its end.
  init(path: String) throws(ModelError) {
    var status = stat()
    // Opening a pipe waits for a writer, as whoever names one expects; nothing else may wait.
    let isPipe = unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | (isPipe ? 0 : O_NONBLOCK))
    guard descriptor >= 0 else {
      throw ModelError(.unreadable, "the file cannot be opened: \(systemMessage())", file: path)
    }
    defer { close(descriptor) }
    guard unsafe fstat(descriptor, &status) == 0 else {
      throw ModelError(.unreadable, "the file cannot be read: \(systemMessage())", file: path)
    }
    let kind = status.st_mode & S_IFMT
    if kind == S_IFIFO {
      self.path = path
      storage = Tensor(try Self.contents(ofPipe: descriptor, path)).storage
      return
    }
    guard kind == S_IFREG else {
      let found = kind == S_IFDIR ? "a folder" : "something else"
      throw ModelError(.unreadable, "expected a file or a pipe, got \(found)", file: path)
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

  /// The bytes that come through a pipe: no more than protobuf allows a message.
  private static func contents(ofPipe descriptor: Int32, _ path: String) throws(ModelError)
    -> [UInt8]
  {
    let limit = Int(Int32.max)
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = unsafe read(descriptor, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else {
        throw ModelError(.unreadable, "the pipe cannot be read: \(systemMessage())", file: path)
      }
      if count == 0 { break }
      bytes += chunk[..<count]
      guard bytes.count <= limit else {
        throw ModelError(.limit, "a pipe: expected at most \(limit) bytes, got more", file: path)
      }
    }
    guard !bytes.isEmpty else { throw ModelError(.malformed, "the pipe is empty", file: path) }
    return bytes
  }
}

/// What the system says of the call that just failed.
func systemMessage() -> String { unsafe String(cString: strerror(errno)) }

/// Pages of a file, given back when the last tensor in them goes.
@safe private final class Mapping: @unchecked Sendable, PageOwner {
  let base: UnsafeRawPointer
  let byteCount: Int
  /// How many bytes of each stretch of the file are not needed for a while.
  private let idle: Mutex<[Int]>

  /// Bytes that go back to the system together. Whoever packs weights tells of each panel: EfficientNet-B0
  /// made 719 calls for its 20 MB, and reading the next panel brought pages of the last one in again.
  private static let stretch = 1 << 20

  init?(_ descriptor: Int32, byteCount: Int) {
    let pages = unsafe mmap(nil, byteCount, PROT_READ, MAP_PRIVATE, descriptor, 0)
    guard let pages = unsafe pages, unsafe pages != MAP_FAILED else { return nil }
    unsafe base = UnsafeRawPointer(pages)
    self.byteCount = byteCount
    idle = Mutex(Array(repeating: 0, count: (byteCount + Self.stretch - 1) / Self.stretch))
  }

  func letGo(_ bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress, unsafe start >= base else { return }
    let first = unsafe start - base
    let end = min(first + bytes.count, byteCount)
    for index in first / Self.stretch..<(end + Self.stretch - 1) / Self.stretch {
      let own = index * Self.stretch..<min((index + 1) * Self.stretch, byteCount)
      let isDone = idle.withLock { idle in
        idle[index] += min(end, own.upperBound) - max(first, own.lowerBound)
        // Between weights lies what is not: names, and constants that nobody packs.
        guard idle[index] >= own.count / 8 * 7 else { return false }
        idle[index] = 0
        return true
      }
      guard isDone else { continue }
      // The end of the stretch before was read after that went, and the system brings in more than is read: a quarter
      // of a file of 520 MB stayed. What is needed all the same comes again from the system's cache.
      let gone = max(0, own.lowerBound - Self.stretch)..<own.upperBound
      unsafe _ = madvise(
        UnsafeMutableRawPointer(mutating: base + gone.lowerBound), gone.count, MADV_DONTNEED)
    }
  }

  deinit { unsafe munmap(UnsafeMutableRawPointer(mutating: base), byteCount) }
}
