#include "raster.h"

#include <stdio.h>
#include <stdlib.h>

bool raster_fail(struct raster *image, const char *reason) {
  snprintf(image->reason, sizeof image->reason, "%s", reason);
  return false;
}

bool raster_allocate(struct raster *image, size_t width, size_t height, size_t pixel_limit) {
  if (width == 0 || height == 0 || width > UINT32_MAX || height > UINT32_MAX)
    return raster_fail(image, "its width or height is out of bounds");
  if (width > pixel_limit / height) {
    snprintf(image->reason, sizeof image->reason, "%zu × %zu pixels are over the limit of %zu",
             width, height, pixel_limit);
    return false;
  }
  image->width = (uint32_t)width;
  image->height = (uint32_t)height;
  image->samples = malloc(width * height * 3);
  return image->samples != NULL || raster_fail(image, "there is not enough memory");
}

bool raster_discard(struct raster *image, const char *reason) {
  free(image->samples);
  image->samples = NULL;
  return raster_fail(image, reason);
}
