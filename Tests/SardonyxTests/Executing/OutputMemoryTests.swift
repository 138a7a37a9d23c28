import Testing

@testable import Sardonyx

@Suite struct OutputMemoryTests {
  private func session(_ nodes: [NodeDefinition], _ type: ElementType = .float) throws -> Session {
    try Session(
      model(
        graph([declared("x", type, [-1])], nodes, [declared("y", type, [-1])])))
  }

  private let input = ["x": Value.tensor(Tensor([1, -2, 3] as [Float]))]

  /// Runs into memory of so many bytes, `offset` bytes behind an aligned address.
  /// - Returns: the memory as it is then, and whether the output lies there.
  private func run(_ session: Session, byteCount: Int, offset: Int = 0) throws
    -> (bytes: [UInt8], liesThere: Bool)
  {
    let block = UnsafeMutableRawBufferPointer.allocate(
      byteCount: byteCount + offset, alignment: 64)
    defer { unsafe block.deallocate() }
    let memory = unsafe UnsafeMutableRawBufferPointer(rebasing: block[offset...])
    for index in memory.indices { unsafe memory[index] = 0xAA }
    let results = try unsafe session.run(input, into: ["y": memory])
    let place = unsafe results["y"]!.tensor!.unalignedBytes.baseAddress
    return unsafe (Array(memory), place == UnsafeRawPointer(memory.baseAddress))
  }

  private let expected: [UInt8] = Tensor([2, 0, 6] as [Float]).rawBytes

  @Test("The last step writes an output where the caller wants it, and nothing behind it")
  func outputsLieInTheCallersMemory() throws {
    let session = try session([node("Add", ["x", "x"], ["s"]), node("Relu", ["s"], ["y"])])
    for _ in 0..<3 {
      let (bytes, liesThere) = try run(session, byteCount: 20)
      #expect(bytes == expected + [UInt8](repeating: 0xAA, count: 8))
      #expect(liesThere)
    }
    #expect(try session.run(input)["y"]?.tensor?.rawBytes == expected)
  }

  @Test func memoryThatIsNotAlignedIsWrittenToo() throws {
    let session = try session([node("Add", ["x", "x"], ["s"]), node("Relu", ["s"], ["y"])])
    #expect(try run(session, byteCount: 12, offset: 1).bytes == expected)
  }

  @Test("Outputs that no step writes are copied: inputs handed on, and constants")
  func outputsWithoutAStepAreCopied() throws {
    let identity = try session([node("Identity", ["x"], ["y"])])
    #expect(try run(identity, byteCount: 12).bytes == Tensor([1, -2, 3] as [Float]).rawBytes)
    let shape = try Session(
      model(
        graph(
          [declared("x", .float, [3])], [node("Shape", ["x"], ["y"])], [declared("y", .int64, [1])])
      ))
    #expect(try run(shape, byteCount: 8).bytes == Tensor([3] as [Int64]).rawBytes)
  }

  @Test("Outputs whose size the run tells are copied")
  func outputsOfUnknownSizeAreCopied() throws {
    let session = try Session(
      model(
        graph(
          [declared("x", .float, [-1])], [node("NonZero", ["x"], ["y"])],
          [declared("y", .int64, [1, -1])])))
    #expect(try run(session, byteCount: 24).bytes == Tensor([0, 1, 2] as [Int64]).rawBytes)
  }

  @Test("An output that is another one under a second name does not lie in that one's memory")
  func outputsComeApart() throws {
    let session = try Session(
      model(
        graph(
          [declared("x", .float, [-1])],
          [node("Relu", ["x"], ["y"]), node("Identity", ["y"], ["z"])],
          [declared("y", .float, [-1]), declared("z", .float, [-1])])))
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 12, alignment: 64)
    defer { unsafe memory.deallocate() }
    let results = try unsafe session.run(input, into: ["y": memory])
    unsafe memory.copyBytes(from: [UInt8](repeating: 0, count: 12))
    #expect(results["y"]?.tensor?.array(of: Float.self) == [0, 0, 0])
    #expect(results["z"]?.tensor?.array(of: Float.self) == [1, 0, 3])
  }

  @Test func memoryTooSmallIsRefused() throws {
    let session = try session([node("Relu", ["x"], ["y"])])
    let error = #expect(throws: ModelError.self) { try run(session, byteCount: 11) }
    #expect(
      error?.message
        == "memory for output \"y\": expected 12 bytes or more for float[3], got 11")
  }

  @Test func memoryOfAnInputOrForNothingIsRefused() throws {
    let session = try session([node("Relu", ["x"], ["y"])])
    let tensor = Tensor([1, -2, 3] as [Float])
    let place = unsafe UnsafeMutableRawBufferPointer(
      start: UnsafeMutableRawPointer(mutating: tensor.bytes), count: 12)
    let overlap = #expect(throws: ModelError.self) {
      try unsafe session.run(["x": .tensor(tensor)], into: ["y": place])
    }
    #expect(
      overlap?.message == "output \"y\": expected memory of its own, got some of input \"x\"")
    let unknown = #expect(throws: ModelError.self) {
      try unsafe session.run(input, into: ["z": place])
    }
    #expect(unknown?.message == "memory for output \"z\": expected one of \"y\", got \"z\"")
  }

  @Test func textsHaveNoPlaceInMemory() throws {
    let session = try Session(
      model(
        graph(
          [declared("x", .float, [-1])], [node("Cast", ["x"], ["y"], ["to": .int(8)])],
          [declared("y", .string, [-1])])))
    let error = #expect(throws: ModelError.self) { try run(session, byteCount: 64) }
    #expect(
      error?.message
        == "output \"y\": expected a tensor of plain bytes for the memory given, got string")
  }
}

@Suite struct CancellationTests {
  private func endless() throws -> Session {
    let step = graph(
      [declared("i", .int64, []), declared("c", .bool, []), declared("v", .float, [1])],
      [
        node("Identity", ["c"], ["on"]), node("Relu", ["v"], ["w"]),
      ], [declared("on", .bool, []), declared("w", .float, [1])])
    return try Session(
      model(
        graph(
          [declared("x", .float, [1])],
          [node("Loop", ["n", "", "x"], ["y"], ["body": .graph(step)])],
          [declared("y", .float, [1])],
          constants: ["n": Tensor(scalar: Int64.max)])))
  }

  @Test func aRunEndsWhenAnotherThreadCancelsIt() throws {
    let session = try endless()
    let cancellation = Cancellation()
    Crew.performElsewhere { cancellation.cancel() }
    for _ in 0..<2 {
      let error = #expect(throws: ModelError.self) {
        try session.run(
          ["x": .tensor(Tensor([1] as [Float]))], cancellation: cancellation)
      }
      #expect(error?.code == .cancelled)
      #expect(cancellation.isCancelled)
    }
  }
}
