import CKernels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The C kernels compiled for one instruction set.
///
/// Whoever runs kernels takes them from its crew's `instructions`; packed constants remember whose
/// tiles they fit.
@safe final class InstructionSet: Sendable {
  let name: String
  let kernels: Kernels

  private init(at index: Int) {
    unsafe kernels = kernels_at(index).pointee
    name = unsafe String(cString: kernels.name)
  }

  /// Those that this machine can run, best first; the last one runs everywhere.
  static let available = (0..<kernels_count).filter { kernels_run_here($0) }.map {
    InstructionSet(at: $0)
  }

  /// The best one, unless the environment asks for a lower one; an unknown wish is ignored here and
  /// told by `named`.
  static let current = (try? named(requestedName)) ?? available[0]

  /// The one of that name; the best one for nil.
  static func named(_ name: String?) throws(UnknownInstructionSet) -> InstructionSet {
    guard let name else { return available[0] }
    guard let found = available.first(where: { $0.name == name }) else {
      throw UnknownInstructionSet(name: name)
    }
    return found
  }

  /// The environment variable SARDONYX_ISA.
  static var requestedName: String? {
    unsafe getenv("SARDONYX_ISA").map { unsafe String(cString: $0) }
  }
}

/// SARDONYX_ISA names nothing that this machine can run.
struct UnknownInstructionSet: Error, Equatable, CustomStringConvertible {
  let name: String

  var description: String {
    let names = InstructionSet.available.map(\.name).joined(separator: ", ")
    return "SARDONYX_ISA: expected one of \(names), got \(name)"
  }
}

/// Tells the CPU that this thread is waiting in a loop.
func relax() { kernels_relax() }
