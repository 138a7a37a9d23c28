import Testing

@testable import Sardonyx

/// Operators with long lists of rows, places or products end in order where the run was due before they began: such
/// lists then have fewer entries, or none.
struct DueRunsTests {
  private static func long(_ type: ElementType, _ rest: Int...) -> Tensor {
    Tensor(zeros: type, [1 << 18] + rest)
  }

  static let calls: [InterruptionTests.Call] = [
    .init(name: "TopK", opset: 11, outputs: 2) { [long(.float, 2), Tensor([1] as [Int64])] },
    .init(name: "TopK", attributes: ["axis": .int(0)], opset: 11, outputs: 2) {
      [long(.float, 2), Tensor([1 << 17] as [Int64])]
    },
    .init(name: "DFT", opset: 20) { [long(.float, 4, 1)] },
    .init(name: "DFT", opset: 20) { [long(.double, 4, 2)] },
    .init(name: "DFT", opset: 20) { [long(.float, 3, 2)] },
    .init(name: "MatMul") { [long(.float, 1, 2), long(.float, 2, 1)] },
    .init(name: "MatMul") { [long(.int64, 1, 2), long(.int64, 2, 1)] },
    .init(name: "MatMulInteger") { [long(.uint8, 1, 2), long(.uint8, 2, 1)] },
    .init(name: "ConvTranspose") {
      [Tensor(zeros: .float, [1, 1, 1, 4]), Tensor(zeros: .float, [1, 1 << 15, 1, 60])]
    },
    // So many taps that each goes with one place of a row at a time.
    .init(name: "ConvTranspose") {
      [Tensor(zeros: .float, [1, 1, 1, 512]), Tensor(zeros: .float, [1, 1, 1, 1 << 22])]
    },
    .init(name: "Transpose") { [long(.float, 3)] },
    .init(name: "Transpose", attributes: ["perm": .ints([2, 0, 1])]) { [long(.float, 3, 2)] },
    .init(name: "Gather") { [Tensor(zeros: .float, [4, 2]), long(.int64)] },
    .init(name: "GatherElements") { [long(.float, 2), long(.int64, 2)] },
    .init(name: "GatherND") { [long(.float, 2), long(.int64, 1)] },
    .init(name: "ScatterElements") { [long(.float, 2), long(.int64, 2), long(.float, 2)] },
    .init(name: "Unique", opset: 11, outputs: 4) { [long(.float)] },
    .init(name: "Einsum", attributes: ["equation": .string("bij,bjk->bik")]) {
      [long(.float, 1, 2), long(.float, 2, 1)]
    },
    .init(name: "Resize") {
      [long(.float, 1, 2), nil, Tensor([1, 1, 2] as [Float])]
    },
    .init(name: "CumSum") { [long(.float, 2), Tensor(scalar: 1 as Int32)] },
    .init(name: "Det") { [long(.float, 2, 2)] },
    .init(name: "ReduceSum") { [long(.float, 2)] },
    .init(name: "Softmax", attributes: ["axis": .int(0)]) { [long(.double, 2)] },
  ]

  @Test(arguments: calls) func endsInOrder(_ call: InterruptionTests.Call) throws {
    let evaluate = try call.evaluation()
    let context = RunContext(
      crew: Crew(threads: 1, deadline: .now - .seconds(1)), memoryLimit: 1 << 31)
    let error = #expect(throws: ModelError.self) { try evaluate(context) }
    #expect(error?.code == .limit, "\(error as Any)")
  }
}
