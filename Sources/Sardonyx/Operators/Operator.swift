/// One ONNX operator whole: its attributes, its shapes, its computation.
///
/// A conforming type is a small struct that holds the attributes of one node, and reads them in
/// `init(_ node: inout NodeReader) throws(ModelError)`, where `node.version` tells operator versions
/// apart. To add an operator, write the struct in its family's file and name it in the table at the
/// top of that file.
protocol Operator: Sendable {
  /// Types and shapes of all outputs: the only shape code, asked by planner and executor alike.
  ///
  /// Shapes of inputs are read with ``Facts/shape(_:)`` and values with ``Facts/integers(_:)`` and
  /// its like, which throw ``ModelError/Code/undetermined`` while they are not known; the planner
  /// then asks again during the run. A shape that depends on data is left nil, and ``run(_:_:)``
  /// places the output itself with ``Outputs/place(_:_:_:)``.
  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact]

  /// Computes the outputs, whose memory is ready in `outputs`.
  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError)

  /// What ``run(_:_:)`` does, made ready once for inputs and outputs of known types and shapes;
  /// values may be known too, and outputs that nobody wants are nil, the first one never. nil where
  /// this operator, or this case of it, is left to `run`.
  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation?

  /// Prepares constant inputs once per session, such as packing weights.
  mutating func prepare(_ inputs: Facts) throws(ModelError)

  /// Whether computing still reads the constant that input `index` is: what ``prepare(_:)`` has put
  /// into a form of the operator's own need not be in memory.
  func reads(_ index: Int) -> Bool

  /// The input whose memory output 0 may take over when nothing else reads it: `run` then finds
  /// both at the same address, and must read each element before it writes it.
  var reusableInput: Int? { get }

  /// Whether output 0 always has the bytes of input 0, as for Reshape: `run` then copies them with
  /// ``Destination/copy(_:)``, which does nothing where the memory is shared.
  var isView: Bool { get }

  /// Whether output 0 is the bytes of the inputs one after the other: inputs that lie there already
  /// are then left alone by `run`.
  func concatenates(_ inputs: Facts) -> Bool

  /// The graphs among the attributes, for passes to improve.
  var bodies: [Body] { get set }

  /// The multiply-adds of one computation, for the operators where they dominate; shapes are known.
  func multiplyAdds(_ inputs: Facts, _ outputs: [Fact]) -> Int

  /// How it computes, and in which layout, where there is more than one way, in few words.
  var method: String? { get }

  /// False for operators whose result differs from run to run or that have an effect.
  var isDeterministic: Bool { get }
}

extension Operator {
  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? { nil }
  mutating func prepare(_ inputs: Facts) throws(ModelError) {}
  func reads(_ index: Int) -> Bool { true }
  var reusableInput: Int? { nil }
  var isView: Bool { false }
  func concatenates(_ inputs: Facts) -> Bool { false }
  var bodies: [Body] {
    get { [] }
    set { precondition(newValue.isEmpty) }
  }
  func multiplyAdds(_ inputs: Facts, _ outputs: [Fact]) -> Int { 0 }
  var method: String? { nil }
  var isDeterministic: Bool { true }
}

/// An operator whose outputs show elements of input 0, rearranged but not changed.
protocol Viewing: Operator {
  /// What an output shows of what input 0 shows; nil where no view does.
  func view(_ output: Int, of whole: StridedView, _ inputs: Facts) throws(ModelError)
    -> StridedView?
}

/// An operator whose result can go through a function before it is stored.
protocol ActivationAccepting: Operator {
  var activation: Activation { get set }
}

/// The operators of one family by name: a table of contents at the top of its file.
typealias OperatorFamily = [String: @Sendable (inout NodeReader) throws(ModelError) -> any Operator]
