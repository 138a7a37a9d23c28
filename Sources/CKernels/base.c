#define NAME "base"
#define TABLE kernels_base
#define LANES 4
#define TILE_ROWS 4
#define TILE_VECTORS 2
#define EACH_TILE_ROW(T) T(1) T(2) T(3) T(4)
#include "kernels.inc"
