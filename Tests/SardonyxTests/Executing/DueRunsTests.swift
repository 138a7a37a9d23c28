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
    .init(name: "QuantizeLinear", attributes: ["axis": .int(0)], opset: 19) {
      [long(.float, 2), Tensor(scalar: 1 as Float), Tensor(zeros: .float8e4m3fn, [])]
    },
    .init(name: "Equal") { [long(.uint64, 2), long(.uint64, 2)] },
    .init(name: "Mod") { [long(.int64, 2), long(.int64, 2)] },
    .init(name: "Pow") { [long(.int64, 2), long(.int64, 2)] },
    .init(name: "NonZero") { [long(.float, 2)] },
    .init(name: "ScatterND") { [long(.float, 2), long(.int64, 1), long(.float, 2)] },
    .init(name: "Conv") {
      [Tensor(zeros: .float, [1, 1, 1 << 18, 5]), Tensor(zeros: .float, [1, 1, 3, 3])]
    },
    .init(name: "Gemm") { [long(.float, 6), Tensor(zeros: .float, [6, 4])] },
    .init(name: "LSTM", attributes: ["hidden_size": .int(3)]) {
      [
        Tensor(zeros: .float, [5, 1, 1 << 18]), Tensor(zeros: .float, [1, 12, 1 << 18]),
        Tensor(zeros: .float, [1, 12, 3]),
      ]
    },
    .init(name: "GRU", attributes: ["hidden_size": .int(3)]) {
      [long(.double, 1, 2), Tensor(zeros: .double, [1, 9, 2]), Tensor(zeros: .double, [1, 9, 3])]
    },
    .init(name: "BatchNormalization", opset: 15) {
      [Tensor(zeros: .float, [1, 1 << 18, 2])] + Array(repeating: long(.float), count: 4)
    },
    .init(name: "InstanceNormalization") {
      [Tensor(zeros: .float, [1, 1 << 18, 2]), long(.float), long(.float)]
    },
    .init(
      name: "TfIdfVectorizer",
      attributes: [
        "mode": .string("TF"), "ngram_counts": .ints([0]), "ngram_indexes": .ints([0, 1]),
        "pool_int64s": .ints([2, 3]), "min_gram_length": .int(1), "max_gram_length": .int(1),
        "max_skip_count": .int(0),
      ]
    ) { [long(.int64, 2)] },
    .init(
      name: "LinearClassifier",
      attributes: [
        "coefficients": .floats([1, 2]), "intercepts": .floats([0, 0]),
        "classlabels_ints": .ints([3, 4]),
      ], opset: 1, domain: "ai.onnx.ml", outputs: 2
    ) { [long(.float, 1)] },
    .init(
      name: "LabelEncoder",
      attributes: ["keys_int64s": .ints([0]), "values_floats": .floats([1])], opset: 2,
      domain: "ai.onnx.ml"
    ) { [long(.int64)] },
    .init(
      name: "OneHotEncoder", attributes: ["cats_int64s": .ints([0, 1])], opset: 1,
      domain: "ai.onnx.ml"
    ) { [long(.int64)] },
    .init(name: "ArrayFeatureExtractor", opset: 1, domain: "ai.onnx.ml") {
      [long(.float, 2), Tensor([1] as [Int64])]
    },
    .init(
      name: "Imputer",
      attributes: ["imputed_value_int64s": .ints([1]), "replaced_value_int64": .int(0)], opset: 1,
      domain: "ai.onnx.ml"
    ) { [long(.int64, 2)] },
    .init(
      name: "Normalizer", attributes: ["norm": .string("L1")], opset: 1, domain: "ai.onnx.ml"
    ) { [long(.int64, 2)] },
  ]

  @Test(arguments: calls) func endsInOrder(_ call: InterruptionTests.Call) throws {
    let evaluate = try call.evaluation()
    let context = RunContext(
      crew: Crew(threads: 1, deadline: .now - .seconds(1)), memoryLimit: 1 << 31)
    let error = #expect(throws: ModelError.self) { try evaluate(context) }
    #expect(error?.code == .limit, "\(error as Any)")
  }
}
