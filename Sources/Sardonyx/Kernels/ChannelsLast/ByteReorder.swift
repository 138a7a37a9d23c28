import CKernels

/// Bytes [N, C, spatial…] from or to unsigned bytes [N, spatial…, C].
///
/// A signed byte becomes that byte with its highest bit turned over: 128 more, as is then its zero point.
enum ByteReorder {
  /// Brings the channels to the end.
  static func channelsLast(
    _ shape: Shape, isSigned: Bool, _ x: UnsafePointer<UInt8>, into y: UnsafeMutablePointer<UInt8>,
    on crew: Crew
  ) {
    unsafe reorder(
      shape[0], shape[1], shape.dropFirst(2).reduce(1, *), isSigned, x, into: y, on: crew)
  }

  /// Brings the channels behind the batch.
  static func channelsFirst(
    _ shape: Shape, isSigned: Bool, _ x: UnsafePointer<UInt8>, into y: UnsafeMutablePointer<UInt8>,
    on crew: Crew
  ) {
    unsafe reorder(
      shape[0], shape.dropFirst(2).reduce(1, *), shape[1], isSigned, x, into: y, on: crew)
  }

  /// Each of some matrices transposed.
  private static func reorder(
    _ count: Int, _ rows: Int, _ columns: Int, _ isSigned: Bool, _ x: UnsafePointer<UInt8>,
    into y: UnsafeMutablePointer<UInt8>, on crew: Crew
  ) {
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    let size = rows * columns
    guard size > 0 else { return }
    if rows == 1 || columns == 1 {
      return crew.performRanges(of: count * size, by: 1 << 15) { range in
        unsafe crew.instructions.kernels.flip_bytes(
          range.count, x + range.lowerBound, isSigned ? 0x80 : 0, y + range.lowerBound)
      }
    }
    if (2...4).contains(rows) {
      return crew.performRanges(of: count * columns, by: 1 << 14) { range in
        var first = range.lowerBound
        while first < range.upperBound {
          let (matrix, column) = first.quotientAndRemainder(dividingBy: columns)
          let length = min(columns - column, range.upperBound - first)
          unsafe crew.instructions.kernels.interleave_bytes(
            length, rows, x + matrix * size + column, columns, isSigned ? 0x80 : 0,
            y + matrix * size + column * rows)
          first += length
        }
      }
    }
    // Bands of the longer side, so that threads can divide a single image.
    let band = max(64, (1 << 15) / rows)
    let bands = (columns + band - 1) / band
    crew.perform(count * bands) { chunk in
      let (matrix, index) = chunk.quotientAndRemainder(dividingBy: bands)
      let range = index * band..<min(columns, (index + 1) * band)
      let to = unsafe y + matrix * size + range.lowerBound * rows
      let kernels = unsafe crew.instructions.kernels
      unsafe kernels.transpose_bytes(
        rows, range.count, x + matrix * size + range.lowerBound, columns, to, rows)
      if isSigned { unsafe kernels.flip_bytes(range.count * rows, to, 0x80, to) }
    }
  }
}
