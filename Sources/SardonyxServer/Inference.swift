#if Server
  import Sardonyx

  /// What a client asks a model for.
  struct InferenceRequest {
    struct Output {
      let name: String
      let isBinary: Bool
    }

    let id: String?
    let inputs: [String: Tensor]
    /// nil for all of the model's.
    let outputs: [Output]?
    /// Whether outputs that are not named are wanted as bytes.
    let isBinary: Bool
    /// What the client waits at most.
    let timeout: Duration?

    /// - Parameters:
    ///   - body: a header in JSON, perhaps with the bytes of tensors behind it.
    ///   - headerLength: how many bytes the header has; nil for all.
    /// - Throws: ``ModelError``: malformed where the body is not of the protocol, mismatch where data do not fit the
    ///   shape beside them.
    init(_ body: [UInt8], headerLength: Int?) throws(ModelError) {
      let headerLength = headerLength ?? body.count
      guard (0...body.count).contains(headerLength) else {
        throw .unexpected(
          "Inference-Header-Content-Length",
          expected: "at most the \(body.count) bytes of the body",
          got: "\(headerLength)", code: .malformed)
      }
      let request = try JSONText(body, in: 0..<headerLength).members()
      let parameters = try request["parameters"]?.members() ?? [:]
      id = try request["id"]?.string()
      isBinary = try parameters["binary_data_output"]?.bool() ?? false
      if let microseconds = try parameters["timeout"]?.integer(), microseconds > 0 {
        timeout = .microseconds(min(microseconds, 1 << 50))
      } else {
        timeout = nil
      }
      var tail = body[headerLength...]
      guard let listed = try request["inputs"]?.elements() else {
        throw .unexpected("request", expected: "a member \"inputs\"", got: "none", code: .malformed)
      }
      var inputs: [String: Tensor] = [:]
      for entry in listed {
        let (name, tensor) = try Self.input(entry, &tail)
        guard inputs.updateValue(tensor, forKey: name) == nil else {
          throw ModelError(.malformed, "input \"\(name)\" is given twice")
        }
      }
      guard tail.isEmpty else {
        throw .unexpected(
          "bytes behind the header", expected: "as many as the inputs' binary_data_size say",
          got: "\(tail.count) more", code: .malformed)
      }
      self.inputs = inputs
      let isBinary = isBinary
      outputs = try request["outputs"].map { outputs throws(ModelError) in
        var names: [Output] = []
        for entry in try outputs.elements() { names.append(try Self.output(entry, isBinary)) }
        return names
      }.flatMap { $0.isEmpty ? nil : $0 }
    }

    private static func input(
      _ entry: JSONText, _ tail: inout ArraySlice<UInt8>
    ) throws(ModelError) -> (String, Tensor) {
      let members = try entry.members()
      func member(_ name: String, of owner: String) throws(ModelError) -> JSONText {
        guard let value = members[name] else {
          throw .unexpected(owner, expected: "a member \"\(name)\"", got: "none", code: .malformed)
        }
        return value
      }
      let name = try member("name", of: "input").string()
      let type = try ElementType(
        datatype: member("datatype", of: "input \"\(name)\"").string(), of: name)
      let shape: Shape = try member("shape", of: "input \"\(name)\"").integers()
      let parameters = try members["parameters"]?.members() ?? [:]
      try refuse(parameters, ["shared_memory_region"], "input \"\(name)\"")
      guard let size = try parameters["binary_data_size"]?.integer() else {
        let data = try member("data", of: "input \"\(name)\"")
        return (
          name, try naming(name) { () throws(ModelError) in try Tensor(type, shape, json: data) }
        )
      }
      guard (0...tail.count).contains(size) else {
        throw .unexpected(
          "binary_data_size of input \"\(name)\"",
          expected: "at most the \(tail.count) bytes that are left",
          got: "\(size)", code: .malformed)
      }
      let bytes = tail.prefix(size)
      tail = tail.dropFirst(size)
      return (
        name, try naming(name) { () throws(ModelError) in try Tensor(type, shape, binary: bytes) }
      )
    }

    private static func output(_ entry: JSONText, _ isBinary: Bool) throws(ModelError) -> Output {
      let members = try entry.members()
      guard let name = try members["name"]?.string() else {
        throw .unexpected("output", expected: "a member \"name\"", got: "none", code: .malformed)
      }
      let parameters = try members["parameters"]?.members() ?? [:]
      try refuse(parameters, ["shared_memory_region", "classification"], "output \"\(name)\"")
      return Output(name: name, isBinary: try parameters["binary_data"]?.bool() ?? isBinary)
    }

    private static func refuse(
      _ parameters: [String: JSONText], _ names: [String], _ owner: String
    ) throws(ModelError) {
      for name in names where parameters[name] != nil {
        throw ModelError(.unsupported, "\(owner): this server has no parameter \"\(name)\"")
      }
    }

    private static func naming<Result>(
      _ input: String, _ body: () throws(ModelError) -> Result
    ) throws(ModelError) -> Result {
      do throws(ModelError) { return try body() } catch {
        throw ModelError(error.code, "input \"\(input)\": \(error.message)", hint: error.hint)
      }
    }
  }

  /// What a model answers.
  struct InferenceAnswer {
    let body: [UInt8]
    /// Bytes of the header, where bytes of tensors lie behind it.
    let headerLength: Int?

    /// - Parameter outputs: in the order to be written, each with whether as bytes.
    /// - Throws: ``ModelError`` (unsupported) for a value that the protocol has no form for.
    init(
      model: String, version: Int, id: String?,
      _ outputs: [(name: String, value: Value, isBinary: Bool)]
    ) throws(ModelError) {
      var header = "{"
      if let id { header += "\"id\":\(JSON.string(id).line)," }
      header +=
        "\"model_name\":\(JSON.string(model).line),\"model_version\":\"\(version)\",\"outputs\":["
      var tail: [UInt8] = []
      for (position, output) in outputs.enumerated() {
        guard let tensor = output.value.tensor, let datatype = tensor.type.datatype else {
          throw ModelError(
            .unsupported,
            "output \"\(output.name)\" is \(output.value.type), which the protocol has no form for")
        }
        header += position > 0 ? "," : ""
        header +=
          "{\"name\":\(JSON.string(output.name).line),\"datatype\":\"\(datatype)\",\"shape\":["
        header += tensor.shape.map { String($0) }.joined(separator: ",") + "],"
        if output.isBinary {
          let bytes = try tensor.binary()
          header += "\"parameters\":{\"binary_data_size\":\(bytes.count)}}"
          tail += bytes
        } else {
          header += "\"data\":" + (try tensor.jsonText()) + "}"
        }
      }
      header += "]}"
      let isBinary = outputs.contains { $0.isBinary }
      headerLength = isBinary ? header.utf8.count : nil
      body = Array(header.utf8) + tail
    }
  }
#endif
