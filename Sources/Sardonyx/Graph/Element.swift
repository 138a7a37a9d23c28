/// A Swift type that a tensor's elements can be read and written as.
public protocol Element: BitwiseCopyable, Sendable {
  /// ONNX's name of the type.
  static var elementType: ElementType { get }
}

extension Float: Element { public static var elementType: ElementType { .float } }
extension Double: Element { public static var elementType: ElementType { .double } }
extension Int8: Element { public static var elementType: ElementType { .int8 } }
extension Int16: Element { public static var elementType: ElementType { .int16 } }
extension Int32: Element { public static var elementType: ElementType { .int32 } }
extension Int64: Element { public static var elementType: ElementType { .int64 } }
extension UInt8: Element { public static var elementType: ElementType { .uint8 } }
extension UInt16: Element { public static var elementType: ElementType { .uint16 } }
extension UInt32: Element { public static var elementType: ElementType { .uint32 } }
extension UInt64: Element { public static var elementType: ElementType { .uint64 } }
extension Bool: Element { public static var elementType: ElementType { .bool } }
