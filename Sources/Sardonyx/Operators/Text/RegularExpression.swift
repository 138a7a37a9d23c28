/// A regular expression in RE2's syntax, without back references, matched in time that grows
/// linearly with the text whatever the pattern.
///
/// The pattern becomes a program for a machine that follows all ways to match at once, the
/// preferred ones first.
struct RegularExpression: Sendable {
  /// A step of the program; those without a target go on with the next.
  enum Step: Sendable {
    case scalar(ScalarTest)
    case assertion(Assertion)
    /// Goes on at both places; a match by way of the first is preferred.
    case fork(Int, Int)
    case jump(Int)
    case match
  }

  /// A condition on a place between two scalars.
  enum Assertion: Sendable {
    case textStart, textEnd, lineStart, lineEnd, wordBoundary, noWordBoundary
  }

  private let program: [Step]
  /// What all scalars of a match are, where a match is any number of these, as many as there are.
  let run: ScalarTest?

  /// - Throws: ``ModelError`` (invalid) where the pattern is not well-formed, limit where it needs
  ///   too many steps.
  init(_ pattern: String) throws(ModelError) {
    var parser = RegularExpressionParser(pattern)
    let tree = try parser.pattern()
    program = try tree.program
    if case .repetition(.scalar(let set), least: 0...1, most: nil, isGreedy: true) = tree {
      run = ScalarTest(set)
    } else {
      run = nil
    }
  }

  func matches(whole text: String) -> Bool {
    var machine = machine
    return match(Array(text.unicodeScalars), from: 0, wholly: true, &machine) != nil
  }

  /// The first match at or after a place: of those that start first, the preferred.
  func firstMatch(
    in text: [Unicode.Scalar], from start: Int, _ machine: inout Machine
  ) -> Range<Int>? {
    match(text, from: start, wholly: false, &machine)
  }

  /// What matching needs; one serves many matches.
  var machine: Machine { Machine(program.count) }

  /// The memory of the machine that runs a program.
  struct Machine {
    fileprivate var current: Threads
    fileprivate var next: Threads
    fileprivate var pending: [Int] = []

    fileprivate init(_ count: Int) {
      current = Threads(count)
      next = Threads(count)
    }
  }

  private func match(
    _ text: [Unicode.Scalar], from first: Int, wholly: Bool, _ machine: inout Machine
  ) -> Range<Int>? {
    machine.current.removeAll()
    var best: Range<Int>?
    var interruption = Interruption()
    for place in first...text.count {
      if interruption.isDue(after: 20 * machine.current.list.count + 20) { break }
      if best == nil && (!wholly || place == first) {
        follow(
          Thread(step: 0, start: place), at: place, in: text, &machine.current, &machine.pending)
      }
      machine.next.removeAll()
      for thread in machine.current.list {
        switch program[thread.step] {
        case .scalar(let set) where place < text.count && set.contains(text[place]):
          let moved = Thread(step: thread.step + 1, start: thread.start)
          follow(moved, at: place + 1, in: text, &machine.next, &machine.pending)
          continue
        case .match where !wholly || place == text.count:
          best = thread.start..<place
        default:
          continue
        }
        // Threads behind one that has matched are less preferred.
        break
      }
      swap(&machine.current, &machine.next)
      if machine.current.list.isEmpty && (wholly || best != nil) { break }
    }
    return best
  }

  /// Adds a thread with all that follow from it without reading a scalar, preferred ones first.
  private func follow(
    _ thread: Thread, at place: Int, in text: [Unicode.Scalar], _ threads: inout Threads,
    _ pending: inout [Int]
  ) {
    pending.append(thread.step)
    while let step = pending.popLast() {
      guard threads.visit(step) else { continue }
      switch program[step] {
      case .jump(let target): pending.append(target)
      case .fork(let preferred, let other):
        pending.append(other)
        pending.append(preferred)
      case .assertion(let assertion):
        if assertion.holds(at: place, in: text) { pending.append(step + 1) }
      case .scalar, .match: threads.list.append(Thread(step: step, start: thread.start))
      }
    }
  }
}

/// One way to match that is being followed.
private struct Thread {
  let step: Int
  /// Where its match starts.
  let start: Int
}

/// Threads in order of preference, at most one for each step of the program.
private struct Threads {
  var list: [Thread] = []
  private var lastVisit: [Int]
  private var round = 1

