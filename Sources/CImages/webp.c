#include <webp/decode.h>

#include "raster.h"

bool decode_webp(const uint8_t *bytes, size_t count, size_t pixel_limit, struct raster *image) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(bytes, count, &features) != VP8_STATUS_OK)
    return raster_fail(image, "its header is malformed");
  if (features.has_animation) return raster_fail(image, "animations are not supported");
  size_t width = (size_t)features.width, height = (size_t)features.height;
  if (!raster_allocate(image, width, height, pixel_limit)) return false;
  if (WebPDecodeRGBInto(bytes, count, image->samples, width * height * 3, (int)width * 3) == NULL)
    return raster_discard(image, "its data is malformed or truncated");
  return true;
}
