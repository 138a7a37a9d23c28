#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// An image decoded to 8-bit RGB, rows from the top; gray has three equal samples, alpha is dropped.
struct raster {
  uint32_t width, height;
  /// width × height × 3 bytes from malloc, which the caller frees; NULL where decoding failed.
  uint8_t *samples;
  /// Why decoding failed.
  char reason[160];
};

// One function per library. Each decodes the image in `bytes` of at most `pixel_limit` pixels, and
// returns whether it could.

bool decode_jpeg(const uint8_t *bytes, size_t count, size_t pixel_limit, struct raster *image);
bool decode_jpeg2000(const uint8_t *bytes, size_t count, size_t pixel_limit, struct raster *image);
bool decode_png(const uint8_t *bytes, size_t count, size_t pixel_limit, struct raster *image);
bool decode_tiff(const uint8_t *bytes, size_t count, size_t pixel_limit, struct raster *image);
bool decode_webp(const uint8_t *bytes, size_t count, size_t pixel_limit, struct raster *image);
