import Foundation
import Testing

@testable import Sardonyx

/// Operators with inputs that take long end soon after the time limit.
///
/// Takes minutes, so it runs where SARDONYX_SLOW_TESTS is set.
@Suite(.serialized, .enabled(if: ProcessInfo.processInfo.environment["SARDONYX_SLOW_TESTS"] != nil))
struct InterruptionTests {
  /// A call of an operator that would take from tenths of a second to hours.
  struct Call: Sendable, CustomTestStringConvertible {
    let name: String
    var attributes: [String: Attribute] = [:]
    var opset = 22
    var domain = ""
    var outputs = 1
    let inputs: @Sendable () -> [Tensor?]

    var testDescription: String { name }

    /// What computes the call by itself.
    func evaluation() throws -> (RunContext) throws(ModelError) -> Void {
      let values = inputs().map { $0.map(Value.tensor) }
      let definition = lone(
        name, domain: domain, givenInputs: values.map { $0 != nil }, attributes, outputs: outputs)
      let implementation = try OperatorTable.make(definition, operatorSet: opset)
      let checked = try Schema.check(
        types: values.map { $0?.type }, of: name, domain: domain, operatorSet: opset)
      return { (context) throws(ModelError) in
        _ = try implementation.evaluate(
          Inputs(values, checked), wanted: Array(repeating: true, count: outputs), context: context)
      }
    }
  }

  private static func numbers(_ type: ElementType, _ shape: Int...) -> Tensor {
    var random: UInt64 = 1
    let numbers = (0..<shape.elementCount).map { _ -> Double in
      random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Double(random >> 40) / 0x1p24
    }
    return Tensor(converting: type.isInteger ? numbers.map { $0 * 100 } : numbers, to: type, shape)
  }

  private static func zeros(_ type: ElementType, _ shape: Int...) -> Tensor {
    Tensor(zeros: type, shape)
  }

