import CZip
public import Sardonyx

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// NumPy's archive of named arrays: a zip file of `NAME.npy`.
public enum NPZ {
  /// Whether bytes begin as an archive does.
  public static func isNPZ(_ bytes: [UInt8]) -> Bool {
    bytes.starts(with: [0x50, 0x4B, 3, 4]) || bytes.starts(with: [0x50, 0x4B, 5, 6])
  }

  /// The arrays whose names are wanted, in the archive's order.
  /// - Throws: ``ModelError``: malformed, or what ``NPY/read(_:)`` throws.
  public static func read(
    _ bytes: [UInt8], where isWanted: (String) -> Bool = { _ in true }
  ) throws(ModelError) -> [(name: String, tensor: Tensor)] {
    let archive = try ZipArchive(reading: bytes)
    defer { archive.close() }
    var arrays: [(name: String, tensor: Tensor)] = []
    let members = try archive.names().map { $0.hasSuffix(".npy") ? String($0.dropLast(4)) : $0 }
    let originals = try originalNames(archive, members)
    for (index, member) in members.enumerated() where member != indexName {
      let name = originals[member] ?? member
      guard isWanted(name) else { continue }
      do throws(ModelError) {
        arrays.append((name, try NPY.read(try archive.contents(index))))
      } catch {
        var named = error
        named.message = "array \"\(name)\": \(error.message)"
        throw named
      }
    }
    return arrays
  }

  /// The array that tells, row by row, a member's name and the name of the array it holds, for names
  /// that could lead out of the folder they are unpacked in.
  static let indexName = "sardonyx.names"

  /// A name without separators of paths and control characters that no other member has.
  private static func uniqueMember(_ name: String, _ taken: inout Set<String>) -> String {
    var member = String.UnicodeScalarView()
    for scalar in name.unicodeScalars {
      let isUnsafe = scalar.steers || "/\\".unicodeScalars.contains(scalar)
      member.append(isUnsafe ? "_" : scalar)
    }
    if member.isEmpty || member.first == "." { member.insert("_", at: member.startIndex) }
    var unique = String(member)
    var suffix = 1
    while !taken.insert(unique).inserted {
      suffix += 1 + suffix / 8
      unique = "\(String(member))_\(suffix)"
    }
    return unique
  }

  /// What the index says of the members' names, if there is one.
  private static func originalNames(_ archive: ZipArchive, _ members: [String])
    throws(ModelError) -> [String: String]
  {
    guard let position = members.firstIndex(of: indexName),
      let names = try? NPY.read(try archive.contents(position)).strings()
    else { return [:] }
    let pairs = stride(from: 0, to: names.count - 1, by: 2).map { (names[$0], names[$0 + 1]) }
    return Dictionary(pairs, uniquingKeysWith: { first, _ in first })
  }

  /// An archive's bytes of named arrays, uncompressed; none make an empty archive.
  /// - Throws: ``ModelError``: what ``NPY/write(_:)`` throws, or limit.
  public static func write(_ arrays: [(name: String, tensor: Tensor)]) throws(ModelError) -> [UInt8]
  {
    // libzip makes no archive of nothing; this is the end of one, which is all there is of it.
    guard !arrays.isEmpty else { return [0x50, 0x4B, 5, 6] + [UInt8](repeating: 0, count: 18) }
    let archive = try ZipArchive()
    var taken: Set<String> = [indexName]
    var renamed: [String] = []
    for (name, tensor) in arrays {
      let member = uniqueMember(name, &taken)
      if member != name { renamed += [member, name] }
      try archive.add("\(member).npy", try NPY.write(tensor))
    }
    if !renamed.isEmpty {
      let index = try Tensor(strings: renamed, shape: [renamed.count / 2, 2])
      try archive.add("\(indexName).npy", try NPY.write(index))
    }
    return try archive.finish()
  }
}

/// A zip archive in memory, through libzip.
@safe private struct ZipArchive {
  private let archive: OpaquePointer
  private let source: OpaquePointer
  /// What is being read must stay where it is.
  private let bytes: ReadBytes?

  /// A copy of the archive's bytes, which libzip reads as long as it is open.
  @safe private final class ReadBytes {
    let buffer: UnsafeMutableRawBufferPointer

    init(_ bytes: [UInt8]) {
      unsafe buffer = .allocate(byteCount: bytes.count, alignment: 16)
      unsafe buffer.copyBytes(from: bytes)
    }

    deinit { unsafe buffer.deallocate() }
  }

  init(reading contents: [UInt8]) throws(ModelError) {
    let bytes = ReadBytes(contents)
    self.bytes = bytes
    unsafe (archive, source) = unsafe try Self.open(bytes.buffer, flags: ZIP_RDONLY)
  }

