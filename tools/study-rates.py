#!/usr/bin/env python3
"""Trains one network on the bundled digits with and without BatchNormalization at three learning rates.

    tools/study-rates.py Models/learning-rates.svg

Six convolutions with Relu, each with or without BatchNormalization behind it, trained by plain gradient
descent with momentum for the same number of steps and from the same seed, at once, five and thirty times a
rate that suits the network without. Draws how many test images are right after each epoch, and prints the last
numbers as a Markdown table. One thread; about a minute.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.4.6", "pillow==13.0.0", "scikit-learn==1.9.1", "torch==2.15.0"]
# ///

import pathlib
import sys

import torch
from torch import nn
from torch.nn import functional as F

import digits

RATE, EPOCHS, BATCH, FACTORS = 0.04, 20, 64, (1, 5, 30)


def network(normalizes):
    torch.manual_seed(7)
    layers, channels = [], 1
    for index, width in enumerate([16, 16, 32, 32, 64, 64]):
        layers.append(nn.Conv2d(channels, width, 3, 2 if index in (2, 4) else 1, 1, bias=not normalizes))
        if normalizes:
            layers.append(nn.BatchNorm2d(width))
        layers.append(nn.ReLU())
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def train(normalizes, factor, data):
    (images, labels), (test_images, test_labels) = data
    model = network(normalizes)
    optimizer = torch.optim.SGD(model.parameters(), RATE * factor, momentum=0.9)
    order = torch.Generator().manual_seed(3)
    curve = []
    for _ in range(EPOCHS):
        model.train()
        for batch in torch.randperm(len(images), generator=order).split(BATCH):
            if len(batch) < 2:
                continue
            loss = F.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            right = (model(test_images).argmax(1) == test_labels).float().mean().item()
        curve.append(right)
    return curve


def draw(curves):
    """Three charts side by side, in colours that are told apart on light and on dark."""
    width, height, gap = 250, 190, 58
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{3 * (width + gap) + 20}" height="{height + 90}" '
        'font-family="sans-serif" font-size="12" fill="#808080" role="img" '
        'aria-label="Test images right by epoch, with and without BatchNormalization">'
    ]
    for place, factor in enumerate(FACTORS):
        left = 50 + place * (width + gap)
        parts.append(f'<text x="{left}" y="20" font-size="14">{factor}× the rate ({RATE * factor:g})</text>')
        for share in (0, 0.5, 1):
            y = 35 + height * (1 - share)
            parts.append(f'<path d="M{left} {y}h{width}" stroke="#808080" stroke-opacity=".3"/>')
            parts.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{share:.0%}</text>')
        for normalizes, colour in ((True, "#3d7ee0"), (False, "#d9722a")):
            curve = curves[normalizes, factor]
            points = " ".join(
                f"{left + width * (epoch + 1) / EPOCHS:.1f},{35 + height * (1 - right):.1f}"
                for epoch, right in enumerate(curve))
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{left}" y="{height + 52}">epochs 1 to {EPOCHS}</text>')
    for x, colour, name in ((50, "#3d7ee0", "with BatchNormalization"), (240, "#d9722a", "without")):
        parts.append(f'<path d="M{x} {height + 76}h18" stroke="{colour}" stroke-width="3"/>')
        parts.append(f'<text x="{x + 24}" y="{height + 80}">{name}</text>')
    return "\n".join(parts) + "\n</svg>\n"


def load():
    return [(torch.from_numpy(digits.to_input(pixels)), torch.from_numpy(labels).long())
            for pixels, labels in digits.load_split()]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    data = load()
    curves = {(normalizes, factor): train(normalizes, factor, data)
              for factor in FACTORS for normalizes in (True, False)}
    pathlib.Path(sys.argv[1]).write_text(draw(curves))
    print("| right after 20 epochs | " + " | ".join(f"{factor}×" for factor in FACTORS) + " |")
    print("| --- |" + " ---: |" * len(FACTORS))
    for normalizes, name in ((True, "with BatchNormalization"), (False, "without")):
        shares = (f"{curves[normalizes, factor][-1]:.1%}" for factor in FACTORS)
        print(f"| {name} | " + " | ".join(shares) + " |")


if __name__ == "__main__":
    main()
