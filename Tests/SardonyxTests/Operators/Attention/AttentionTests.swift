import Testing

@testable import Sardonyx

@Suite struct AttentionTests {
  /// Two keys that a query of 0 sees alike, with values 1 and 3.
  static let query = Tensor([Float(0)], [1, 1, 1, 1])
  static let keys = Tensor([Float(1), 2], [1, 1, 2, 1])
  static let values = Tensor([Float(1), 3], [1, 1, 2, 1])

  @Test func valuesAreWeighted() throws {
    #expect(try run("Attention", [Self.query, Self.keys, Self.values]).floats == [2])
    let mask = Tensor([true, false], [1, 2])
    #expect(try run("Attention", [Self.query, Self.keys, Self.values, mask]).floats == [1])
    let shut = Tensor([false, false], [1, 2])
    #expect(try run("Attention", [Self.query, Self.keys, Self.values, shut]).floats == [0])
  }

  @Test func queriesSeeNothingThatComesLater() throws {
    let x = Tensor([Float(0), 0, 0], [1, 1, 3, 1])
    let v = Tensor([Float(1), 3, 8], [1, 1, 3, 1])
    #expect(try run("Attention", [x, x, v], ["is_causal": .int(1)]).floats == [1, 2, 4])
    let window = try run(
      "Attention", [x, x, v], ["left_window_size": .int(0), "right_window_size": .int(1)])
    #expect(window.floats == [2, 5.5, 8])
  }

  @Test func headsMayBePackedAndShared() throws {
    var numbers = Numbers(seed: 31)
    let (q, k, v) = (
      numbers.tensor(2, 3, 4 * 5), numbers.tensor(2, 6, 2 * 5), numbers.tensor(2, 6, 2 * 3)
    )
    let attributes: [String: Attribute] = ["q_num_heads": .int(4), "kv_num_heads": .int(2)]
    let packed = try run("Attention", [q, k, v], attributes)
    #expect(packed.shape == [2, 3, 12])
    func unpacked(_ x: Tensor, _ heads: Int) throws -> Tensor {
      let layout = try HeadLayout("X", x.shape, heads: heads)
      return try Tensor(layout.arranged(x.floats), layout.shape(length: layout.length))
    }
    let apart = try run("Attention", [unpacked(q, 4), unpacked(k, 2), unpacked(v, 2)])
    #expect(try unpacked(packed, 4).isClose(to: apart.floats))
  }

  @Test func thePastIsSeenAndHandedOn() throws {
    let past = Tensor([Float(5)], [1, 1, 1, 1])
    let inputs = [Self.query, Self.keys, Self.values, nil, past, past]
    let results = try run("Attention", inputs.map { $0.map(Value.tensor) }, outputs: 3)
    #expect(results[0]!.tensor!.floats == [3])
    #expect(results[1]!.tensor!.floats == [5, 1, 2])
    #expect(results[2]!.tensor!.floats == [5, 1, 3])
    let message = "past_key and past_value: expected both or none, got one of them"
    #expect(throws: ModelError(.mismatch, message)) {
      try run("Attention", Array(inputs.prefix(5)))
    }
  }

  @Test(arguments: [0, 1, 2, 3]) func productsAreShownAtEachStage(mode: Int) throws {
    let q = Tensor([Float(1)], [1, 1, 1, 1])
    let mask = Tensor([Float(0), -1], [1, 2])
    let results = try run(
      "Attention",
      [.tensor(q), .tensor(Self.keys), .tensor(Self.values), .tensor(mask)],
      ["softcap": .float(4), "qk_matmul_output_mode": .int(mode)], outputs: 4)
    let capped: [Float] = [0.979674649, 1.848468629]
    let expected: [[Float]] = [
      [1, 2], capped, [capped[0], capped[1] - 1], [0.532755, 0.467245],
    ]
    #expect(results[3]!.tensor!.isClose(to: expected[mode], 1e-5))
  }

  @Test func singlePrecisionAgreesWithDouble() throws {
    var numbers = Numbers(seed: 32)
    let inputs = [
      numbers.tensor(2, 4, 9, 17), numbers.tensor(2, 2, 33, 17), numbers.tensor(2, 2, 33, 5),
      numbers.tensor(9, 33),
    ]
    let attributes: [String: Attribute] = ["is_causal": .int(1), "softcap": .float(3)]
    #expect(try differenceOfFastAndPlain("Attention", inputs, attributes) < 1e-5)
  }

  @Test func wrongShapesAreTold() throws {
    #expect(throws: ModelError(.mismatch, "head size of K: expected 1, got 2")) {
      try run("Attention", [Self.query, Tensor(zeros: .float, [1, 1, 2, 2]), Self.values])
    }
    #expect(
      throws: ModelError(.mismatch, "heads of Q: expected a multiple of 2, the heads of K, got 3")
    ) {
      func zeros(_ heads: Int) -> Tensor { Tensor(zeros: .float, [1, heads, 1, 1]) }
      return try run("Attention", [zeros(3), zeros(2), zeros(2)])
    }
    let message =
      "shape of attn_mask: expected one that broadcasts to [1,1,1,2], got [3,2]"
    #expect(throws: ModelError(.mismatch, message)) {
      try run(
        "Attention", [Self.query, Self.keys, Self.values, Tensor(zeros: .float, [3, 2])])
    }
  }
}

