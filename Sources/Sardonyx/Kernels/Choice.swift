extension Broadcast {
  /// z = condition ? x : y for three tensors that have this broadcast's shapes; x, y and z have one
  /// type, whatever it is.
  func choose(by condition: Tensor, _ x: Tensor, _ y: Tensor, into z: Destination) {
    switch z.type.byteCount {
    case 1: choose(by: condition, x, y, into: z, as: UInt8.self)
    case 2: choose(by: condition, x, y, into: z, as: UInt16.self)
    case 4: choose(by: condition, x, y, into: z, as: UInt32.self)
    case 8: choose(by: condition, x, y, into: z, as: UInt64.self)
    default: choose(by: condition, x, y, into: z, as: UInt128.self)
    }
  }

  private func choose<Bits: BitwiseCopyable>(
    by condition: Tensor, _ x: Tensor, _ y: Tensor, into z: Destination, as _: Bits.Type
  ) {
    unsafe choose(
      by: condition.pointer(as: UInt8.self), x.pointer(as: Bits.self), y.pointer(as: Bits.self),
      into: z.pointer(as: Bits.self))
  }

  func choose<Bits: BitwiseCopyable>(
    by conditions: UnsafePointer<UInt8>, _ xs: UnsafePointer<Bits>, _ ys: UnsafePointer<Bits>,
    into z: UnsafeMutablePointer<Bits>
  ) {
    guard elementCount > 0 else { return }
    var target = unsafe z
    let (length, steps) = (rowLength, (step(of: 0), step(of: 1), step(of: 2)))
    var interruption = Interruption()
    for row in 0..<rowCount {
      let condition = unsafe conditions + start(ofRow: row, in: 0)
      let x = unsafe xs + start(ofRow: row, in: 1)
      let y = unsafe ys + start(ofRow: row, in: 2)
      if length < 1 << 12 {
        if interruption.isDue(after: 2 &* length) { return }
        unsafe Self.choose(0..<length, condition, x, y, steps, into: target)
      } else {
        nonisolated(unsafe) let (condition, x, y, row) = unsafe (condition, x, y, target)
        Interruption.inStretches(of: length) {
          unsafe Self.choose($0, condition, x, y, steps, into: row)
        }
      }
      unsafe target += length
    }
  }

  private static func choose<Bits: BitwiseCopyable>(
    _ range: Range<Int>, _ condition: UnsafePointer<UInt8>, _ x: UnsafePointer<Bits>,
    _ y: UnsafePointer<Bits>, _ steps: (Int, Int, Int), into target: UnsafeMutablePointer<Bits>
  ) {
    for index in range {
      let isChosen = unsafe condition[index * steps.0] != 0
      unsafe target[index] = isChosen ? x[index * steps.1] : y[index * steps.2]
    }
  }
}
