extension UnaryFunction.Kernel {
  /// The function of so many single-precision numbers.
  func computation(_ count: Int) -> Computation {
    let (function, alpha, beta) = (function, alpha, beta)
    return { addresses, crew in
      unsafe Elementwise.map(
        function, count, addresses.input(0), into: addresses.output(), alpha: alpha, beta: beta,
        on: crew)
    }
  }
}

extension Broadcast {
  /// The function of single-precision numbers that line up so.
  func computation(_ function: Binary) -> Computation {
    let (count, length, steps) = (elementCount, rowLength, (step(of: 0), step(of: 1)))
    guard count > 0 else { return { _, _ in } }
    guard rowCount > 1 else {
      return { addresses, crew in
        unsafe Elementwise.combine(
          function, length, addresses.input(0), step: steps.0, addresses.input(1), step: steps.1,
          into: addresses.output(), on: crew)
      }
    }
    return { addresses, crew in
      unsafe Elementwise.combineRows(
        function, rows: rowCount, length, addresses.input(0), step: steps.0, addresses.input(1),
        step: steps.1, into: addresses.output(), on: crew
      ) { row in (start(ofRow: row, in: 0), start(ofRow: row, in: 1)) }
    }
  }
}
