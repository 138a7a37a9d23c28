#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// What computes.
public enum Processor {
  /// The processor's name as the system tells it.
  public static let name: String = systemName ?? "a processor without a name"

  /// The instruction set whose kernels run: avx512vnni, avx512, avx2vnni, avx2, neon or base, or what
  /// the environment variable SARDONYX_ISA asks for.
  public static var instructionSet: String { InstructionSet.current.name }

  #if os(Linux)
    private static var systemName: String? {
      guard let file = unsafe fopen("/proc/cpuinfo", "r") else { return nil }
      defer { unsafe fclose(file) }
      var line = [CChar](repeating: 0, count: 1024)
      while unsafe fgets(&line, Int32(line.count), file) != nil {
        let text = String(
          decoding: line.prefix { $0 != 0 && $0 != 10 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        guard text.hasPrefix("model name"), let colon = text.firstIndex(of: ":") else { continue }
        return String(text[text.index(after: colon)...].drop { $0 == " " })
      }
      return nil
    }
  #else
    private static var systemName: String? {
      var size = 0
      guard unsafe sysctlbyname("machdep.cpu.brand_string", nil, &size, nil, 0) == 0 else {
        return nil
      }
      var name = [CChar](repeating: 0, count: size)
      guard unsafe sysctlbyname("machdep.cpu.brand_string", &name, &size, nil, 0) == 0 else {
        return nil
      }
      return String(
        decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
  #endif
}
