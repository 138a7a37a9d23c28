#if Server
  import HTTPTypes
  import Sardonyx

  /// Why a request gets no answer, with the status of HTTP that says so.
  struct Refusal: Error {
    let status: HTTPResponse.Status
    let message: String
    /// Seconds after which the same request may succeed.
    var retryAfter: Int?
    /// The methods that a path does have.
    var allowed: String?

    init(_ status: HTTPResponse.Status, _ message: String, retryAfter: Int? = nil) {
      self.status = status
      self.message = message
      self.retryAfter = retryAfter
    }

    /// The sentence that the command would say, too.
    init(_ error: ModelError) {
      let status: HTTPResponse.Status =
        switch error.code {
        case .mismatch, .malformed, .unreadable, .unsupported: .badRequest
        case .limit: .serviceUnavailable
        case .cancelled: .clientClosedRequest
        case .invalid, .undetermined: .internalServerError
        }
      self.init(status, error.description)
    }

    /// What `error` means to the client.
    init(any error: any Error) {
      switch error {
      case let refusal as Refusal: self = refusal
      case let error as ModelError: self.init(error)
      case is CancellationError: self.init(.clientClosedRequest, "the request was cancelled")
      default: self.init(.internalServerError, "\(error)")
      }
    }
  }

  extension HTTPResponse.Status {
    /// What others log, too, for a client that went away.
    static let clientClosedRequest = HTTPResponse.Status(
      code: 499, reasonPhrase: "Client Closed Request")
  }
#endif
