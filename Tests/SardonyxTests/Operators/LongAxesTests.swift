import Foundation
import Testing

@testable import Sardonyx

/// Extents, strides and pads that a file declares as long as it likes: operators make lists of their
/// length only within the limits of time and memory.
@Suite(.serialized) struct LongAxesTests {
  private static let timeLimit = 0.2
  /// Milliseconds of processor time beyond the limit.
  private static let patience = 200.0
  private static let largest = Int(Int32.max)

  @Test(
    arguments: ["nearest", "linear", "cubic"],
    ["half_pixel", "asymmetric", "align_corners", "tf_crop_and_resize"])
  func resizesEndInTime(_ mode: String, _ mapping: String) throws {
    for type in [ElementType.float, .uint8] {
      for extent in [1 << 22, 1 << 24, 1 << 26, Self.largest] {
        let attributes: [String: Attribute] = [
          "mode": .string(mode), "coordinate_transformation_mode": .string(mapping),
        ]
        try expectEndInTime(
          graph(
            [declared("X", type, [1, 1, 4, 4])],
            [node("Resize", ["X", "roi", "", "sizes"], ["Y"], attributes)], [declared("Y", type)],
            constants: [
              "roi": Tensor([0, 0, 0, 0, 1, 1, 1, 1] as [Float], [8]),
              "sizes": Tensor([1, 1, 1, Int64(extent)], [4]),
            ]), Tensor(zeros: type, [1, 1, 4, 4]), "\(mode) \(mapping) \(type) \(extent)")
      }
    }
  }

  /// A small file can make the list that a shape is read from.
  @Test func shapesOfMillionsOfAxesAreRefused() throws {
    let error = #expect(throws: ModelError.self) {
      try run("ConstantOfShape", opset: 9, [Tensor(zeros: .int64, [1 << 21])])
    }
    #expect(
      error?.message
        == "elements of input 0, which a shape follows from: expected at most 1048576, got 2097152")
  }

  @Test(arguments: ["AveragePool", "MaxPool", "LpPool"])
  func poolingsEndInTime(_ operatorName: String) throws {
    let long = Self.largest
    let windows: [[String: Attribute]] = [
      ["kernel_shape": .ints([2, 2]), "strides": .ints([long, long])],
      [
        "kernel_shape": .ints([2, 2]), "strides": .ints([long, long]),
        "auto_pad": .string("SAME_UPPER"),
      ],
      [
        "kernel_shape": .ints([2, 2]), "strides": .ints([long, 1]),
        "pads": .ints([0, 0, long, long]),
      ],
      ["kernel_shape": .ints([long, 2]), "pads": .ints([long - 1, 0, long - 1, 0])],
      ["kernel_shape": .ints([1, 1]), "pads": .ints([0, 1 << 24, 0, 1 << 24])],
      ["kernel_shape": .ints([1, 1]), "pads": .ints([1 << 24, 0, 1 << 24, 0])],
    ]
    for type in [ElementType.float, .double] {
      for (index, window) in windows.enumerated() {
        try expectEndInTime(
          graph(
            [declared("X", type, [1, 3, 8, 8])], [node(operatorName, ["X"], ["Y"], window)],
            [declared("Y", type)]), Tensor(zeros: type, [1, 3, 8, 8]),
          "\(operatorName) \(type) \(index)")
      }
    }
  }

  private func expectEndInTime(
    _ graph: GraphDefinition, _ input: Tensor, _ title: String
  ) throws {
    let model = try model(graph)
    for mode in [Session.BatchNormalizationMode.folded, .unfolded] {
      var options = Session.Options()
      options.threads = 1
      options.batchNormalization = mode
      options.timeLimit = Self.timeLimit
      options.memoryLimit = 64 << 20
      let session = try Session(model, options: options)
      for _ in 0..<2 {
        let began = processorTime()
        _ = try? session.run(["X": .tensor(input)])
        let milliseconds = Double(processorTime() - began) / 1e6
        #expect(milliseconds < 1000 * Self.timeLimit + Self.patience, "\(title) \(mode)")
      }
    }
  }

  private func processorTime() -> Int {
    var time = timespec()
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
  }
}
