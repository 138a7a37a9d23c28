#pragma once
#include "images.h"

/// Records why decoding failed; false, for `return`.
bool raster_fail(struct raster *image, const char *reason);

/// Takes memory for an image of the given size, unless it is empty or over the limit.
bool raster_allocate(struct raster *image, size_t width, size_t height, size_t pixel_limit);

/// Frees the samples of an image that could not be finished and records why; false.
bool raster_discard(struct raster *image, const char *reason);
