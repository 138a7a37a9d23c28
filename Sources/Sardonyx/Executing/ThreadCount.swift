#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// How many threads a session uses unless told: as many as this process may keep busy.
struct ThreadCount: Equatable, Sendable {
  let count: Int
  /// A sentence that says which bound decided.
  let reason: String

  static let standard = ThreadCount(
    online: onlineProcessors, affinity: affinity, quota: ControlGroup.quota)

  /// The least of the processors that are online, those the process is bound to, and the control
  /// group's share of time.
  init(online: Int, affinity: Int?, quota: Double?) {
    var (count, reason) = (max(1, online), "\(online) processors are online")
    if let affinity, affinity < count {
      (count, reason) = (
        max(1, affinity), "the process is bound to \(affinity) of \(online) processors"
      )
    }
    if let quota, max(1, Int(quota.rounded(.up))) < count {
      (count, reason) = (
        max(1, Int(quota.rounded(.up))), "the control group may use \(quota) processors' time"
      )
    }
    self.count = count
    self.reason = "\(count) \(count == 1 ? "thread" : "threads"): \(reason)"
  }

  private static var onlineProcessors: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

  /// Processors that Linux lets this process run on.
  private static var affinity: Int? {
    let status = contents(ofFile: "/proc/self/status") ?? ""
    let key = "Cpus_allowed_list:"
    return status.split(whereSeparator: \.isNewline).first { $0.hasPrefix(key) }
      .flatMap { processors(inList: $0.dropFirst(key.count).filter { !$0.isWhitespace }) }
  }

  /// "0-3,8" → 5; nil when it says nothing.
  static func processors(inList list: String) -> Int? {
    var count = 0
    for range in list.split(separator: ",") {
      let ends = range.split(separator: "-").compactMap { Int($0) }
      guard let first = ends.first, let last = ends.last, first <= last else { return nil }
      count += last - first + 1
    }
    return count > 0 ? count : nil
  }
}

/// The share of processor time that Linux's control groups leave to this process.
enum ControlGroup {
  /// In processors; nil without a limit.
  static var quota: Double? {
    let memberships = contents(ofFile: "/proc/self/cgroup") ?? ""
    return [versionTwo(memberships), versionOne(memberships)].compactMap(\.self).min()
  }

  /// "200000 100000", or "max 100000", in the group and each group above it.
  private static func versionTwo(_ memberships: String) -> Double? {
    guard let path = path(of: "", in: memberships) else { return nil }
    return places(upFrom: path).compactMap { place in
      contents(ofFile: "/sys/fs/cgroup\(place)/cpu.max").flatMap(share)
    }.min()
  }

  /// The same two numbers in a file each; a quota of -1 is none.
  private static func versionOne(_ memberships: String) -> Double? {
    guard let path = path(of: "cpu", in: memberships) else { return nil }
    return places(upFrom: path).compactMap { place in
      let folder = "/sys/fs/cgroup/cpu\(place)"
      guard let quota = contents(ofFile: "\(folder)/cpu.cfs_quota_us"),
        let period = contents(ofFile: "\(folder)/cpu.cfs_period_us")
      else { return nil }
      return share("\(quota) \(period)")
    }.min()
  }

  static func share(_ text: String) -> Double? {
    let words = text.split(whereSeparator: \.isWhitespace).map { Double($0) }
    guard words.count == 2, let quota = words[0], let period = words[1], quota > 0, period > 0
    else { return nil }
    return quota / period
  }

  /// The path in a line "number:controllers:path".
  static func path(of controller: String, in memberships: String) -> String? {
    for line in memberships.split(whereSeparator: \.isNewline) {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { continue }
      let controllers = parts[1].split(separator: ",", omittingEmptySubsequences: false)
      if controllers.contains(Substring(controller)) { return String(parts[2]) }
    }
    return nil
  }

  /// "/a/b" → "/a/b", "/a", "".
  static func places(upFrom path: String) -> [String] {
    let names = path.split(separator: "/")
    return (0...names.count).reversed().map { count in
      names.prefix(count).map { "/\($0)" }.joined()
    }
  }
}

/// The first bytes of a small file of the system; nil without one.
private func contents(ofFile path: String) -> String? {
  guard let file = unsafe fopen(path, "r") else { return nil }
  defer { unsafe _ = fclose(file) }
  var bytes = [UInt8](repeating: 0, count: 1 << 14)
  let count = unsafe fread(&bytes, 1, bytes.count, file)
  return String(decoding: bytes[..<count], as: UTF8.self)
}
