import CKernels

/// The functions of two numbers that exist for every type of `KernelNumber`; integers wrap.
enum Arithmetic: CaseIterable, Sendable { case add, subtract, multiply }

/// A number that kernels add, subtract and multiply.
protocol KernelNumber: BitwiseCopyable, Sendable {
  typealias PairwiseKernel =
    (
      Int, UnsafePointer<Self>, Int, UnsafePointer<Self>, Int, UnsafeMutablePointer<Self>
    ) -> Void

  static func kernel(_ function: Arithmetic, of instructions: InstructionSet) -> PairwiseKernel
}

extension Elementwise {
  /// z[i] = function(x[i·xStep], y[i·yStep]) for i < count, where a step is 0 or 1.
  static func combine<Number: KernelNumber>(
    _ function: Arithmetic, _ count: Int, _ x: UnsafePointer<Number>, step xStep: Int = 1,
    _ y: UnsafePointer<Number>, step yStep: Int = 1, into z: UnsafeMutablePointer<Number>,
    on crew: Crew
  ) {
    nonisolated(unsafe) let (x, y, z) = unsafe (x, y, z)
    nonisolated(unsafe) let kernel = unsafe Number.kernel(function, of: crew.instructions)
    crew.performRanges(of: count, by: 1 << 15) { range in
      let first = range.lowerBound
      unsafe kernel(range.count, x + first * xStep, xStep, y + first * yStep, yStep, z + first)
    }
  }
}

extension Float: KernelNumber {
  static func kernel(_ function: Arithmetic, of instructions: InstructionSet) -> PairwiseKernel {
    switch function {
    case .add: unsafe instructions.kernels.add
    case .subtract: unsafe instructions.kernels.subtract
    case .multiply: unsafe instructions.kernels.multiply
    }
  }
}

extension Double: KernelNumber {
  static func kernel(_ function: Arithmetic, of instructions: InstructionSet) -> PairwiseKernel {
    switch function {
    case .add: unsafe instructions.kernels.add_doubles
    case .subtract: unsafe instructions.kernels.subtract_doubles
    case .multiply: unsafe instructions.kernels.multiply_doubles
    }
  }
}

extension Int32: KernelNumber {
  static func kernel(_ function: Arithmetic, of instructions: InstructionSet) -> PairwiseKernel {
    switch function {
    case .add: unsafe instructions.kernels.add_int32
    case .subtract: unsafe instructions.kernels.subtract_int32
    case .multiply: unsafe instructions.kernels.multiply_int32
    }
  }
}

extension Int64: KernelNumber {
  static func kernel(_ function: Arithmetic, of instructions: InstructionSet) -> PairwiseKernel {
    switch function {
    case .add: unsafe instructions.kernels.add_int64
    case .subtract: unsafe instructions.kernels.subtract_int64
    case .multiply: unsafe instructions.kernels.multiply_int64
    }
  }
}
