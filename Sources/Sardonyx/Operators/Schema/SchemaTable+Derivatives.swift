extension Schema {
  /// The operators of our own domains, which derivatives are written with and passes put in, as
  /// ``table`` spells them.
  static let derivativeTable = """
    ai.sardonyx:ConstantLike 1|x:T|y:T|T=ajkp|value?:f
    ai.sardonyx:ConvGradient 1|X:T W:T dY:T|dX?:T dW?:T|T=ajkp|auto_pad?:s dilations?:I group?:i kernel_shape?:I pads?:I strides?:I
    ai.sardonyx:SumTo 1|x:T like:U|y:T|T=abcdefgjklmp U=abcdefgjklmp|
    ai.sardonyx:SwapLastAxes 1|x:T|y:T|T=abcdefgjklmp|
    sardonyx:BlockChannels 1|x=a|y=a||
    sardonyx:UnblockChannels 1|x=a|y=a||
    """
}
