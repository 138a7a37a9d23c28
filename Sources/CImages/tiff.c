#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

#include "raster.h"

/// A file in memory, as libtiff reads it, and where its faults go.
struct source {
  const uint8_t *bytes;
  uint64_t count, position;
  struct raster *image;
};

static tmsize_t read_bytes(thandle_t handle, void *target, tmsize_t count) {
  struct source *source = handle;
  uint64_t left = source->count > source->position ? source->count - source->position : 0;
  if ((uint64_t)count > left) count = (tmsize_t)left;
  memcpy(target, source->bytes + source->position, (size_t)count);
  source->position += (uint64_t)count;
  return count;
}

static tmsize_t write_bytes(thandle_t handle, void *target, tmsize_t count) {
  (void)handle, (void)target, (void)count;
  return 0;
}

static toff_t seek(thandle_t handle, toff_t offset, int whence) {
  struct source *source = handle;
  uint64_t base = whence == SEEK_CUR ? source->position : whence == SEEK_END ? source->count : 0;
  uint64_t position = base + offset;
  source->position = position < source->count ? position : source->count;
  return position;
}

static int close_source(thandle_t handle) {
  (void)handle;
  return 0;
}

static toff_t size(thandle_t handle) { return ((struct source *)handle)->count; }

#if TIFFLIB_VERSION >= 20221213
static int fail(TIFF *tiff, void *image, const char *module, const char *format, va_list values) {
  (void)tiff, (void)module;
  struct raster *raster = image;
  vsnprintf(raster->reason, sizeof raster->reason, format, values);
  return 1;
}

static int ignore(TIFF *tiff, void *data, const char *module, const char *format, va_list values) {
  (void)tiff, (void)data, (void)module, (void)format, (void)values;
  return 1;
}
#endif

static TIFF *open_source(struct source *source) {
#if TIFFLIB_VERSION >= 20221213
  TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
  TIFFOpenOptionsSetErrorHandlerExtR(options, fail, source->image);
  TIFFOpenOptionsSetWarningHandlerExtR(options, ignore, NULL);
  TIFF *tiff = TIFFClientOpenExt("image", "rm", source, read_bytes, write_bytes, seek, close_source,
                                 size, NULL, NULL, options);
  TIFFOpenOptionsFree(options);
  return tiff;
#else
  return TIFFClientOpen("image", "rm", source, read_bytes, write_bytes, seek, close_source, size,
                        NULL, NULL);
#endif
}

/// Declares alpha as already multiplied, so that libtiff leaves the colours as stored.
static void keep_colors(TIFF *tiff) {
  uint16_t count = 0;
  const uint16_t *kinds = NULL;
  TIFFGetField(tiff, TIFFTAG_EXTRASAMPLES, &count, &kinds);
  if (count != 1 || kinds[0] != EXTRASAMPLE_UNASSALPHA) return;
  uint16_t associated = EXTRASAMPLE_ASSOCALPHA;
  TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, 1, &associated);
}

static bool read_image(TIFF *tiff, struct raster *image) {
  size_t pixels = (size_t)image->width * image->height;
  uint32_t *colors = malloc(pixels * sizeof *colors);
  if (colors == NULL) return raster_discard(image, "there is not enough memory");
  keep_colors(tiff);
  bool good = TIFFReadRGBAImageOriented(tiff, image->width, image->height, colors,
                                        ORIENTATION_TOPLEFT, 1);
  for (size_t pixel = 0; good && pixel < pixels; pixel++) {
    image->samples[pixel * 3] = TIFFGetR(colors[pixel]);
    image->samples[pixel * 3 + 1] = TIFFGetG(colors[pixel]);
    image->samples[pixel * 3 + 2] = TIFFGetB(colors[pixel]);
  }
  free(colors);
  if (good) return true;
  free(image->samples);
  image->samples = NULL;
  return image->reason[0] ? false : raster_fail(image, "its data is malformed");
}

bool decode_tiff(const uint8_t *bytes, size_t count, size_t pixel_limit, struct raster *image) {
  struct source source = {bytes, count, 0, image};
  TIFF *tiff = open_source(&source);
  if (tiff == NULL)
    return image->reason[0] ? false : raster_fail(image, "its header is malformed");
  uint32_t width = 0, height = 0;
  TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
  TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
  bool good = raster_allocate(image, width, height, pixel_limit) && read_image(tiff, image);
  TIFFClose(tiff);
  return good;
}
