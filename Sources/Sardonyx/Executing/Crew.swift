import Dispatch
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The threads of a run: the caller and workers that claim chunks of work as they come.
///
/// A run wraps itself in `withWorkers` and every kernel calls `perform`. Each thread begins with chunks
/// of its own, the same part of every job, so that it mostly reads what it has written before, and
/// then takes over what is left of others. A worker that comes late delays nobody; only chunks that
/// were claimed are waited for. Results cannot depend on who does what as long as chunks do not depend
/// on the number of threads. A crew that was cancelled stays so: make one for each run.
final class Crew: Sendable {
  let threads: Int
  let instructions: InstructionSet
  let scratch: ScratchPool
  /// What the crew's work may hold in memory; nil for no limit.
  let account: MemoryAccount?
  /// Where the times of nodes and chunks are noted, if anybody asked for them.
  let profile: Profile?

  private let board: Board
  private let isBusy = Atomic(false)
  private let hasCallerCancelled = Atomic(false)
  private let roster = Mutex(Roster())

  init(
    threads: Int, deadline: ContinuousClock.Instant? = nil,
    instructions: InstructionSet = .current, scratch: ScratchPool = ScratchPool(),
    account: MemoryAccount? = nil, profile: Profile? = nil
  ) {
    self.threads = max(1, threads)
    self.instructions = instructions
    self.scratch = scratch
    self.account = account
    self.profile = profile
    board = Board(deadline: deadline, participants: self.threads, profile: profile)
  }

  /// Whether the rest of the work is to be dropped: after `cancel`, past the deadline, with more
  /// memory held than allowed, or when the caller's task is cancelled.
  var isCancelled: Bool { board.isCancelled || account?.isExceeded ?? false }

  /// Whether a cancellation has been noticed already, which costs next to nothing to ask.
  var wasCancelled: Bool { board.wasCancelled || account?.isExceeded ?? false }

  func cancel() { board.cancel() }

  /// Cancels the work in the name of whoever waits for it; may be called from any thread.
  func cancelForCaller() {
    hasCallerCancelled.store(true, ordering: .relaxed)
    board.cancel()
  }

  /// Calls `body` on a thread that may block.
  static func performElsewhere(_ body: @escaping @Sendable () -> Void) {
    DispatchQueue.global().async(execute: body)
  }

  /// When the work is to end at the latest.
  var deadline: ContinuousClock.Instant? { board.deadline }

  /// Why the work is to end early, if it is.
  var interruption: ModelError? {
    guard isCancelled else { return nil }
    if let account, account.isExceeded { return account.fault("the memory of the run") }
    if Task.isCancelled || hasCallerCancelled.load(ordering: .relaxed) {
      return ModelError(.cancelled, "the run was cancelled")
    }
    return ModelError(.limit, "the run took longer than its time limit")
  }

  /// Keeps the workers, once `perform` has called them, at hand during `body`; outside, it has to
  /// call them anew each time.
  func withWorkers<Result, Failure>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    guard threads > 1 else { return try asCurrent(body) }
    roster.withLock { $0.depth += 1 }
    defer { end() }
    return try asCurrent(body)
  }

  /// Makes the current thread work for this crew: ``Interruption`` asks it.
  func asCurrent<Result, Failure>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let result = Interruption.$crew.withValue(self) {
      Swift.Result { () throws(Failure) in try body() }
    }
    return try result.get()
  }

  /// Jobs that call the workers of a run have at least so many chunks: a thread takes some tens of
  /// microseconds to come, and a chunk is about five of them.
  private static let chunksWorthACall = 4

  /// Calls `body` with each of 0 ..< chunks, in any order and on any thread, and returns when all
  /// is done.
  ///
  /// After a cancellation the chunks that are left are skipped. Inside a chunk, or while another
  /// thread has the crew, it all happens on the caller, as do small jobs until a larger one has called
  /// the workers.
  func perform(_ chunks: Int, _ body: @Sendable (Int) -> Void) {
    // A node's own check of its run's end is enough for work that is done at once.
    if chunks == 1 { return body(0) }
    guard chunks > 1, threads > 1,
      isBusy.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
    else { return performAlone(chunks, body) }
    defer { isBusy.store(false, ordering: .releasing) }
    guard let shift = begin(calling: chunks >= Self.chunksWorthACall) else {
      return performAlone(chunks, body)
    }
    defer { end() }
    withoutActuallyEscaping(body) { body in
      for first in stride(from: 0, to: chunks, by: Board.largestJob) {
        let count = min(chunks - first, Board.largestJob)
        board.publish(count) { body(first + $0) }
        for worker in shift.workers.prefix(count - 1) { worker.wake() }
        while board.work(as: 0) {}
        board.wait(for: count)
      }
    }
  }

  private func performAlone(_ chunks: Int, _ body: (Int) -> Void) {
    for chunk in 0..<max(0, chunks) {
      if board.isCancelled { return }
      body(chunk)
    }
  }

  /// - Returns: nil where no workers are at hand and none are to be called.
  private func begin(calling isWorthIt: Bool) -> Shift? {
    roster.withLock { roster in
      guard roster.shift != nil || isWorthIt else { return nil }
      roster.depth += 1
      if let shift = roster.shift { return shift }
      let shift = Shift(workers: (1..<threads).map { Worker(participant: $0) })
      for worker in shift.workers {
        ServingThreads.shared.call { [board] in worker.serve(board, during: shift) }
      }
      roster.shift = shift
      return shift
    }
  }

  private func end() {
    roster.withLock { roster in
      roster.depth -= 1
      guard roster.depth == 0 else { return }
      roster.shift?.end()
      roster.shift = nil
    }
  }

  private struct Roster {
    var depth = 0
    var shift: Shift?
  }
}

