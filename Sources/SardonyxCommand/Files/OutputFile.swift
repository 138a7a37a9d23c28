import Sardonyx

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Refuses to write a result over a file that it is made of.
/// - Throws: ``ModelError`` (mismatch) where `path` is one of the files, by whatever name.
func refuse(overwriting path: String, madeOf files: [String]) throws(ModelError) {
  func identity(_ path: String) -> [UInt64]? {
    var status = stat()
    guard unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    return [UInt64(status.st_dev), UInt64(status.st_ino)]
  }
  guard let target = identity(path), let file = files.first(where: { identity($0) == target })
  else { return }
  throw ModelError(
    .mismatch, "the output would overwrite \(file), which it is made from",
    hint: "give it another name", file: path)
}

/// Writes a file whole or not at all: beside its place first, then renamed. A symbolic link is
/// followed: the file it leads to is written.
/// - Throws: ``ModelError`` (unreadable) with the system's reason.
func write(_ bytes: [UInt8], toFile path: String) throws(ModelError) {
  let path = linkTarget(path)
  var status = stat()
  let exists = unsafe stat(path, &status) == 0
  // A pipe or a device cannot be renamed over.
  if exists, status.st_mode & S_IFMT != S_IFREG {
    let descriptor = unsafe open(path, O_WRONLY)
    try fill(descriptor, bytes, path)
    return
  }
  PartialFile.removeOnSignals()
  let temporary = "\(path).\(getpid()).partial"
  unsafe PartialFile.path = strdup(temporary)
  defer {
    unsafe free(PartialFile.path)
    unsafe PartialFile.path = nil
  }
  do throws(ModelError) {
    try fill(unsafe open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666), bytes, path)
  } catch {
    unsafe unlink(temporary)
    throw error
  }
  guard unsafe rename(temporary, path) == 0 else {
    let reason = systemReason
    unsafe unlink(temporary)
    throw ModelError(.unreadable, reason, file: path)
  }
}

/// The file that a path leads to, through as many symbolic links as there are.
private func linkTarget(_ path: String) -> String {
  guard let target = unsafe realpath(path, nil) else { return path }
  defer { unsafe free(target) }
  return unsafe String(cString: target)
}

/// Writes all bytes and closes.
private func fill(
  _ descriptor: Int32, _ bytes: [UInt8], _ path: String
) throws(ModelError) {
  guard descriptor >= 0 else { throw ModelError(.unreadable, systemReason, file: path) }
  var written = 0
  while written < bytes.count {
    let count = unsafe bytes.withUnsafeBytes { source in
      unsafe write(descriptor, source.baseAddress! + written, source.count - written)
    }
    guard count > 0 else {
      let reason = systemReason
      close(descriptor)
      throw ModelError(.unreadable, reason, file: path)
    }
    written += count
  }
  guard close(descriptor) == 0 else { throw ModelError(.unreadable, systemReason, file: path) }
}

/// The file that is being written, which Ctrl-C and its like must not leave behind.
private enum PartialFile {
  /// A C string, because a signal handler may use nothing but plain memory and system calls.
  nonisolated(unsafe) static var path: UnsafeMutablePointer<CChar>?

  static func removeOnSignals() {
    for number in [SIGINT, SIGTERM, SIGHUP, SIGPIPE] {
      signal(number) { number in
        if let path = unsafe PartialFile.path { unsafe unlink(path) }
        signal(number, SIG_DFL)
        raise(number)
      }
    }
  }
}
