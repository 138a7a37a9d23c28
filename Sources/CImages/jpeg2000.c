#include <openjpeg.h>
#include <stdlib.h>
#include <string.h>

#include "raster.h"

/// A file in memory, as OpenJPEG reads it.
struct source {
  const uint8_t *bytes;
  size_t count, position;
};

static OPJ_SIZE_T read_bytes(void *target, OPJ_SIZE_T count, void *data) {
  struct source *source = data;
  size_t left = source->count - source->position;
  if (left == 0) return (OPJ_SIZE_T)-1;
  if (count > left) count = left;
  memcpy(target, source->bytes + source->position, count);
  source->position += count;
  return count;
}

static OPJ_OFF_T skip(OPJ_OFF_T count, void *data) {
  struct source *source = data;
  if (count < 0 || (size_t)count > source->count - source->position) return -1;
  source->position += (size_t)count;
  return count;
}

static OPJ_BOOL seek(OPJ_OFF_T position, void *data) {
  struct source *source = data;
  if (position < 0 || (size_t)position > source->count) return OPJ_FALSE;
  source->position = (size_t)position;
  return OPJ_TRUE;
}

static uint8_t clamp(double value) {
  return value <= 0 ? 0 : value >= 255 ? 255 : (uint8_t)(value + 0.5);
}

/// The sample of a component that lies at (x, y) of the image, brought to 8 bits.
static uint8_t sample(const opj_image_comp_t *component, uint32_t x, uint32_t y) {
  uint32_t column = x / component->dx, row = y / component->dy;
  if (column >= component->w) column = component->w - 1;
  if (row >= component->h) row = component->h - 1;
  int64_t value = component->data[(size_t)row * component->w + column];
  if (component->sgnd) value += (int64_t)1 << (component->prec - 1);
  value = component->prec > 8 ? value >> (component->prec - 8) : value << (8 - component->prec);
  return value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value;
}

/// YCbCr of JPEG to RGB, in place.
static void convert_ycc(uint8_t *rgb) {
  double luma = rgb[0], blue = rgb[1] - 128.0, red = rgb[2] - 128.0;
  rgb[0] = clamp(luma + 1.402 * red);
  rgb[1] = clamp(luma - 0.344136 * blue - 0.714136 * red);
  rgb[2] = clamp(luma + 1.772 * blue);
}

static bool is_readable(const opj_image_t *decoded) {
  for (uint32_t index = 0; index < decoded->numcomps; index++) {
    const opj_image_comp_t *component = &decoded->comps[index];
    if (!component->data || !component->w || !component->h || !component->dx || !component->dy ||
        component->prec < 1 || component->prec > 31)
      return false;
  }
  return decoded->numcomps >= 1;
}

/// One or two components are gray (and alpha), more are colours (and alpha).
static void convert(const opj_image_t *decoded, struct raster *image) {
  bool gray = decoded->numcomps < 3;
  bool ycc = !gray && (decoded->color_space == OPJ_CLRSPC_SYCC ||
                       (decoded->color_space == OPJ_CLRSPC_UNSPECIFIED && decoded->comps[1].dx > 1));
  uint8_t *rgb = image->samples;
  for (uint32_t y = 0; y < image->height; y++)
    for (uint32_t x = 0; x < image->width; x++, rgb += 3) {
      for (int channel = 0; channel < 3; channel++)
        rgb[channel] = sample(&decoded->comps[gray ? 0 : channel], x, y);
      if (ycc) convert_ycc(rgb);
    }
}

static opj_stream_t *open_source(struct source *source) {
  opj_stream_t *stream = opj_stream_create(OPJ_J2K_STREAM_CHUNK_SIZE, OPJ_TRUE);
  if (stream == NULL) return NULL;
  opj_stream_set_user_data(stream, source, NULL);
  opj_stream_set_user_data_length(stream, source->count);
  opj_stream_set_read_function(stream, read_bytes);
  opj_stream_set_skip_function(stream, skip);
  opj_stream_set_seek_function(stream, seek);
  return stream;
}

bool decode_jpeg2000(const uint8_t *bytes, size_t count, size_t pixel_limit,
                     struct raster *image) {
  static const uint8_t codestream[] = {0xff, 0x4f, 0xff, 0x51};
  bool bare = count >= sizeof codestream && !memcmp(bytes, codestream, sizeof codestream);
  struct source source = {bytes, count, 0};
  opj_stream_t *stream = open_source(&source);
  opj_codec_t *codec = opj_create_decompress(bare ? OPJ_CODEC_J2K : OPJ_CODEC_JP2);
  opj_dparameters_t parameters;
  opj_set_default_decoder_parameters(&parameters);
  opj_image_t *decoded = NULL;
  bool good = false;
  if (!stream || !codec || !opj_setup_decoder(codec, &parameters) ||
      !opj_read_header(stream, codec, &decoded))
    raster_fail(image, "its header is malformed");
  else if (decoded->numcomps > 4)
    raster_fail(image, "more than four components are not supported");
  else if (raster_allocate(image, decoded->x1 - decoded->x0, decoded->y1 - decoded->y0,
                           pixel_limit)) {
    good = opj_decode(codec, stream, decoded) && opj_end_decompress(codec, stream) &&
           is_readable(decoded);
    if (!good)
      raster_discard(image, "its data is malformed or truncated");
    else if (decoded->color_space == OPJ_CLRSPC_CMYK)
      good = raster_discard(image, "colours other than gray and RGB are not supported");
    else
      convert(decoded, image);
  }
  opj_image_destroy(decoded);
  opj_destroy_codec(codec);
  opj_stream_destroy(stream);
  return good;
}