  /// An empty archive to write.
  init() throws(ModelError) {
    bytes = nil
    let empty = unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
    unsafe (archive, source) = unsafe try Self.open(empty, flags: ZIP_TRUNCATE)
  }

  private static func open(
    _ buffer: UnsafeMutableRawBufferPointer, flags: Int32
  ) throws(ModelError) -> (OpaquePointer, OpaquePointer) {
    var error = unsafe zip_error_t()
    unsafe zip_error_init(&error)
    defer { unsafe zip_error_fini(&error) }
    guard
      let source = unsafe zip_source_buffer_create(
        buffer.baseAddress, zip_uint64_t(buffer.count), 0, &error),
      let archive = unsafe zip_open_from_source(source, flags, &error)
    else {
      let reason = unsafe String(cString: zip_error_strerror(&error))
      throw ModelError(.malformed, "NumPy archive: \(reason)")
    }
    return unsafe (archive, source)
  }

  /// Gives up the archive, unwritten.
  func close() { unsafe zip_discard(archive) }

  private var fault: ModelError {
    ModelError(.malformed, "NumPy archive: \(unsafe String(cString: zip_strerror(archive)))")
  }

  func names() throws(ModelError) -> [String] {
    let count = unsafe zip_get_num_entries(archive, 0)
    var names: [String] = []
    for index in 0..<max(0, count) {
      guard let name = unsafe zip_get_name(archive, zip_uint64_t(index), ZIP_FL_ENC_GUESS) else {
        throw fault
      }
      names.append(unsafe String(cString: name))
    }
    return names
  }

  /// The bytes of an entry, whatever size its header claims; a limit of them, whatever they unpack
  /// to.
  func contents(_ index: Int) throws(ModelError) -> [UInt8] {
    guard let file = unsafe zip_fopen_index(archive, zip_uint64_t(index), 0) else { throw fault }
    defer { unsafe _ = zip_fclose(file) }
    var bytes: [UInt8] = []
    let limit = FileLimit.ofStream
    var chunk = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = unsafe zip_fread(file, &chunk, zip_uint64_t(chunk.count))
      guard count >= 0 else {
        throw ModelError(
          .malformed, "NumPy archive: \(unsafe String(cString: zip_file_strerror(file)))")
      }
      if count == 0 { return bytes }
      bytes += chunk[..<Int(count)]
      guard bytes.count <= limit else { throw FileLimit.fault(limit) }
    }
  }

  /// Adds an entry as NumPy does: uncompressed. Its date is fixed, so that equal arrays make equal
  /// archives.
  func add(_ name: String, _ contents: [UInt8]) throws(ModelError) {
    guard let copy = unsafe malloc(contents.count) else {
      throw ModelError(.limit, "NumPy archive: there is not enough memory")
    }
    unsafe contents.withUnsafeBytes {
      unsafe copy.copyMemory(from: $0.baseAddress!, byteCount: $0.count)
    }
    // libzip frees the copy.
    let size = zip_uint64_t(contents.count)
    guard let entry = unsafe zip_source_buffer(archive, copy, size, 1) else { throw fault }
    let index = unsafe zip_file_add(archive, name, entry, ZIP_FL_ENC_UTF_8)
    guard index >= 0 else {
      unsafe zip_source_free(entry)
      throw fault
    }
    let (firstOfJanuary1980, midnight) = (zip_uint16_t(1 << 5 | 1), zip_uint16_t(0))
    unsafe zip_set_file_compression(archive, zip_uint64_t(index), ZIP_CM_STORE, 0)
    unsafe zip_file_set_dostime(archive, zip_uint64_t(index), midnight, firstOfJanuary1980, 0)
  }

  /// The whole archive's bytes; it is closed then.
  func finish() throws(ModelError) -> [UInt8] {
    unsafe zip_source_keep(source)
    defer { unsafe zip_source_free(source) }
    guard unsafe zip_close(archive) == 0 else {
      let fault = fault
      close()
      throw fault
    }
    var status = unsafe zip_stat_t()
    guard unsafe zip_source_stat(source, &status) == 0, unsafe zip_source_open(source) == 0 else {
      throw ModelError(.unreadable, "NumPy archive: it cannot be written")
    }
    defer { unsafe zip_source_close(source) }
    var bytes = [UInt8](repeating: 0, count: unsafe Int(status.size))
    let count = unsafe zip_source_read(source, &bytes, zip_uint64_t(bytes.count))
    guard count == bytes.count else {
      throw ModelError(.unreadable, "NumPy archive: it cannot be written")
    }
    return bytes
  }
}
