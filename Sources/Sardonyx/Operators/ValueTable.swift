/// Values by number, such as those of a graph during a run; used by one thread at a time.
@safe final class ValueTable: @unchecked Sendable {
  let count: Int
  private let start: UnsafeMutablePointer<Value?>

  init(_ values: some Collection<Value?>) {
    count = values.count
    unsafe start = UnsafeMutablePointer.allocate(capacity: max(count, 1))
    for (number, value) in values.enumerated() {
      unsafe (start + number).initialize(to: value)
    }
  }

  subscript(_ number: Int) -> Value? {
    get {
      precondition(number >= 0 && number < count)
      return unsafe start[number]
    }
    set {
      precondition(number >= 0 && number < count)
      unsafe start[number] = newValue
    }
  }

  deinit {
    unsafe start.deinitialize(count: count)
    unsafe start.deallocate()
  }
}