  init(_ count: Int) { lastVisit = Array(repeating: 0, count: count) }

  /// Whether this is the first visit to a step since the last removal.
  mutating func visit(_ step: Int) -> Bool {
    if lastVisit[step] == round { return false }
    lastVisit[step] = round
    return true
  }

  mutating func removeAll() {
    list.removeAll(keepingCapacity: true)
    round += 1
  }
}

extension RegularExpression.Assertion {
  fileprivate func holds(at place: Int, in text: [Unicode.Scalar]) -> Bool {
    func isWord(_ place: Int) -> Bool {
      text.indices.contains(place) && ScalarSet.wordScalars.contains(text[place])
    }
    return switch self {
    case .textStart: place == 0
    case .textEnd: place == text.count
    case .lineStart: place == 0 || text[place - 1] == "\n"
    case .lineEnd: place == text.count || text[place] == "\n"
    case .wordBoundary: isWord(place - 1) != isWord(place)
    case .noWordBoundary: isWord(place - 1) == isWord(place)
    }
  }
}

/// The structure of a pattern.
indirect enum RegularExpressionTree {
  case scalar(ScalarSet)
  case assertion(RegularExpression.Assertion)
  case sequence([RegularExpressionTree])
  case choice([RegularExpressionTree])
  /// - Parameter most: nil for any number.
  case repetition(RegularExpressionTree, least: Int, most: Int?, isGreedy: Bool)

  /// More than any sensible pattern needs.
  private static let stepLimit = 20_000

  /// The steps that match this pattern.
  fileprivate var program: [RegularExpression.Step] {
    get throws(ModelError) {
      guard stepCount < Self.stepLimit else {
        throw ModelError(.limit, "the pattern needs more than \(Self.stepLimit) steps")
      }
      var program: [RegularExpression.Step] = []
      append(to: &program)
      return program + [.match]
    }
  }

  /// At least the number of steps of the program, at most a little more than the limit.
  private var stepCount: Int {
    let count: Int =
      switch self {
      case .scalar, .assertion: 1
      case .sequence(let parts), .choice(let parts):
        parts.reduce(0) { min($0 + $1.stepCount + 2, Self.stepLimit) }
      case .repetition(let part, let least, let most, _):
        (part.stepCount + 2) * (max(least, most ?? 0) + 1)
      }
    return min(count, Self.stepLimit)
  }

  private func append(to program: inout [RegularExpression.Step]) {
    switch self {
    case .scalar(let set): program.append(.scalar(ScalarTest(set)))
    case .assertion(let assertion): program.append(.assertion(assertion))
    case .sequence(let parts): for part in parts { part.append(to: &program) }
    case .choice(let parts): Self.append(choice: parts[...], to: &program)
    case .repetition(let part, let least, let most, let isGreedy):
      for _ in 0..<least { part.append(to: &program) }
      guard let most else { return part.append(star: isGreedy, to: &program) }
      part.append(atMost: most - least, isGreedy, to: &program)
    }
  }

  private static func append(
    choice parts: ArraySlice<RegularExpressionTree>, to program: inout [RegularExpression.Step]
  ) {
    guard parts.count > 1, let part = parts.first else {
      parts.first?.append(to: &program)
      return
    }
    let fork = program.count
    program.append(.match)
    part.append(to: &program)
    let jump = program.count
    program.append(.match)
    program[fork] = .fork(fork + 1, program.count)
    append(choice: parts.dropFirst(), to: &program)
    program[jump] = .jump(program.count)
  }

  private func append(star isGreedy: Bool, to program: inout [RegularExpression.Step]) {
    let fork = program.count
    program.append(.match)
    append(to: &program)
    program.append(.jump(fork))
    program[fork] = Self.fork(into: fork + 1, past: program.count, isGreedy)
  }

  /// Nested, so that leaving out one repetition leaves out those behind it.
  private func append(
    atMost count: Int, _ isGreedy: Bool, to program: inout [RegularExpression.Step]
  ) {
    var forks: [Int] = []
    for _ in 0..<count {
      forks.append(program.count)
      program.append(.match)
      append(to: &program)
    }
    for fork in forks { program[fork] = Self.fork(into: fork + 1, past: program.count, isGreedy) }
  }

  private static func fork(into body: Int, past end: Int, _ isGreedy: Bool)
    -> RegularExpression.Step
  {
    isGreedy ? .fork(body, end) : .fork(end, body)
  }
}
