#if Server
  import Sardonyx

  /// What a model's `config.pbtxt` says that matters here; a model needs none.
  struct ModelConfiguration {
    /// Which of a model's versions are served.
    enum VersionPolicy {
      /// The highest numbers.
      case latest(Int)
      case all
      case specific([Int])
    }

    /// Rows that go through the model together at most; 0 where its first axis is no batch.
    var largestBatch = 0
    /// Whether requests are put together that come at about the same time.
    var batchesDynamically = false
    /// How long a request waits for others.
    var largestDelay = Duration.zero
    /// How many requests wait at most; nil for the server's number.
    var queueLength: Int?
    /// Runs at the same time.
    var instanceCount = 1
    var versions = VersionPolicy.latest(1)
    var fileName = "model.onnx"
    /// Names of fields that were read over.
    private(set) var ignored: [String] = []

    init() {}

    /// - Parameters:
    ///   - text: in protobuf's text format, as Triton reads it.
    ///   - name: the model's folder, which the field `name` has to agree with.
    /// - Throws: ``ModelError``: malformed.
    init(_ text: [UInt8], model name: String) throws(ModelError) {
      for (field, value) in try ProtobufText(text).fields {
        switch field {
        case "name":
          let found = try value.text(field)
          guard found.isEmpty || found == name else {
            throw .unexpected(
              "name", expected: "\"\(name)\", as the folder", got: "\"\(found)\"", code: .malformed)
          }
        case "platform", "backend":
          let found = try value.text(field)
          guard found.lowercased().contains("onnx") else {
            throw .unexpected(
              field, expected: "one of ONNX", got: "\"\(found)\"", code: .unsupported)
          }
        case "max_batch_size": largestBatch = try value.integer(field, in: 0...1 << 20)
        case "dynamic_batching": try readBatching(try value.message(field))
        case "instance_group": instanceCount = try Self.count(try value.message(field))
        case "version_policy": versions = try Self.policy(try value.message(field))
        case "default_model_filename":
          fileName = try value.text(field)
          guard ModelRepository.isName(fileName) else {
            throw .unexpected(
              field, expected: "the name of a file", got: "\"\(fileName)\"", code: .malformed)
          }
        case "input", "output": break
        default: ignore(field)
        }
      }
    }

    private mutating func ignore(_ field: String) {
      if !ignored.contains(field) { ignored.append(field) }
    }

    private mutating func readBatching(_ message: ProtobufText) throws(ModelError) {
      batchesDynamically = true
      for (field, value) in message.fields {
        switch field {
        case "max_queue_delay_microseconds":
          largestDelay = .microseconds(try value.integer(field, in: 0...60_000_000))
        case "default_queue_policy":
          for (field, value) in try value.message(field).fields {
            if field == "max_queue_size" {
              queueLength = try value.integer(field, in: 0...1 << 20)
            } else {
              ignore(field)
            }
          }
        default: ignore(field)
        }
      }
      if queueLength == 0 { queueLength = nil }
    }

    private static func count(_ message: ProtobufText) throws(ModelError) -> Int {
      for (field, value) in message.fields where field == "count" {
        return try value.integer(field, in: 1...1024)
      }
      return 1
    }

    private static func policy(_ message: ProtobufText) throws(ModelError) -> VersionPolicy {
      guard let (kind, value) = message.fields.first else { return .latest(1) }
      let fields = try value.message(kind).fields
      switch kind {
      case "all": return .all
      case "latest":
        for (field, value) in fields where field == "num_versions" {
          return .latest(try value.integer(field, in: 1...1 << 20))
        }
        return .latest(1)
      case "specific":
        var versions: [Int] = []
        for (field, value) in fields where field == "versions" {
          versions.append(try value.integer(field, in: 1...Int.max))
        }
        return .specific(versions)
      default:
        throw .unexpected(
          "version_policy", expected: "latest, all or specific", got: kind, code: .malformed)
      }
    }
  }

  /// A message in protobuf's text format, of whatever type.
  struct ProtobufText {
    enum Value {
      case scalar(String)
      indirect case message(ProtobufText)

      func message(_ field: String) throws(ModelError) -> ProtobufText {
        guard case .message(let message) = self else {
          throw .unexpected(field, expected: "a message", got: "a single value", code: .malformed)
        }
        return message
      }

      func text(_ field: String) throws(ModelError) -> String {
        guard case .scalar(let text) = self else {
          throw .unexpected(field, expected: "a single value", got: "a message", code: .malformed)
        }
        return text
      }

      func integer(_ field: String, in range: ClosedRange<Int>) throws(ModelError) -> Int {
        let text = try text(field)
        guard let number = Int(text), range.contains(number) else {
          throw .unexpected(
            field, expected: "an integer from \(range.lowerBound) to \(range.upperBound)",
            got: "\"\(text.visible)\"",
            code: .malformed)
        }
        return number
      }
    }

    /// In the order of the text; those that repeat are listed one by one.
    private(set) var fields: [(name: String, value: Value)] = []

    private static let largestDepth = 32

    init(_ bytes: [UInt8]) throws(ModelError) {
      var tokens = try Self.tokens(bytes)[...]
      try readFields(&tokens, closing: nil, depth: 0)
    }

    private init() {}

    /// Words, texts with a quote before them, and single signs, each with its line.
    private static func tokens(_ bytes: [UInt8]) throws(ModelError) -> [(text: String, line: Int)] {
      var tokens: [(String, Int)] = []
      var line = 1
      var index = 0
      func isWord(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-")
          || byte == UInt8(ascii: "+")
          || Character(Unicode.Scalar(byte)).isASCII
            && (Character(Unicode.Scalar(byte)).isLetter
              || Character(Unicode.Scalar(byte)).isNumber)
      }
      while index < bytes.count {
        let byte = bytes[index]
        let start = index
        index += 1
        switch byte {
        case UInt8(ascii: "\n"): line += 1
        case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): break
        case UInt8(ascii: "#"):
          while index < bytes.count, bytes[index] != UInt8(ascii: "\n") { index += 1 }
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
          while index < bytes.count, bytes[index] != byte, bytes[index] != UInt8(ascii: "\n") {
            index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1
          }
          guard index < bytes.count, bytes[index] == byte else {
            throw .unexpected(
              "line \(line)", expected: "a text that ends", got: "none", code: .malformed)
          }
          tokens.append(("\"" + String(decoding: bytes[start + 1..<index], as: UTF8.self), line))
          index += 1
        case let byte where isWord(byte):
          while index < bytes.count, isWord(bytes[index]) { index += 1 }
          tokens.append((String(decoding: bytes[start..<index], as: UTF8.self), line))
        default: tokens.append((String(decoding: [byte], as: UTF8.self), line))
        }
      }
      return tokens
    }

    private mutating func readFields(
      _ tokens: inout ArraySlice<(text: String, line: Int)>, closing: String?, depth: Int
    ) throws(ModelError) {
      guard depth <= Self.largestDepth else {
        throw ModelError(
          .malformed, "messages lie more than \(Self.largestDepth) deep in one another")
      }
      while let token = tokens.popFirst() {
        if token.text == closing { return }
        if token.text == "," || token.text == ";" { continue }
        guard let first = token.text.unicodeScalars.first,
          first == "_" || first.properties.isAlphabetic
        else {
          throw .unexpected(
            "line \(token.line)", expected: "a field", got: "\"\(token.text.visible)\"",
            code: .malformed)
        }
        if tokens.first?.text == ":" { tokens.removeFirst() }
        if tokens.first?.text == "[" {
          tokens.removeFirst()
          while let next = tokens.first, next.text != "]" {
            if next.text == "," {
              tokens.removeFirst()
            } else {
              fields.append((token.text, try Self.value(&tokens, depth)))
            }
          }
          guard tokens.popFirst() != nil else { throw Self.unfinished }
        } else {
          fields.append((token.text, try Self.value(&tokens, depth)))
        }
      }
      guard closing == nil else { throw Self.unfinished }
    }

    private static let unfinished = ModelError(
      .malformed, "the text ends within a message or a list")

    private static func value(
      _ tokens: inout ArraySlice<(text: String, line: Int)>, _ depth: Int
    ) throws(ModelError) -> Value {
      guard let token = tokens.popFirst() else { throw unfinished }
      switch token.text {
      case "{", "<":
        var message = ProtobufText()
        try message.readFields(&tokens, closing: token.text == "{" ? "}" : ">", depth: depth + 1)
        return .message(message)
      case let text where text.hasPrefix("\""): return .scalar(String(text.dropFirst()))
      case let text
      where text.unicodeScalars.first.map({
        $0.properties.isAlphabetic || $0.properties.numericType != nil
          || "_-+.".unicodeScalars.contains($0)
      }) == true:
        return .scalar(text)
      default:
        throw .unexpected(
          "line \(token.line)", expected: "a value", got: "\"\(token.text.visible)\"",
          code: .malformed)
      }
    }
  }
#endif
