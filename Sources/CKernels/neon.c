#if defined(__aarch64__)
#define NAME "neon"
#define TABLE kernels_neon
#define LANES 4
#define TILE_ROWS 6
#define TILE_VECTORS 4
#define EACH_TILE_ROW(T) T(1) T(2) T(3) T(4) T(5) T(6)
#include "kernels.inc"
#endif