/// A part of the chunks of a job, in order for the thread that it is meant for.
private final class Lane: Sendable {
  /// The job's number, the next chunk and the end of the chunks, in 20, 22 and 22 bits: one exchange
  /// claims a chunk of just the job that was looked at.
  private let ticket = Atomic<UInt64>(0)
  /// Keeps other lanes off the cache line.
  private let padding: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) =
    (0, 0, 0, 0, 0, 0, 0, 0)

  func publish(_ chunks: Range<Int>, job: UInt64) {
    ticket.store(
      job << 44 | UInt64(chunks.lowerBound) << 22 | UInt64(chunks.upperBound),
      ordering: .sequentiallyConsistent)
  }

  var hasWork: Bool {
    let seen = ticket.load(ordering: .sequentiallyConsistent)
    return (seen >> 22) & 0x3FFFFF < seen & 0x3FFFFF
  }

  /// Claims the first chunk that is left, or the last one for another thread than the lane's own.
  func claim(first: Bool) -> Int? {
    var seen = ticket.load(ordering: .acquiring)
    while true {
      let (next, end) = ((seen >> 22) & 0x3FFFFF, seen & 0x3FFFFF)
      guard next < end else { return nil }
      let claim = ticket.compareExchange(
        expected: seen, desired: first ? seen + 1 << 22 : seen - 1,
        ordering: .acquiringAndReleasing)
      if claim.exchanged { return Int(first ? next : end - 1) }
      seen = claim.original
    }
  }
}

/// Where one job at a time is posted and its chunks are claimed.
private final class Board: Sendable {
  static let largestJob = 1 << 22

  /// One for each participant.
  private let lanes: [Lane]
  /// Counts jobs, modulo what a lane can tell apart.
  private let job = Atomic<UInt64>(0)
  private let finished = Atomic(0)
  private let cancelled = Atomic(false)
  let deadline: ContinuousClock.Instant?
  private let hasDeadline: Bool
  private let profile: Profile?
  /// Written only while no chunk is left to claim; read only by who has claimed one.
  nonisolated(unsafe) private var body: (@Sendable (Int) -> Void)?

  init(deadline: ContinuousClock.Instant?, participants: Int, profile: Profile?) {
    lanes = participants > 1 ? (0..<participants).map { _ in Lane() } : []
    self.deadline = deadline
    hasDeadline = deadline != nil
    self.profile = profile
  }

  var wasCancelled: Bool { cancelled.load(ordering: .relaxed) }

  var isCancelled: Bool {
    if wasCancelled { return true }
    if isLate || Task.isCancelled { cancel() }
    return wasCancelled
  }

  private var isLate: Bool {
    guard hasDeadline, let deadline else { return false }
    return ContinuousClock.now >= deadline
  }

  func cancel() { cancelled.store(true, ordering: .relaxed) }

  var hasWork: Bool { lanes.contains { $0.hasWork } }

