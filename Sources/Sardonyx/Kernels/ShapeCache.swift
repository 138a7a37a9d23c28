import Synchronization

/// What an operator makes once for each shape it meets.
final class ShapeCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
  /// Enough for the shapes that a model meets in turn.
  private let capacity = 16
  private let values = Mutex<[(key: Key, value: Value)]>([])

  /// The value for a key, made if it is not here; the oldest goes when there are too many. What was
  /// made while the run is to end is not kept.
  func value<Failure: Error>(
    for key: Key, _ make: () throws(Failure) -> Value
  ) throws(Failure) -> Value {
    if let known = values.withLock({ $0.first { $0.key == key }?.value }) { return known }
    let value = try make()
    // Its lists may be cut short where the run is to end.
    if Interruption.isDue { return value }
    values.withLock { values in
      if values.count >= capacity { values.removeFirst() }
      values.append((key, value))
    }
    return value
  }
}
