Bdequantizelinear22aJ 
×#>R¸?Âu½Âu½Âu>R¸?Âu½Âu½