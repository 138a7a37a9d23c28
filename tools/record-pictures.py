#!/usr/bin/env python3
"""Records what Pillow makes of pictures: resized ones, and ones that EXIF turns.

Writes Tests/SardonyxImagesTests/Fixtures/{resizing,orientation}: pictures, and beside each what is
expected of it, `WIDTHxHEIGHT.ppm` or `NAME.ppm`.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.4.6", "pillow==13.0.0"]
# ///

import pathlib

import numpy as np
from PIL import Image, ImageOps

FOLDER = pathlib.Path(__file__).parents[1] / "Tests/SardonyxImagesTests/Fixtures"
SIZES = [(16, 9), (60, 41), (37, 10), (11, 23), (1, 1), (36, 24), (200, 3), (5, 90)]


def picture(width, height, seed):
    """Noise over a gradient: neither smooth nor without structure."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    smooth = np.stack([rows * 7, columns * 5, (rows + columns) * 3], axis=-1)
    return Image.fromarray(((smooth + random.integers(0, 90, smooth.shape)) % 256).astype(np.uint8))


def main():
    resizing, orientation = FOLDER / "resizing", FOLDER / "orientation"
    for folder in [resizing, orientation]:
        folder.mkdir(parents=True, exist_ok=True)
    source = picture(37, 23, 1)
    source.save(resizing / "source.ppm")
    for width, height in SIZES:
        result = source.resize((width, height), Image.Resampling.BILINEAR)
        result.save(resizing / f"{width}x{height}.ppm")
    small = picture(5, 3, 2)
    for number in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = number
        names = [f"{number}.png"]
        if number == 6:
            names += ["6.jpg", "6.webp"]
        for name in names:
            options = {"lossless": True} if name.endswith(".webp") else {}
            small.save(orientation / name, exif=exif, **options)
            with Image.open(orientation / name) as image:
                turned = ImageOps.exif_transpose(image).convert("RGB")
            turned.save(orientation / f"{name}.ppm")


main()
