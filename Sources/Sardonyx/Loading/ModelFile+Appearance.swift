extension ModelFile {
  /// What a file that cannot be read as a model seems to be, for a hint.
  var appearance: String {
    let start = unsafe Array(
      UnsafeRawBufferPointer(start: storage.base, count: min(byteCount, 32)))
    let known = Self.kinds.first { start.dropFirst($0.offset).starts(with: $0.bytes) }
    guard let known else { return "the file may be damaged, or not an ONNX model at all" }
    return "this is \(known.name), not an ONNX model"
  }

  /// First bytes by which files are known that people take for models.
  private static let kinds: [(name: String, offset: Int, bytes: [UInt8])] = [
    ("a PNG image", 0, [0x89, 0x50, 0x4E, 0x47]),
    ("a JPEG image", 0, [0xFF, 0xD8, 0xFF]),
    ("a ZIP archive (perhaps of PyTorch)", 0, [0x50, 0x4B, 0x03, 0x04]),
    ("a gzip archive", 0, [0x1F, 0x8B]),
    ("a Python pickle (perhaps of PyTorch)", 0, [0x80, 0x02]),
    ("an HDF5 file (perhaps of Keras)", 0, [0x89, 0x48, 0x44, 0x46]),
    ("a NumPy array", 0, [0x93, 0x4E, 0x55, 0x4D]),
    ("a TensorFlow Lite model", 4, Array("TFL3".utf8)),
    ("a model of onnxruntime's own format", 4, Array("ORTM".utf8)),
    ("a GGUF model", 0, Array("GGUF".utf8)),
    ("a pointer of Git LFS (run `git lfs pull`)", 0, Array("version https://git-".utf8)),
    ("a web page", 0, Array("<!DOCTYPE".utf8)),
    ("a web page", 0, Array("<html".utf8)),
  ]
}
