import Testing

@testable import Sardonyx

@Suite struct FoldVerificationTests {
  /// Branches of two convolutions each, alike but for their weights, then added up.
  /// - Parameters:
  ///   - order: in which branches stand in the file.
  ///   - suffix: what names of values end with, but for the model's own.
  private func branches(
    _ order: [Int], suffix: String = "", altered: (branch: Int, convolution: Int)? = nil
  ) throws -> Model {
    var nodes: [NodeDefinition] = []
    var constants: [String: Tensor] = [:]
    for branch in order {
      for convolution in 0..<2 {
        let name = "\(branch).\(convolution)\(suffix)"
        var weights: [Float] = randomTensor([2, 2, 1, 1], seed: 2 * branch + convolution).floats
        if let altered, altered == (branch, convolution) { weights[1] *= 1.01 }
        constants["w\(name)"] = Tensor(weights, [2, 2, 1, 1])
        let input = convolution == 0 ? "x" : "r\(branch)\(suffix)"
        nodes.append(node("Conv", [input, "w\(name)"], ["c\(name)"]))
        if convolution == 0 { nodes.append(node("Relu", ["c\(name)"], ["r\(branch)\(suffix)"])) }
      }
    }
    nodes.append(node("Sum", (0..<3).map { "c\($0).1\(suffix)" }, ["y"]))
    return try model(
      graph(
        [declared("x", .float, [1, 2, 3, 3])], nodes, [declared("y")], constants: constants))
  }

  @Test("Branches alike are told apart, whatever their order and their names")
  func branchesAlike() throws {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
      let verification = try FoldVerification(
        branches([0, 1, 2]), against: branches(order, suffix: "'"))
      #expect(verification.passed, "\(verification.faults)")
      #expect(verification.checkedCount == 6 && verification.unmatched.isEmpty)
    }
  }

  @Test("A wrong weight is found among branches alike", arguments: [0, 1, 2], [0, 1])
  func aWrongWeightAmongBranchesAlike(_ branch: Int, _ convolution: Int) throws {
    let verification = try FoldVerification(
      branches([0, 1, 2]),
      against: branches([2, 1, 0], suffix: "'", altered: (branch, convolution)))
    #expect(verification.faults.map(\.constant) == ["w\(branch).\(convolution)'"])
    #expect(verification.faults.first?.text.hasSuffix("1 of 4 elements differ") == true)
  }

  @Test(
    "Weights that a caller may override are compared by their defaults", arguments: [false, true])
  func weightsThatMayBeOverridden(_ isAltered: Bool) throws {
    func convolution(_ factor: Float) throws -> Model {
      try model(
        graph(
          [declared("x", .float, [1, 1, 2, 2]), declared("w", .float, [1, 1, 1, 1])],
          [node("Conv", ["x", "w"], ["y"])], [declared("y")],
          constants: ["w": Tensor([factor], [1, 1, 1, 1])]))
    }
    let verification = try FoldVerification(
      convolution(2), against: convolution(isAltered ? 2.02 : 2))
    #expect(verification.checkedCount == 1)
    #expect(verification.faults.map(\.constant) == (isAltered ? ["w"] : []))
  }
}
