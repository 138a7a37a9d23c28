import Dispatch
import Sardonyx
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Tries mutated models in one process, which ends at the first that it cannot survive; tools/fuzz
/// starts it again behind that.
@main
struct Fuzz {
  /// The part under trial, and the nanoseconds at which it began: of processor time, and of all.
  private static let part = Atomic(0)
  private static let processorBegan = Atomic<UInt64>(0)
  private static let began = Atomic<UInt64>(0)
  private static let number = Atomic(0)
  private static let slowest = Mutex((milliseconds: 0, part: Trial.Part.end, number: 0))
  /// Nanoseconds that a part may take beyond the time limit.
  private static let patience = Atomic<UInt64>(1_000_000_000)

  static let timeLimit = 0.5
  static let memoryLimit = 200 << 20

  static func main() {
    var arguments = Arguments(CommandLine.arguments.dropFirst())
    if let seconds = arguments.text("--patience").flatMap({ Double($0) }) {
      patience.store(UInt64(seconds * 1e9), ordering: .relaxed)
    }
    if let file = arguments.text("--replay") {
      watch()
      let outcome = trial.run(contents(file) ?? [])
      _ = checkMemory()
      print(outcome.rawValue)
      return
    }
    if let folder = arguments.text("--replay-all") {
      watch()
      let paths = files(folder)
      for path in paths {
        note("\(path): \(trial.run(contents(path) ?? []).rawValue)")
      }
      return
    }
    if let file = arguments.text("--overlap") { return overlap(contents(file) ?? []) }
    let folders = arguments.texts("--seeds")
    let seeds = folders.flatMap(files).compactMap(contents).filter { $0.count < 1 << 16 }
    guard !seeds.isEmpty, let current = arguments.text("--current") else {
      print(
        """
        usage: sardonyx-fuzz --replay FILE
               sardonyx-fuzz --replay-all FOLDER
               sardonyx-fuzz --overlap FILE
               sardonyx-fuzz --seeds FOLDER… --current FILE [--seed N] [--from N] [--count N]
                             [--patience SECONDS]
        """)
      exit(64)
    }
    let seed = arguments.number("--seed") ?? 1
    let first = arguments.number("--from") ?? 0
    let count = arguments.number("--count") ?? 1000
    var mutator = Mutator(seed: UInt64(seed), seeds, operators: operatorNames(seeds))
    var outcomes: [Trial.Outcome: Int] = [:]
    var largest = (mebibytes: 0, number: first)
    watch()
    for number in first..<first + count {
      let bytes = mutator.file(number)
      store(bytes, current)
      store(Array("\(number)\n".utf8), current + ".number")
      Self.number.store(number, ordering: .relaxed)
      forgetPeak()
      outcomes[trial.run(bytes), default: 0] += 1
      let mebibytes = checkMemory()
      if mebibytes > largest.mebibytes { largest = (mebibytes, number) }
    }
    store(Array("\(first + count)\n".utf8), current + ".number")
    let summary = outcomes.sorted { $0.key.rawValue < $1.key.rawValue }
      .map { "\($0.key.rawValue) \($0.value)" }
    print(summary.joined(separator: ", "))
    slowest.withLock {
      print("slowest \($0.milliseconds) ms, \($0.part.rawValue) of \($0.number)")
    }
    print("largest \(largest.mebibytes) MiB, \(largest.number)")
  }

  private static var trial: Trial {
    Trial(timeLimit: timeLimit, memoryLimit: memoryLimit) { part in
      let processor = clockTime(CLOCK_PROCESS_CPUTIME_ID)
      let ended = Trial.Part.allCases[Self.part.load(ordering: .relaxed)]
      let spent = processor - processorBegan.load(ordering: .relaxed)
      let milliseconds = Int(spent / 1_000_000) / ended.threads
      slowest.withLock {
        guard ended != .end, milliseconds > $0.milliseconds else { return }
        $0 = (milliseconds, ended, number.load(ordering: .relaxed))
      }
      begin(part)
    }
  }

  // MARK: - Watching

  private static func begin(_ part: Trial.Part) {
    processorBegan.store(clockTime(CLOCK_PROCESS_CPUTIME_ID), ordering: .relaxed)
    began.store(clockTime(CLOCK_MONOTONIC), ordering: .relaxed)
    Self.part.store(Trial.Part.allCases.firstIndex(of: part)!, ordering: .relaxed)
  }

  /// Ends the process where a part takes too long after its limit, in processor time, since others
  /// may use the machine too; or a minute of any.
  private static func watch() {
    begin(.end)
    DispatchQueue.global(qos: .userInteractive).async { watchForever() }
  }

