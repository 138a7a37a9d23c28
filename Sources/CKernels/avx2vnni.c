#if defined(__x86_64__)
#define NAME "avx2vnni"
#define TABLE kernels_avx2vnni
#define LANES 8
#define TILE_ROWS 6
#define TILE_VECTORS 2
#define EACH_TILE_ROW(T) T(1) T(2) T(3) T(4) T(5) T(6)
#define DOT_PRODUCTS
#define TARGET "avxvnni,avx2,fma,f16c"
#include "kernels.inc"
#endif
