/// Conversions between single precision and a 16-bit type, put in by a pass.
enum HalfConversion: Operator {
  case widening(ElementType)
  case narrowing(ElementType)
  /// To the numbers of the 16-bit type, but in single precision.
  case rounding(ElementType)

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    if case .narrowing(let type) = self { return [Fact(type, shape)] }
    return [Fact(.float, shape)]
  }

  var reusableInput: Int? {
    if case .rounding = self { 0 } else { nil }
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let count = try inputs.shape(0).elementCount
    switch self {
    case .widening(let type):
      return { addresses, crew in
        unsafe HalfKernels.widen(
          count, addresses.input(0), from: type, into: addresses.output(), on: crew)
      }
    case .narrowing(let type):
      return { addresses, crew in
        unsafe HalfKernels.narrow(
          count, addresses.input(0), to: type, into: addresses.output(), on: crew)
      }
    case .rounding(let type):
      return { addresses, crew in
        unsafe HalfKernels.round(
          count, addresses.input(0), to: type, into: addresses.output(), on: crew)
      }
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    _ = try compute(inputs, outputs)
  }
}
