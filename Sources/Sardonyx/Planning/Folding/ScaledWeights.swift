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

/// Single-precision weights times the factor of their channel, each product rounded once.
struct ScaledWeights: ByteSource {
  let weights: Tensor
  let factors: [Double]
  let layout: ChannelLayout

  func write(_ range: Range<Int>, to target: UnsafeMutableRawPointer, _ scratch: ScratchPool) {
    let size = MemoryLayout<Float>.stride
    precondition(range.lowerBound % size == 0 && range.count % size == 0)
    let numbers = range.lowerBound / size..<range.upperBound / size
    unsafe weights.storage.withUnalignedBytes(place(of: range), scratch) { source in
      if layout.inner == 1 {
        return unsafe scaleColumns(
          numbers, source, into: target.assumingMemoryBound(to: Float.self))
      }
      layout.forEachRun(in: numbers) { run, _, channel in
        let place = (run.lowerBound - numbers.lowerBound) * size
        unsafe InstructionSet.current.kernels.scale_doubly(
          run.count, source + place, factors[channel],
          (target + place).assumingMemoryBound(to: Float.self))
      }
    }
  }

  /// Neighbouring numbers of different channels.
  private func scaleColumns(
    _ numbers: Range<Int>, _ source: UnsafeRawPointer, into target: UnsafeMutablePointer<Float>
  ) {
    for index in numbers {
      let (outer, channel) = index.quotientAndRemainder(dividingBy: layout.channels)
      let place = index - numbers.lowerBound
      let number = unsafe source.loadUnaligned(
        fromByteOffset: place * MemoryLayout<Float>.stride, as: Float.self)
      unsafe target[place] = Float(Double(number) * factors[layout.firstChannel(outer) + channel])
    }
  }

  func letGo(_ range: Range<Int>) { weights.storage.letGo(place(of: range)) }

  private func place(of range: Range<Int>) -> Range<Int> {
    range.lowerBound + weights.byteOffset..<range.upperBound + weights.byteOffset
  }
}
