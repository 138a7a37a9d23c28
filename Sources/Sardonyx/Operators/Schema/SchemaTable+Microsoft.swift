extension Schema {
  /// Operators of the domain com.microsoft that this build has, as ``table`` spells them.
  ///
  /// Source: ONNX Runtime's documentation, "Contrib Operators".
  static let microsoftTable = """
    com.microsoft:BiasGelu 1|A:T B:T|C:T|T=ajkp|
    com.microsoft:DynamicQuantizeLSTM 1|X:T W:T2 R:T2 B?:T sequence_lens?:T1 initial_h?:T initial_c?:T P?:T W_scale:T W_zero_point:T2 R_scale:T R_zero_point:T2|Y?:T Y_h?:T Y_c?:T|T=a T1=f T2=bc|activation_alpha?:F activation_beta?:F activations?:S clip?:f direction?:s hidden_size?:i input_forget?:i
    com.microsoft:FastGelu 1|X:T bias?:T|Y:T|T=ajkp|
    com.microsoft:Gelu 1|X:T|Y:T|T=ajkp|
    com.microsoft:QGemm 1|A:TA a_scale:T a_zero_point:TA B:TB b_scale:T b_zero_point:TB C?:TC y_scale?:T y_zero_point?:TYZ|Y:TY|T=a TA=bc TB=bc TC=f TYZ=bc TY=abc|alpha?:f transA?:i transB?:i
    com.microsoft:QLinearAdd 1|A:T A_scale=a A_zero_point?:T B:T B_scale=a B_zero_point?:T C_scale=a C_zero_point?:T|C:T|T=bc|
    com.microsoft:QLinearGlobalAveragePool 1|X:T x_scale=a x_zero_point:T y_scale=a y_zero_point:T|Y:T|T=bc|channels_last?:i
    com.microsoft:QLinearLeakyRelu 1|X:T X_scale=a X_zero_point?:T Y_scale=a Y_zero_point?:T|Y:T|T=bc|alpha?:f
    com.microsoft:QLinearMul 1|A:T A_scale=a A_zero_point?:T B:T B_scale=a B_zero_point?:T C_scale=a C_zero_point?:T|C:T|T=bc|
    com.microsoft:QLinearSigmoid 1|X:T X_scale=a X_zero_point?:T Y_scale=a Y_zero_point?:T|Y:T|T=bc|
    com.microsoft:QuickGelu 1|X:T|Y:T|T=ajkp|alpha?:f
    com.microsoft:Tokenizer 1|X:T|Y:T|T=h|mark:i mincharnum:i pad_value:s separators?:S stopwords?:S tokenexp?:s
    """
}
