import CKernels
import Synchronization

extension Tensor {
  /// The largest magnitude of single-precision numbers; NaN where there is one.
  var largestMagnitude: Float {
    let (source, count) = (PackingSource(self), elementCount)
    let largest = Mutex<Float>(0)
    let pieces = (count + PackingSource.pieceCount - 1) / PackingSource.pieceCount
    PackingSource.perform(pieces) { piece in
      let first = piece * PackingSource.pieceCount
      let range = first..<min(first + PackingSource.pieceCount, count)
      unsafe source.withNumbers(range) { numbers in
        let kernels = unsafe InstructionSet.current.kernels
        let own = unsafe max(
          kernels.row_maximum(range.count, numbers), -kernels.row_minimum(range.count, numbers))
        largest.withLock { if !(own <= $0) && !$0.isNaN { $0 = own } }
      }
    }
    return largest.withLock { $0 }
  }
}

/// Numbers that the channels of a weight tensor are multiplied by.
struct ChannelFactors {
  let numbers: [Double]
  let layout: ChannelLayout

  /// Multiplies the weights of a range.
  func multiply(_ weights: inout [Double], in range: Range<Int>) {
    layout.forEachRun(in: range) { run, _, channel in
      for position in run { weights[position - range.lowerBound] *= numbers[channel] }
    }
  }
}

/// Weights as the model has them and the factors that folds have multiplied them by, so that the product of
/// all is rounded once.
struct UnroundedWeights {
  let tensor: Tensor
  private(set) var factors: [ChannelFactors] = []

  init(_ tensor: Tensor) { self.tensor = tensor }

  mutating func multiply(by numbers: [Double], _ layout: ChannelLayout) {
    guard let last = factors.last, last.layout == layout else {
      return factors.append(ChannelFactors(numbers: numbers, layout: layout))
    }
    let products = zip(last.numbers, numbers).map { $0 * $1 }
    factors[factors.count - 1] = ChannelFactors(numbers: products, layout: layout)
  }

  /// Multiplies the weights of a range by all factors.
  func scale(_ weights: inout [Double], in range: Range<Int>) {
    for factors in factors { factors.multiply(&weights, in: range) }
  }
}

/// Single-precision weights times the factors of their channels, each product rounded once.
struct ScaledWeights: ByteSource {
  let weights: Tensor
  /// One or more.
  let factors: [ChannelFactors]

  init(_ unrounded: UnroundedWeights) {
    weights = unrounded.tensor
    factors = unrounded.factors
  }

  func write(_ range: Range<Int>, to target: UnsafeMutableRawPointer, _ scratch: ScratchPool) {
    let size = MemoryLayout<Float>.stride
    precondition(range.lowerBound % size == 0 && range.count % size == 0)
    let numbers = range.lowerBound / size..<range.upperBound / size
    unsafe weights.storage.withUnalignedBytes(place(of: range), scratch) { source in
      if factors.count > 1 {
        return unsafe scaleOften(numbers, source, into: target.assumingMemoryBound(to: Float.self))
      }
      let (scale, layout) = (factors[0].numbers, factors[0].layout)
      if layout.inner == 1 {
        return unsafe scaleColumns(
          numbers, source, into: target.assumingMemoryBound(to: Float.self))
      }
      layout.forEachRun(in: numbers) { run, _, channel in
        let place = (run.lowerBound - numbers.lowerBound) * size
        unsafe InstructionSet.current.kernels.scale_doubly(
          run.count, source + place, scale[channel],
          (target + place).assumingMemoryBound(to: Float.self))
      }
    }
  }

  /// By the factors of several axes.
  private func scaleOften(
    _ range: Range<Int>, _ source: UnsafeRawPointer, into target: UnsafeMutablePointer<Float>
  ) {
    let size = MemoryLayout<Float>.stride
    var products = (0..<range.count).map {
      unsafe Double(source.loadUnaligned(fromByteOffset: $0 * size, as: Float.self))
    }
    for factors in factors { factors.multiply(&products, in: range) }
    for (place, product) in products.enumerated() { unsafe target[place] = Float(product) }
  }

  /// Neighbouring numbers of different channels.
  private func scaleColumns(
    _ numbers: Range<Int>, _ source: UnsafeRawPointer, into target: UnsafeMutablePointer<Float>
  ) {
    let (scale, layout) = (factors[0].numbers, factors[0].layout)
    for index in numbers {
      let (outer, channel) = index.quotientAndRemainder(dividingBy: layout.channels)
      let place = index - numbers.lowerBound
      let number = unsafe source.loadUnaligned(
        fromByteOffset: place * MemoryLayout<Float>.stride, as: Float.self)
      unsafe target[place] = Float(Double(number) * scale[layout.firstChannel(outer) + channel])
    }
  }

  func letGo(_ range: Range<Int>) { weights.storage.letGo(place(of: range)) }

  private func place(of range: Range<Int>) -> Range<Int> {
    range.lowerBound + weights.byteOffset..<range.upperBound + weights.byteOffset
  }
}
