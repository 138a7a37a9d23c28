"""The handwritten digits: how they are split, stored as PNG files and normalised."""

import json

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SEED = 7
# Of the training images, scaled to [0, 1].
MEAN, STD = 0.3057, 0.3762
IMAGES_PER_DIGIT = 2
WORDS = "zero one two three four five six seven eight nine".split()


def load_split():
    """Returns 1,347 training and 450 test images, bytes [N, 8, 8], each with their labels."""
    digits = load_digits()
    pixels = np.rint(digits.images * 255 / 16).astype(np.uint8)
    train, test, train_labels, test_labels = train_test_split(
        pixels, digits.target, test_size=0.25, random_state=SEED, stratify=digits.target)
    return (train, train_labels), (test, test_labels)


def to_input(pixels):
    """Turns bytes [N, 8, 8] into the networks' float32 [N, 1, 8, 8]."""
    scaled = pixels[:, np.newaxis].astype(np.float32) / np.float32(255)
    return (scaled - np.float32(MEAN)) / np.float32(STD)


def write_images(folder, pixels, labels):
    """Writes the first images of each digit as PNG files, and which digit each of them is."""
    digit_of = {}
    for digit in range(10):
        for letter, image in zip("abcdefgh"[:IMAGES_PER_DIGIT], pixels[labels == digit]):
            digit_of[f"{digit}{letter}.png"] = digit
            Image.fromarray(image).save(folder / f"{digit}{letter}.png", optimize=True)
    (folder / "images.json").write_text(json.dumps(digit_of, indent=1) + "\n")
    (folder / "labels.txt").write_text("\n".join(WORDS) + "\n")


def read_images(folder):
    """Returns the PNG files that images.json names, in its order, as the networks take them."""
    names = json.loads((folder / "images.json").read_text())
    return to_input(np.stack([np.asarray(Image.open(folder / name)) for name in names]))
