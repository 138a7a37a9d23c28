/// The slices along an axis that `indices` names, of numbers of few bits with a scale and a zero point for
/// each block along another axis.
///
/// Numbers of uint8 are `bits` wide, packed along the last axis from the lowest bits of each byte on, and so
/// are their zero points; without those, they count from the middle of their range.
struct GatherBlockQuantized: Operator {
  private let gatherAxis: Int
  private let quantizeAxis: Int
  private let blockSize: Int
  private let bits: Int

  init(_ node: inout NodeReader) throws(ModelError) {
    gatherAxis = try node.int("gather_axis", default: 0)
    quantizeAxis = try node.int("quantize_axis", default: 1)
    blockSize = try node.int("block_size", default: 128)
    guard blockSize >= 16, blockSize & (blockSize - 1) == 0, blockSize <= 1 << 20 else {
      throw node.invalid("block_size", expected: "a power of 2 from 16 on", got: blockSize)
    }
    bits = try node.int("bits", default: 4)
    guard bits == 4 || bits == 8 else {
      throw node.invalid("bits", expected: "4 or 8", got: bits)
    }
  }

  /// Where the numbers lie.
  private struct Layout {
    /// The shape of the numbers, and that of their blocks.
    let data: Shape
    let blocks: Shape
    let gatherAxis: Int
    let quantizeAxis: Int
    /// How many numbers a byte holds, and how many of the zero points along the last axis stand in whole bytes.
    let perByte: Int

    var zeroPointShape: Shape {
      guard let last = blocks.last else { return blocks }
      return blocks.dropLast() + [(last + perByte - 1) / perByte]
    }
  }

  private func layout(_ inputs: Facts) throws(ModelError) -> Layout {
    var data = try inputs.shape(0)
    guard !data.isEmpty else { throw .unexpected("rank of data", expected: "at least 1", got: "0") }
    let type = try inputs.type(0)
    guard [.uint8, .uint4, .int4].contains(type) else {
      throw ModelError(.unsupported, "data: expected uint8, uint4 or int4, got \(type)")
    }
    let perByte = type == .uint8 ? 8 / bits : 1
    let (count, overflow) = data[data.count - 1].multipliedReportingOverflow(by: perByte)
    guard !overflow else {
      throw .unexpected(
        "last axis of data", expected: "a number of bytes that can be counted in halves",
        got: "\(data[data.count - 1])")
    }
    data[data.count - 1] = count
    let layout = Layout(
      data: data, blocks: try blocks(of: data), gatherAxis: try gatherAxis.axis(ofRank: data.count),
      quantizeAxis: try quantizeAxis.axis(ofRank: data.count), perByte: perByte)
    guard layout.gatherAxis != layout.quantizeAxis || perByte == 1 else {
      throw .unexpected(
        "gather_axis",
        expected: "another than quantize_axis, along which bytes hold several numbers",
        got: "\(gatherAxis)")
    }
    guard perByte == 1 || layout.quantizeAxis == data.count - 1 else {
      throw .unexpected(
        "quantize_axis", expected: "the last axis, as bytes hold several numbers",
        got: "\(quantizeAxis)")
    }
    return layout
  }

  private func blocks(of data: Shape) throws(ModelError) -> Shape {
    var blocks = data
    let axis = try quantizeAxis.axis(ofRank: data.count)
    blocks[axis] = (data[axis] + blockSize - 1) / blockSize
    return blocks
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let layout = try layout(inputs)
    let (scales, indices) = (try inputs.shape(2), try inputs.shape(1))
    guard scales == layout.blocks else {
      throw .unexpected(
        "shape of scales", expected: "[\(layout.blocks.joined)]", got: "[\(scales.joined)]")
    }
    if inputs.has(3), try inputs.shape(3) != layout.zeroPointShape {
      throw .unexpected(
        "shape of zero_points", expected: "[\(layout.zeroPointShape.joined)]",
        got: "[\(try inputs.shape(3).joined)]")
    }
    let axis = layout.gatherAxis
    return [
      Fact(
        try inputs.type(2), layout.data[..<axis] + indices + layout.data[(axis + 1)...])
    ]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let layout = try layout(inputs.facts)
    let axis = layout.gatherAxis
    var places: [Int] = []
    for index in inputs.integers(1) {
      places.append(try index.index(within: layout.data[axis]))
    }
    let inner = Shape(layout.data[(axis + 1)...]).elementCount
    let (strides, blockStrides) = (layout.data.strides, layout.blocks.strides)
    let (count, zeroBytes) = (layout.blocks.last ?? 1, layout.zeroPointShape.last ?? 1)
    let scales = inputs[2].converted(to: Float.self)
    let (data, zeros) = (inputs[0].rawBytes, inputs.tensor(3)?.rawBytes)
    let type = inputs[0].type
    let numbers = outputs[0].elementCount
    let values = Interruption.map(numbers, cost: 16 + 8 * strides.count) { place -> Float in
      let (outer, rest) = place.quotientAndRemainder(dividingBy: places.count * inner)
      let offset = (outer * layout.data[axis] + places[rest / inner]) * inner + rest % inner
      var (left, block) = (offset, 0)
      for (index, stride) in strides.enumerated() {
        let coordinate = left / stride
        left %= stride
        block +=
          (index == layout.quantizeAxis ? coordinate / blockSize : coordinate) * blockStrides[index]
      }
      let zero =
        zeros.map { number($0, type, block / count * zeroBytes * layout.perByte + block % count) }
        ?? (type == .uint8 ? Float(1 << (bits - 1)) : 0)
      return (number(data, type, offset) - zero) * scales[block]
    }
    try Interruption.check()
    outputs[0].store(values)
  }

  /// One of the numbers that the bytes of a tensor hold.
  private func number(_ bytes: [UInt8], _ type: ElementType, _ place: Int) -> Float {
    switch type {
    case .uint8:
      let bit = place * bits
      return Float(bytes[bit / 8] >> UInt8(bit % 8) & UInt8((1 << bits) - 1))
    case .int4: return Float(Int8(bitPattern: bytes[place]))
    default: return Float(bytes[place])
    }
  }
}