  static let calls: [Call] = [
    Call(name: "Add") { [zeros(.int64, 1 << 24), zeros(.int64, 1 << 24)] },
    Call(name: "ArgMax") { [zeros(.double, 1 << 24)] },
    Call(
      name: "Attention",
      attributes: ["q_num_heads": .int(4), "kv_num_heads": .int(4)], opset: 23
    ) {
      [zeros(.double, 1, 2048, 256), zeros(.double, 1, 2048, 256), zeros(.double, 1, 2048, 256)]
    },
    Call(
      name: "Attention",
      attributes: ["q_num_heads": .int(1), "kv_num_heads": .int(1)], opset: 23
    ) {
      [zeros(.double, 1, 1 << 20, 16), zeros(.double, 1, 4, 16), zeros(.double, 1, 4, 16)]
    },
    Call(name: "AveragePool", attributes: ["kernel_shape": .ints([63, 63])]) {
      [zeros(.double, 1, 8, 1000, 1000)]
    },
    Call(name: "AveragePool", attributes: ["kernel_shape": .ints([63, 63])]) {
      [zeros(.float, 1, 64, 1000, 1000)]
    },
    Call(name: "BatchNormalization") {
      [zeros(.double, 64, 16, 10000)] + Array(repeating: zeros(.double, 16), count: 4)
    },
    Call(name: "Bernoulli") { [zeros(.float, 1 << 24)] },
    Call(name: "Cast", attributes: ["to": .int(10)]) { [zeros(.double, 1 << 24)] },
    Call(name: "Cast", attributes: ["to": .int(8)]) { [numbers(.float, 1 << 21)] },
    Call(name: "Col2Im", opset: 18) {
      [zeros(.float, 1, 1 << 16, 256), ints(16, 16), ints(1, 1)]
    },
    Call(name: "Compress") { [zeros(.float, 1 << 22), zeros(.bool, 1 << 22)] },
    Call(name: "Conv") { [zeros(.double, 1, 64, 512, 512), zeros(.double, 64, 64, 3, 3)] },
    Call(name: "Conv") { [zeros(.float, 1, 512, 256, 256), zeros(.float, 2048, 512, 1, 1)] },
    Call(name: "Conv") { [zeros(.float, 1, 256, 256, 256), zeros(.float, 512, 256, 3, 3)] },
    Call(name: "ConvTranspose") {
      [zeros(.double, 1, 64, 512, 512), zeros(.double, 64, 64, 3, 3)]
    },
    Call(name: "ConvTranspose") {
      [zeros(.float, 1, 256, 256, 256), zeros(.float, 256, 256, 3, 3)]
    },
    Call(name: "ConvTranspose") {
      [zeros(.float, 1, 1, 1, 512), zeros(.float, 1, 1, 1, 1 << 24)]
    },
    Call(name: "ConvTranspose") {
      [zeros(.float, 1, 1, 1, 4), zeros(.float, 1, 1 << 18, 1, 60)]
    },
    Call(name: "Conv") { [zeros(.float, 1, 1, 1 << 21, 5), zeros(.float, 1, 1, 3, 3)] },
    Call(name: "ConvInteger", opset: 10) {
      [zeros(.uint8, 1, 256, 256, 256), zeros(.uint8, 512, 256, 3, 3)]
    },
    Call(name: "CumSum") { [zeros(.double, 1 << 25), ints(0)] },
    Call(name: "DFT", opset: 20) { [numbers(.float, 1, (1 << 21) - 9, 1)] },
    Call(name: "DFT", opset: 20) { [numbers(.float, 512, 8192, 1)] },
    Call(name: "DeformConv") {
      [
        zeros(.float, 1, 32, 256, 256), zeros(.float, 32, 32, 3, 3),
        zeros(.float, 1, 18, 254, 254),
      ]
    },
    Call(name: "DepthToSpace", attributes: ["blocksize": .int(4)]) {
      [zeros(.float, 16, 64, 256, 256)]
    },
    Call(name: "Det") { [numbers(.float, 3000, 3000)] },
    Call(name: "Dropout", attributes: ["seed": .int(1)]) {
      [zeros(.float, 1 << 24), Tensor(scalar: Float(0.5)), Tensor(scalar: true)]
    },
    Call(name: "Einsum", attributes: ["equation": .string("ij,jk->ki")]) {
      [zeros(.double, 2000, 2000), zeros(.double, 2000, 2000)]
    },
    Call(name: "Einsum", attributes: ["equation": .string("ijk->kji")]) {
      [zeros(.float, 256, 256, 256)]
    },
    Call(name: "Equal") { [zeros(.double, 1 << 24), zeros(.double, 1 << 24)] },
    Call(name: "Erf") { [zeros(.double, 1 << 24)] },
    Call(name: "Expand") { [zeros(.float, 1), ints(64, 1 << 20)] },
    Call(name: "GRU", attributes: ["hidden_size": .int(256)]) {
      [zeros(.float, 4096, 16, 256), zeros(.float, 1, 768, 256), zeros(.float, 1, 768, 256)]
    },
    Call(name: "Gather") { [zeros(.float, 1 << 20, 4), zeros(.int64, 1 << 22)] },
    Call(name: "GatherElements") { [zeros(.float, 1 << 23), zeros(.int64, 1 << 23)] },
    Call(name: "Gemm") { [zeros(.double, 2000, 2000), zeros(.double, 2000, 2000)] },
    Call(name: "GlobalLpPool") { [zeros(.double, 1, 64, 512, 512)] },
    Call(name: "GridSample", attributes: ["mode": .string("cubic")]) {
      [zeros(.float, 1, 16, 512, 512), zeros(.float, 1, 1024, 1024, 2)]
    },
    Call(name: "GroupNormalization", attributes: ["num_groups": .int(4)], opset: 21) {
      [zeros(.double, 8, 16, 65536), zeros(.double, 16), zeros(.double, 16)]
    },
    Call(name: "Hardmax") { [zeros(.double, 1 << 12, 1 << 12)] },
    Call(name: "InstanceNormalization") {
      [zeros(.double, 8, 16, 65536), zeros(.double, 16), zeros(.double, 16)]
    },
    Call(name: "LRN", attributes: ["size": .int(255)]) { [zeros(.float, 1, 256, 256, 256)] },
    Call(name: "LRN", attributes: ["size": .int(3)]) { [zeros(.double, 1, 16, 1024, 1024)] },
    Call(name: "LSTM", attributes: ["hidden_size": .int(256)]) {
      [zeros(.float, 4096, 16, 256), zeros(.float, 1, 1024, 256), zeros(.float, 1, 1024, 256)]
    },
    Call(name: "LayerNormalization") {
      [zeros(.double, 1 << 12, 1 << 12), zeros(.double, 1 << 12)]
    },
    Call(name: "LpNormalization") { [zeros(.double, 1 << 12, 1 << 12)] },
    Call(name: "LpPool", attributes: ["kernel_shape": .ints([63, 63])]) {
      [zeros(.float, 1, 8, 1000, 1000)]
    },
    Call(name: "MatMul") { [zeros(.double, 2000, 2000), zeros(.double, 2000, 2000)] },
    Call(name: "MatMul") { [zeros(.int64, 2000, 2000), zeros(.int64, 2000, 2000)] },
    Call(name: "MatMul") { [zeros(.float, 6000, 6000), zeros(.float, 6000, 6000)] },
    Call(name: "MatMulInteger", opset: 10) {
      [zeros(.uint8, 6000, 6000), zeros(.uint8, 6000, 6000)]
    },
    Call(name: "MatMulInteger", opset: 10) {
      [zeros(.uint8, 1 << 20, 3, 5), zeros(.uint8, 5, 24)]
    },
    Call(name: "MatMulInteger", opset: 10) {
      [zeros(.uint8, 1 << 20, 1, 4), zeros(.uint8, 1 << 20, 4, 1)]
    },
    Call(name: "Max") { [zeros(.int64, 1 << 23), zeros(.int64, 1 << 23), zeros(.int64, 1)] },
    Call(name: "MaxPool", attributes: ["kernel_shape": .ints([63, 63])], outputs: 2) {
      [zeros(.float, 1, 8, 1000, 1000)]
    },
    Call(name: "MaxPool", attributes: ["kernel_shape": .ints([3])]) {
      [zeros(.float, 1, 1, 1 << 24)]
    },
    Call(name: "MaxPool", attributes: ["kernel_shape": .ints([1 << 20])]) {
      [zeros(.float, 1, 1, 1 << 21)]
    },
    Call(name: "MaxPool", attributes: ["kernel_shape": .ints([2, 2])], outputs: 2) {
      [zeros(.double, 1, 16, 1024, 1024)]
    },
    Call(name: "MaxRoiPool", attributes: ["pooled_shape": .ints([64, 64])]) {
      [zeros(.float, 1, 64, 512, 512), numbers(.float, 64, 5)]
    },
    Call(
      name: "MaxUnpool", attributes: ["kernel_shape": .ints([2, 2]), "strides": .ints([2, 2])]
    ) {
      [zeros(.float, 1, 16, 1024, 1024), zeros(.int64, 1, 16, 1024, 1024)]
    },
    Call(name: "MeanVarianceNormalization", opset: 13) { [zeros(.float, 4, 16, 256, 256)] },
    Call(name: "Mod", attributes: ["fmod": .int(1)]) {
      [numbers(.double, 1 << 22), numbers(.double, 1 << 22)]
    },
    Call(name: "Multinomial", attributes: ["sample_size": .int(1 << 20)]) {
      [zeros(.float, 4, 10000)]
    },
    Call(name: "MurmurHash3", domain: "com.microsoft") { [zeros(.int32, 1 << 24)] },
    Call(name: "NonMaxSuppression", opset: 11) {
      [
        numbers(.float, 1, 60000, 4), numbers(.float, 1, 1, 60000), ints(100000),
        Tensor([Float(1)]),
      ]
    },
    Call(name: "NonZero") { [zeros(.float, 1 << 24)] },
    Call(name: "OneHot") { [zeros(.int64, 1 << 16), ints(256), Tensor([Float(0), 1])] },
    Call(name: "OneHot") { [zeros(.int64, 1 << 22), ints(8), Tensor([Double(0), 1])] },
    Call(name: "Pad") { [zeros(.float, 4096, 4096), ints(1, 1, 1, 1)] },
    Call(name: "Pow") { [numbers(.double, 1 << 22), numbers(.double, 1 << 22)] },
    Call(name: "QLinearConv", opset: 10) {
      [
        zeros(.uint8, 1, 256, 256, 256), Tensor(scalar: Float(1)), Tensor(scalar: UInt8(0)),
        zeros(.uint8, 512, 256, 3, 3), Tensor(scalar: Float(1)), Tensor(scalar: UInt8(0)),
        Tensor(scalar: Float(1)), Tensor(scalar: UInt8(0)),
      ]
    },
    Call(name: "QLinearMatMul", opset: 10) {
      [
        zeros(.uint8, 3000, 3000), Tensor(scalar: Float(1)), Tensor(scalar: UInt8(0)),
        zeros(.uint8, 3000, 3000), Tensor(scalar: Float(1)), Tensor(scalar: UInt8(0)),
        Tensor(scalar: Float(1)), Tensor(scalar: UInt8(0)),
      ]
    },
    Call(name: "QuantizeLinear", opset: 13) {
      [zeros(.float, 1 << 24), Tensor(scalar: Float(1)), Tensor(scalar: UInt8(0))]
    },
    Call(name: "RNN", attributes: ["hidden_size": .int(256)]) {
      [zeros(.float, 8192, 16, 256), zeros(.float, 1, 256, 256), zeros(.float, 1, 256, 256)]
    },
    Call(name: "RandomNormal", attributes: ["shape": .ints([1 << 24])]) { [] },
    Call(name: "Range") {
      [Tensor(scalar: Double(0)), Tensor(scalar: Double(1 << 24)), Tensor(scalar: Double(1))]
    },
    Call(name: "ReduceLogSumExp", opset: 18) { [zeros(.double, 1 << 12, 1 << 12), ints(1)] },
    Call(name: "ReduceSum", opset: 13) { [zeros(.double, 1 << 12, 1 << 12), ints(0)] },
    Call(name: "Relu") { [zeros(.double, 1 << 24)] },
    Call(
      name: "Resize", attributes: ["mode": .string("cubic")], opset: 19
    ) { [zeros(.float, 1, 16, 512, 512), nil, Tensor([Float(1), 1, 2, 2])] },
    Call(name: "RoiAlign", attributes: ["output_height": .int(64), "output_width": .int(64)]) {
      [zeros(.float, 1, 64, 512, 512), numbers(.float, 64, 4), zeros(.int64, 64)]
    },
    Call(name: "STFT", opset: 17) { [zeros(.float, 1, 1 << 20, 1), ints(64), nil, ints(2048)] },
    Call(name: "ScatterElements", attributes: ["reduction": .string("add")], opset: 18) {
      [zeros(.float, 1 << 22), zeros(.int64, 1 << 22), zeros(.float, 1 << 22)]
    },
    Call(name: "ScatterND", attributes: ["reduction": .string("add")], opset: 18) {
      [zeros(.float, 1 << 20, 4), zeros(.int64, 1 << 20, 1), zeros(.float, 1 << 20, 4)]
    },
    Call(name: "Softmax") { [zeros(.double, 1 << 12, 1 << 12)] },
    Call(name: "Softmax") { [zeros(.float16, 1 << 12, 1 << 12)] },
    Call(name: "SoftmaxCrossEntropyLoss", opset: 13) {
      [zeros(.double, 1 << 12, 1 << 12), zeros(.int64, 1 << 12)]
    },
    Call(name: "Sum") { [zeros(.double, 1 << 23), zeros(.double, 1 << 23)] },
    Call(name: "Tile") { [zeros(.float, 1 << 12), ints(1 << 14)] },
    Call(name: "TopK", opset: 11, outputs: 2) { [numbers(.float, 1 << 21), ints(1 << 20)] },
    Call(name: "Transpose") { [zeros(.float, 4096, 4096)] },
    Call(name: "Unique", opset: 11, outputs: 4) { [numbers(.float, 1 << 20)] },
    Call(name: "Unique", opset: 11, outputs: 4) { [zeros(.double, 1 << 24)] },
    Call(name: "Where") {
      [zeros(.bool, 1 << 24), zeros(.double, 1 << 24), zeros(.double, 1 << 24)]
    },
  ]

