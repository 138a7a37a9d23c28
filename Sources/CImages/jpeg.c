#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

#include "raster.h"

/// a × b / 255, rounded.
static int scale(int a, int b) {
  int product = a * b + 128;
  return (product + (product >> 8)) >> 8;
}

/// Four inks, stored inverted as Adobe's programs do, to RGB: ink by ink what black leaves over.
static void convert_cmyk(const uint8_t *inks, uint8_t *rgb, size_t pixels) {
  for (size_t pixel = 0; pixel < pixels; pixel++, inks += 4, rgb += 3)
    for (int channel = 0; channel < 3; channel++)
      rgb[channel] = (uint8_t)(inks[3] - scale(255 - inks[channel], inks[3]));
}

/// Decodes the pixels of `format` to `target`; warnings do not fail, but for a missing end.
static bool decompress(tjhandle decoder, const uint8_t *bytes, size_t count, struct raster *image,
                       uint8_t *target, int format) {
  int flags = TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS;
  int status = tjDecompress2(decoder, bytes, count, target, (int)image->width, 0,
                             (int)image->height, format, flags);
  if (status == 0) return true;
  const char *reason = tjGetErrorStr2(decoder);
  if (tjGetErrorCode(decoder) == TJERR_WARNING && !strstr(reason, "Premature end")) return true;
  return raster_discard(image, reason);
}

static bool decompress_cmyk(tjhandle decoder, const uint8_t *bytes, size_t count,
                            struct raster *image) {
  size_t pixels = (size_t)image->width * image->height;
  uint8_t *inks = malloc(pixels * 4);
  if (inks == NULL) return raster_discard(image, "there is not enough memory");
  bool good = decompress(decoder, bytes, count, image, inks, TJPF_CMYK);
  if (good) convert_cmyk(inks, image->samples, pixels);
  free(inks);
  return good;
}

bool decode_jpeg(const uint8_t *bytes, size_t count, size_t pixel_limit, struct raster *image) {
  tjhandle decoder = tjInitDecompress();
  if (decoder == NULL) return raster_fail(image, "there is not enough memory");
  int width, height, subsampling, space;
  bool good = false;
  if (tjDecompressHeader3(decoder, bytes, count, &width, &height, &subsampling, &space) != 0)
    raster_fail(image, tjGetErrorStr2(decoder));
  else if (raster_allocate(image, (size_t)width, (size_t)height, pixel_limit))
    good = space == TJCS_CMYK || space == TJCS_YCCK
               ? decompress_cmyk(decoder, bytes, count, image)
               : decompress(decoder, bytes, count, image, image->samples, TJPF_RGB);
  tjDestroy(decoder);
  return good;
}
