Bdequantizelinear7aJ =
×¿Âu¾ffæ¾ëQ¸>£p}?™™™¾×£0?)\O¿