  /// Milliseconds of processor time that a machine under load may take to notice; the goal is 50.
  private static let tolerance = 100.0

  @Test(arguments: calls) func endsSoonAfterItsLimit(_ call: Call) throws {
    let (lateness, error) = Self.lateness(try call.evaluation())
    let isEnded = error != nil
    if let error { #expect(error.code == .limit, "\(error)") }
    if ProcessInfo.processInfo.environment["SARDONYX_TRACE"] != nil {
      let type = call.inputs().first?.map { "\($0.type)" } ?? ""
      print("late \(call.name) \(type) \(Int(lateness)) ms\(isEnded ? "" : ", in time")")
    }
    #expect(lateness < Self.tolerance)
  }

  /// Milliseconds of processor time that `body` takes from its time limit on, and what it threw.
  private static func lateness(_ body: (RunContext) throws(ModelError) -> Void) -> (
    Double, ModelError?
  ) {
    let delay = 0.03
    let watch = Watch(after: delay)
    let crew = Crew(threads: 1, deadline: .now + .seconds(delay))
    var fault: ModelError?
    do throws(ModelError) { try body(RunContext(crew: crew, memoryLimit: 1 << 31)) } catch {
      fault = error
    }
    return (watch.lateness(), fault)
  }

  /// Calls of an operator, those left out that it refuses, and all: many end before their limit, and there are
  /// 200 operators.
  private static let (mostTries, mostCalls) = (60, 240)

  /// What any operator does with large inputs: those of its cases, with one extent or two made long.
  ///
  /// SARDONYX_OPERATORS names some operators, with commas between them, to be tried alone.
  @Test func everyOperatorEndsSoonAfterItsLimit() throws {
    let named = ProcessInfo.processInfo.environment["SARDONYX_OPERATORS"]?.split(separator: ",")
    var (tried, ended, called): ([String: Int], [String: Int], [String: Int]) = ([:], [:], [:])
    var worst: [String: (lateness: Double, inputs: String)] = [:]
    for testCase in BackendCase.onnx + BackendCase.recorded {
      guard let model = try? Model(path: testCase.model),
        let given = try? testCase.inputs(of: model)
      else { continue }
      for node in model.graph.nodes {
        let key = "\(node.domain.isEmpty ? "" : node.domain + ".")\(node.operatorName)"
        guard named?.contains(Substring(key)) ?? true, node.implementation.bodies.isEmpty,
          let inputs = node.inputValues(model.graph, given)
        else { continue }
        for extents in Self.longExtents(inputs)
        where tried[key, default: 0] < Self.mostTries && called[key, default: 0] < Self.mostCalls {
          let enlarged = Self.enlarged(inputs, extents)
          var isMade = false
          called[key, default: 0] += 1
          let (lateness, error) = Self.lateness { context throws(ModelError) in
            // Shapes that do not fit each other tell nothing.
            guard let facts = try? node.facts(enlarged.map { $0.map { Fact($0) } }),
              (try? node.implementation.describe(facts)) != nil
            else { return }
            isMade = true
            _ = try node.evaluate(enlarged, context: context)
          }
          guard isMade else { continue }
          tried[key, default: 0] += 1
          if error?.code == .limit { ended[key, default: 0] += 1 }
          if lateness > worst[key]?.lateness ?? -1 {
            let shapes = enlarged.map { $0?.tensor.map { "\($0.type)[\($0.shape.joined)]" } ?? "-" }
            worst[key] = (lateness, shapes.joined(separator: " "))
          }
        }
      }
    }
    let ordered = worst.sorted { $0.value.lateness > $1.value.lateness }
    if ProcessInfo.processInfo.environment["SARDONYX_TRACE"] != nil {
      for (key, value) in ordered {
        print(
          "late \(key) \(Int(value.lateness)) ms, \(ended[key] ?? 0) of \(tried[key]!) ended:",
          value.inputs)
      }
    }
    let late = ordered.filter { $0.value.lateness > Self.tolerance }
    #expect(late.isEmpty, "\(late)")
    #expect(worst.count > (named == nil ? 150 : 0), "\(worst.count) operators")
  }

  /// By what to replace one extent of the inputs or two: the longest that some millions of elements allow.
  private static func longExtents(_ inputs: [Value?]) -> [[Int: Int]] {
    let shapes = inputs.compactMap { $0?.tensor?.shape }
    let extents = Set(shapes.joined()).sorted()
    var results: [[Int: Int]] = []
    for first in extents {
      for second in extents where second >= first {
        let longest = (4..<25).reversed().lazy.map { bits in
          first == second ? [first: 1 << bits] : [first: 1 << bits, second: 1 << bits]
        }
        .first { long in
          shapes.allSatisfy { $0.map { long[$0] ?? $0 }.checkedElementCount ?? .max <= 1 << 24 }
        }
        if let longest { results.append(longest) }
      }
    }
    return results
  }

  /// The inputs, and tensors of zeros in place of those that have such extents.
  private static func enlarged(_ inputs: [Value?], _ extents: [Int: Int]) -> [Value?] {
    inputs.map { input in
      guard let tensor = input?.tensor else { return input }
      let shape = tensor.shape.map { extents[$0] ?? $0 }
      return shape == tensor.shape ? input : .tensor(Tensor(zeros: tensor.type, shape))
    }
  }
}

/// Measures the processor time that the current thread takes from a point in time on.
private final class Watch: @unchecked Sendable {
  private let clock: clockid_t
  private let lock = NSLock()
  private var atLimit: Double?

  init(after delay: Double) {
    var clock = clockid_t()
    unsafe pthread_getcpuclockid(pthread_self(), &clock)
    self.clock = clock
    Thread.detachNewThread { [self] in
      Thread.sleep(forTimeInterval: delay)
      let now = Self.time(self.clock)
      lock.withLock { atLimit = now }
    }
  }

  /// Milliseconds; 0 where the limit has not passed yet.
  func lateness() -> Double {
    let now = Self.time(clock)
    return lock.withLock { atLimit.map { (now - $0) * 1000 } ?? 0 }
  }

  private static func time(_ clock: clockid_t) -> Double {
    var time = timespec()
    unsafe clock_gettime(clock, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
