#if Server
  import NIOCore
  import Synchronization

  /// Tells requests that are being answered when their client goes away.
  final class Connections: Sendable {
    private let watched = Mutex<[ObjectIdentifier: @Sendable () -> Void]>([:])

    /// Calls `action` once the client closes the connection, until ``forget(_:)``.
    func watch(_ channel: any Channel, _ action: @escaping @Sendable () -> Void) {
      watched.withLock { $0[ObjectIdentifier(channel)] = action }
      if !channel.isActive { action() }
    }

    func forget(_ channel: any Channel) {
      watched.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(channel)) }
    }

    /// The part of a connection's pipeline that notices its end.
    func handler() -> Handler { Handler(self) }

    fileprivate func didClose(_ channel: any Channel) {
      watched.withLock { $0[ObjectIdentifier(channel)] }?()
    }

    final class Handler: ChannelInboundHandler, RemovableChannelHandler {
      typealias InboundIn = NIOAny

      private let connections: Connections

      fileprivate init(_ connections: Connections) { self.connections = connections }

      func channelInactive(context: ChannelHandlerContext) {
        connections.didClose(context.channel)
        context.fireChannelInactive()
      }

      func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed {
          connections.didClose(context.channel)
        }
        context.fireUserInboundEventTriggered(event)
      }
    }
  }
#endif
