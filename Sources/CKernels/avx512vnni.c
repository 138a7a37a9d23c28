#if defined(__x86_64__)
#define NAME "avx512vnni"
#define TABLE kernels_avx512vnni
#define LANES 16
#define TILE_ROWS 14
#define TILE_VECTORS 2
#define EACH_TILE_ROW(T) T(1) T(2) T(3) T(4) T(5) T(6) T(7) T(8) T(9) T(10) T(11) T(12) T(13) T(14)
#define DOT_PRODUCTS
#define TARGET "avx512vnni,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"
#include "kernels.inc"
#endif
