#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// Writes a file under another name beside it and gives it its name when it is complete, so that
/// nobody ever sees half of it.
func replaceFile(
  _ path: String,
  _ content: ((UnsafeRawBufferPointer) throws(ModelError) -> Void) throws(ModelError) -> Void
) throws(ModelError) {
  func fault() -> ModelError {
    ModelError(.unreadable, "the file cannot be written: \(systemMessage())", file: path)
  }
  let temporary = "\(path).\(getpid())"
  let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
  guard descriptor >= 0 else { throw fault() }
  do throws(ModelError) {
    defer { close(descriptor) }
    try unsafe content { (block) throws(ModelError) in
      var written = 0
      while written < block.count {
        let count = unsafe write(descriptor, block.baseAddress! + written, block.count - written)
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { throw fault() }
        written += count
      }
    }
  } catch {
    unsafe unlink(temporary)
    throw error
  }
  guard unsafe rename(temporary, path) == 0 else {
    let fault = fault()
    unsafe unlink(temporary)
    throw fault
  }
}