  private static func watchForever() {
    let allowed = UInt64(timeLimit * 1e9) + patience.load(ordering: .relaxed)
    while true {
      usleep(50_000)
      let part = Trial.Part.allCases[part.load(ordering: .relaxed)]
      let (processor, now) = (clockTime(CLOCK_PROCESS_CPUTIME_ID), clockTime(CLOCK_MONOTONIC))
      // A part that begins meanwhile may lie after these.
      let spent = processor - min(processor, processorBegan.load(ordering: .relaxed))
      let passed = now - min(now, began.load(ordering: .relaxed))
      guard part != .end, spent > UInt64(part.threads) * allowed || passed > 60_000_000_000 else {
        continue
      }
      fail(
        "hangs in \(part.rawValue): \(Double(spent) / 1e9) s of processor time, "
          + "\(Double(passed) / 1e9) s in all", 3)
    }
  }

  /// Ends the process where it took far more memory than it was allowed.
  /// - Returns: the most mebibytes since ``forgetPeak()``.
  private static func checkMemory() -> Int {
    guard let status = contents("/proc/self/status"),
      let line = String(decoding: status, as: UTF8.self).split(separator: "\n")
        .first(where: { $0.hasPrefix("VmHWM:") }),
      let kilobytes = Int(line.split(separator: " ").dropLast().last ?? "")
    else { return 0 }
    if kilobytes << 10 > memoryLimit + 200 << 20 { fail("takes \(kilobytes >> 10) MiB", 4) }
    return kilobytes >> 10
  }

  /// Has Linux forget the highest resident size: making a file may take more than trying it.
  private static func forgetPeak() { store([UInt8(ascii: "5")], "/proc/self/clear_refs") }

  private static func note(_ text: String) {
    var line = text + "\n"
    line.withUTF8 { unsafe _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }

  /// Runs one session from four threads at once, and others that are made at the same time.
  private static func overlap(_ bytes: [UInt8]) {
    guard let model = try? Model(bytes: bytes) else { fail("the model does not load", 1) }
    guard let shared = try? Session(model) else { fail("the model cannot be prepared", 1) }
    DispatchQueue.concurrentPerform(iterations: 64) { index in
      var options = Session.Options()
      options.threads = 1 + index % 3
      let session = index % 2 == 0 ? shared : (try? Session(model, options: options)) ?? shared
      let symbols = Dictionary(Inspection(model).symbols.map { ($0, 1 + index % 4) }) { a, _ in a }
      guard let inputs = trial.values(model, symbols) else { return }
      for _ in 0..<20 { _ = try? session.run(inputs) }
    }
    note("overlapping sessions: done")
  }

  private static func fail(_ text: String, _ status: Int32) -> Never {
    var line = "sardonyx-fuzz: \(text)\n"
    line.withUTF8 { unsafe _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
    _exit(status)
  }

  private static func operatorNames(_ seeds: [[UInt8]]) -> [String] {
    var names: Set<String> = []
    func collect(_ message: Message) {
      for field in message.fields {
        if case .message(let inner) = field.content { collect(inner) }
        if message.kind == .node, field.number == 4, case .bytes(let name) = field.content {
          names.insert(String(decoding: name, as: UTF8.self))
        }
      }
    }
    for seed in seeds { Message(seed[...], kind: .model).map(collect) }
    return names.sorted()
  }
}

/// `--name value` pairs.
private struct Arguments {
  private var values: [(name: String, value: String)] = []

  init(_ words: some Sequence<String>) {
    var name = ""
    for word in words {
      if word.hasPrefix("--") { name = word } else { values.append((name, word)) }
    }
  }

  func texts(_ name: String) -> [String] { values.filter { $0.name == name }.map(\.value) }
  mutating func text(_ name: String) -> String? { texts(name).last }
  mutating func number(_ name: String) -> Int? { text(name).flatMap { Int($0) } }
}

/// Nanoseconds of a clock.
private func clockTime(_ clock: clockid_t) -> UInt64 {
  var time = timespec()
  unsafe clock_gettime(clock, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

private func contents(_ path: String) -> [UInt8]? {
  guard let file = unsafe fopen(path, "r") else { return nil }
  defer { unsafe _ = fclose(file) }
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    let count = unsafe fread(&chunk, 1, chunk.count, file)
    if count == 0 { return bytes }
    bytes += chunk[..<count]
  }
}

private func store(_ bytes: [UInt8], _ path: String) {
  let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o666)
  guard descriptor >= 0 else { return }
  unsafe _ = bytes.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
  close(descriptor)
}

/// The models in a folder and in those below it, in the order of their paths.
private func files(_ folder: String) -> [String] {
  guard let directory = unsafe opendir(folder) else { return [folder] }
  defer { unsafe _ = closedir(directory) }
  var found: [String] = []
  while let entry = unsafe readdir(directory) {
    let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
      unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
    }
    if name.hasPrefix(".") { continue }
    let path = "\(folder)/\(name)"
    let isFolder = unsafe entry.pointee.d_type == UInt8(DT_DIR)
    if isFolder { found += files(path) } else if name.hasSuffix(".onnx") { found.append(path) }
  }
  return found.sorted()
}