@Suite struct RotaryEmbeddingTests {
  @Test func aQuarterTurn() throws {
    let x = Tensor([Float(1), 2, 3, 4], [1, 1, 1, 4])
    let (cosines, sines) = (Tensor([Float(0), 1], [1, 2]), Tensor([Float(1), 0], [1, 2]))
    let position = Tensor([Int64(0)], [1, 1])
    let inputs = [x, cosines, sines, position]
    #expect(try run("RotaryEmbedding", inputs).floats == [-3, 2, 1, 4])
    let pairs = try run("RotaryEmbedding", inputs, ["interleaved": .int(1)])
    #expect(pairs.floats == [-2, 1, 3, 4])
    #expect(throws: ModelError(.mismatch, "position_ids: expected 0 to 0, got 1")) {
      try run("RotaryEmbedding", [x, cosines, sines, Tensor([Int64(1)], [1, 1])])
    }
  }
}

@Suite struct LinearAttentionTests {
  @Test func theStateGathersWhatIsWritten() throws {
    let (q, k) = (Tensor([Float(1), 1], [1, 2, 1]), Tensor([Float(2), 1], [1, 2, 1]))
    let v = Tensor([Float(3), 5], [1, 2, 1])
    let attributes: [String: Attribute] = [
      "q_num_heads": .int(1), "kv_num_heads": .int(1), "update_rule": .string("linear"),
    ]
    let results = try run("LinearAttention", [q, k, v].map(Value.tensor), attributes, outputs: 2)
    #expect(results[0]!.tensor!.floats == [6, 11] && results[1]!.tensor!.floats == [11])
    let one = Tensor([Float(1), 1], [1, 2, 1])
    let delta = try run(
      "LinearAttention", [q, k, v, nil, nil, one].map { $0.map(Value.tensor) },
      attributes.merging(["update_rule": .string("delta")]) { $1 }, outputs: 2)
    #expect(delta[0]!.tensor!.floats == [6, 5])
  }
}

@Suite struct GroupQueryAttentionTests {
  private func attend(_ attributes: [String: Attribute], outputs: Int = 1) throws -> [Value?] {
    let x = Tensor([Float](repeating: 1, count: 8), [1, 1, 8])
    let (lengths, total) = (Tensor([Int32(0)]), Tensor([Int32(1)]))
    return try run(
      "GroupQueryAttention", domain: "com.microsoft", opset: 1,
      [x, x, x, nil, nil, lengths, total].map { $0.map(Value.tensor) },
      ["num_heads": .int(1), "kv_num_heads": .int(1)].merging(attributes) { $1 }, outputs: outputs)
  }

  @Test func aWindowNeedsCausality() throws {
    #expect(
      message { try attend(["causal": .int(0), "local_window_size": .int(2)]) }
        == "attribute local_window_size: expected -1, as without causal there is no window, got 2")
    #expect(try attend(["causal": .int(0)])[0]!.tensor!.floats == [Float](repeating: 1, count: 8))
  }

  @Test func scoresAreShownWhereTheModelSaysWhich() throws {
    #expect(
      message { try attend([:], outputs: 4) }
        == "attribute qk_output: expected 1 or 2, as output_qk is asked for, got 0")
    #expect(
      message { try attend(["qk_output": .int(3)]) }
        == "attribute qk_output: expected 0, 1 or 2, got 3")
    let scores = try attend(["qk_output": .int(1), "scale": .float(0.5)], outputs: 4)[3]!.tensor!
    #expect(scores.shape == [1, 1, 1, 1])
    #expect(scores.floats == [4])
  }
}
