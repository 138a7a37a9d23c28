#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "raster.h"

/// What libpng's callbacks share.
struct source {
  const uint8_t *next;
  size_t left;
  struct raster *image;
};

static void read_bytes(png_structp png, png_bytep target, size_t count) {
  struct source *source = png_get_io_ptr(png);
  if (count > source->left) png_error(png, "the file is truncated");
  memcpy(target, source->next, count);
  source->next += count;
  source->left -= count;
}

static void fail(png_structp png, png_const_charp reason) {
  struct source *source = png_get_error_ptr(png);
  raster_fail(source->image, reason);
  png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp warning) {
  (void)png;
  (void)warning;
}

/// Asks libpng to turn every kind of PNG into 8-bit RGB: 16 bits lose the lower byte, gamma and
/// colour profile stay unapplied.
static void transform(png_structp png, png_infop info) {
  png_byte color = png_get_color_type(png, info);
  if (color == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (!(color & PNG_COLOR_MASK_COLOR)) {
    png_set_expand_gray_1_2_4_to_8(png);
    png_set_gray_to_rgb(png);
  }
  png_set_strip_16(png);
  png_set_strip_alpha(png);
}

bool decode_png(const uint8_t *bytes, size_t count, size_t pixel_limit, struct raster *image) {
  struct source source = {bytes, count, image};
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, fail, ignore);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  png_bytepp volatile rows = NULL;
  if (info == NULL || setjmp(png_jmpbuf(png))) {
    free(rows);
    free(image->samples);
    image->samples = NULL;
    png_destroy_read_struct(&png, &info, NULL);
    return false;
  }
  png_set_user_limits(png, 0x7fffffff, 0x7fffffff);
  png_set_read_fn(png, &source, read_bytes);
  png_read_info(png, info);
  transform(png, info);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  size_t width = png_get_image_width(png, info), height = png_get_image_height(png, info);
  bool ready = raster_allocate(image, width, height, pixel_limit);
  if (ready) {
    if (png_get_rowbytes(png, info) != width * 3) png_error(png, "its pixels are not understood");
    rows = malloc(height * sizeof *rows);
    if (rows == NULL) png_error(png, "there is not enough memory");
    for (size_t row = 0; row < height; row++) rows[row] = image->samples + row * width * 3;
    png_read_image(png, rows);
  }
  free(rows);
  png_destroy_read_struct(&png, &info, NULL);
  return ready;
}