  func publish(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    unsafe self.body = body
    finished.store(0, ordering: .relaxed)
    let number = job.wrappingAdd(1, ordering: .relaxed).newValue
    for (index, lane) in lanes.enumerated() {
      lane.publish(
        count * index / lanes.count..<count * (index + 1) / lanes.count, job: number)
    }
  }

  /// Does one chunk, if one is left: of the participant's own, or else of another's.
  func work(as participant: Int) -> Bool {
    for offset in lanes.indices {
      let lane = lanes[(participant + offset) % lanes.count]
      if let chunk = lane.claim(first: offset == 0) {
        if !isCancelled { perform(chunk, as: participant) }
        finished.add(1, ordering: .releasing)
        return true
      }
    }
    return false
  }

  /// Returns without a hold on the body, whose end of life `Crew.perform` checks.
  @inline(never) private func perform(_ chunk: Int, as participant: Int) {
    let start = profile?.now()
    unsafe body?(chunk)
    if let start { profile?.recordChunk(thread: participant, since: start) }
  }

  /// Returns when all chunks are finished.
  func wait(for count: Int) {
    var turns = 0
    while finished.load(ordering: .acquiring) < count {
      turns += 1
      if turns < 1000 { relax() } else { sched_yield() }
    }
    unsafe body = nil
  }
}

/// The time from the first `begin` to the last `end`.
private final class Shift: Sendable {
  let workers: [Worker]
  private let ended = Atomic(false)

  init(workers: [Worker]) { self.workers = workers }

  var isOver: Bool { ended.load(ordering: .sequentiallyConsistent) }

  func end() {
    ended.store(true, ordering: .sequentiallyConsistent)
    for worker in workers { worker.wake() }
  }
}

/// The threads on which workers serve. One whose shift is over waits a moment for the next: runs that
/// follow each other closely have their workers at once, which would else take some tens of microseconds
/// to come.
private final class ServingThreads: Sendable {
  static let shared = ServingThreads()

  private struct Waiting {
    /// Threads that wait, and what some of them are to do next; never more than these.
    var threads = 0
    var calls: [@Sendable () -> Void] = []
  }

  private let waiting = Mutex(Waiting())
  private let callCount = Atomic(0)

  func call(_ work: @escaping @Sendable () -> Void) {
    let isTaken = waiting.withLock { waiting in
      guard waiting.threads > waiting.calls.count else { return false }
      waiting.calls.append(work)
      callCount.store(waiting.calls.count, ordering: .releasing)
      return true
    }
    if isTaken { return }
    DispatchQueue.global(qos: .userInitiated).async { [self] in
      work()
      while let next = nextCall() { next() }
    }
  }

  /// What was called for within a moment.
  private func nextCall() -> (@Sendable () -> Void)? {
    waiting.withLock { $0.threads += 1 }
    for _ in 0..<Worker.patience {
      if callCount.load(ordering: .acquiring) > 0, let call = takeCall(orLeave: false) {
        return call
      }
      relax()
    }
    return takeCall(orLeave: true)
  }

  private func takeCall(orLeave isLast: Bool) -> (@Sendable () -> Void)? {
    waiting.withLock { waiting in
      let call = waiting.calls.popLast()
      callCount.store(waiting.calls.count, ordering: .releasing)
      if call != nil || isLast { waiting.threads -= 1 }
      return call
    }
  }
}

private final class Worker: Sendable {
  /// Turns of waiting before a thread sleeps: some tens of microseconds.
  static let patience = 1500

  private let participant: Int
  private let isAsleep = Atomic(false)
  private let bell = DispatchSemaphore(value: 0)

  init(participant: Int) { self.participant = participant }

  func serve(_ board: Board, during shift: Shift) {
    var turns = 0
    while !shift.isOver {
      if board.work(as: participant) {
        turns = 0
      } else if turns < Self.patience {
        turns += 1
        relax()
      } else {
        sleep { board.hasWork || shift.isOver }
        turns = 0
      }
    }
  }

  /// Sleeps until woken, unless `isNeeded` by now: the flag is up before that is asked, so that no
  /// bell is missed.
  private func sleep(unless isNeeded: () -> Bool) {
    isAsleep.store(true, ordering: .sequentiallyConsistent)
    if isNeeded(), isAsleep.exchange(false, ordering: .sequentiallyConsistent) { return }
    bell.wait()
  }

  func wake() {
    guard isAsleep.load(ordering: .sequentiallyConsistent) else { return }
    if isAsleep.exchange(false, ordering: .sequentiallyConsistent) { bell.signal() }
  }
}
