extension Schema {
  /// The operators of our own domains, which derivatives and models in double are written with and passes
  /// put in, as ``table`` spells them.
  static let derivativeTable = """
    ai.sardonyx:ConstantLike 1|x:T|y:T|T=ajkp|value?:f
    ai.sardonyx:ConvGradient 1|X:T W:T dY:T|dX?:T dW?:T|T=ajkp|auto_pad?:s dilations?:I group?:i kernel_shape?:I pads?:I strides?:I
    ai.sardonyx:DequantizeLinear 1|x:T x_scale=k x_zero_point?:T|y=k|T=bcdefqrstuvw|axis?:i block_size?:i
    ai.sardonyx:QuantizeLinear 1|x=k y_scale=k y_zero_point?:T|y:T|T=bcdeqrstuvw|axis?:i block_size?:i output_dtype?:i saturate?:i
    ai.sardonyx:SumTo 1|x:T like:U|y:T|T=abcdefgjklmp U=abcdefgjklmp|
    ai.sardonyx:SwapLastAxes 1|x:T|y:T|T=abcdefgjklmp|
    sardonyx:BlockChannels 1|x=a|y=a||
    sardonyx:UnblockChannels 1|x=a|y=a||
    """
}
