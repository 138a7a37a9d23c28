#!/usr/bin/env python3
"""Trains the two digit classifiers of Models/digits and exports them, with their test images.

The data are the 1,797 handwritten 8×8 digits that come with scikit-learn. Pixels 0…16 become
bytes 0…255 first, so that the network is trained on exactly what a PNG file of a digit holds.
Both networks keep every BatchNormalization as a node of its own.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "numpy==2.4.6", "onnx==1.23.2", "onnxscript==0.7.2", "onnxruntime==1.32.0",
#   "pillow==13.0.0", "scikit-learn==1.9.1", "torch==2.15.0",
# ]
# ///

import argparse
import pathlib
import random

import onnx
import onnxruntime
import onnxscript
import torch
from torch import nn
from torch.nn import functional as F

import digits


def conv(channels_in, channels_out, size=3, stride=1, bias=False):
    """Returns a convolution that keeps the image size at stride 1."""
    return nn.Conv2d(channels_in, channels_out, size, stride, size // 2, bias=bias)


class ResidualBlock(nn.Module):
    """Conv → BN → Relu → Conv → BN, plus the input, → Relu."""

    def __init__(self, channels_in, channels_out, stride):
        super().__init__()
        self.conv1 = conv(channels_in, channels_out, stride=stride)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = conv(channels_out, channels_out)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Identity()
        if stride > 1:
            self.shortcut = nn.Sequential(
                conv(channels_in, channels_out, 1, stride), nn.BatchNorm2d(channels_out))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class PreactivationBlock(nn.Module):
    """BN → Relu → Conv → BN → Relu → Conv, plus the input; `bare` leaves the first Relu out."""

    def __init__(self, channels_in, channels_out, stride, bare=False):
        super().__init__()
        self.activation = nn.Identity() if bare else nn.ReLU()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = conv(channels_in, channels_out, stride=stride)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.conv2 = conv(channels_out, channels_out)
        self.shortcut = nn.Identity() if stride == 1 else conv(channels_in, channels_out, 1, stride)

    def forward(self, x):
        y = self.conv1(self.activation(self.bn1(x)))
        return self.conv2(F.relu(self.bn2(y))) + self.shortcut(x)


class Classifier(nn.Module):
    """Features, global average pool and a Gemm: logits in training, else probabilities."""

    def __init__(self, *features):
        super().__init__()
        self.features = nn.Sequential(*features)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(64, 10)

    def forward(self, image):
        logits = self.head(torch.flatten(self.pool(self.features(image)), 1))
        return logits if self.training else torch.softmax(logits, dim=1)


def digits_resnet():
    """BN after each Conv; the first Conv has a bias, the others have none."""
    return Classifier(
        conv(1, 16, bias=True), nn.BatchNorm2d(16), nn.ReLU(),
        ResidualBlock(16, 16, 1), ResidualBlock(16, 32, 2), ResidualBlock(32, 64, 2))


def digits_preactivation():
    """BN before Conv: two directly before a padded Conv, the others with a Relu between."""
    return Classifier(
        nn.BatchNorm2d(1), conv(1, 16, bias=True),
        PreactivationBlock(16, 16, 1), PreactivationBlock(16, 32, 2, bare=True),
        PreactivationBlock(32, 64, 2), nn.BatchNorm2d(64), nn.ReLU())


def shifted(images):
    """Moves the whole batch by up to one pixel, a cheap augmentation."""
    dy, dx = random.randint(0, 2), random.randint(0, 2)
    return F.pad(images, (1, 1, 1, 1), value=-digits.MEAN / digits.STD)[:, :, dy:dy + 8, dx:dx + 8]


def train(model, images, labels, epochs):
    """Trains with AdamW and one cosine-shaped cycle of the learning rate."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
    steps = epochs * (len(images) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    model.train()
    for _ in range(epochs):
        order = torch.randperm(len(images))
        for start in range(0, len(images) - 63, 64):
            batch = order[start:start + 64]
            loss = F.cross_entropy(
                model(shifted(images[batch])), labels[batch], label_smoothing=0.02)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()


def export_torchscript(model, example, path):
    """Exports by tracing; PRESERVE is what keeps BN from being folded into the Conv."""
    torch.onnx.export(
        model, (example,), path, dynamo=False, opset_version=13,
        training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
        input_names=["image"], output_names=["probabilities"],
        dynamic_axes={"image": {0: "N"}, "probabilities": {0: "N"}})


def export_dynamo(model, example, path):
    """Exports by torch.export; only constants are folded: the optimizer would fold BN as well."""
    program = torch.onnx.export(
        model, (example,), dynamo=True, opset_version=20, optimize=False, verbose=False,
        input_names=["image"], output_names=["probabilities"],
        dynamic_shapes={"image": {0: torch.export.Dim("N")}})
    onnxscript.optimizer.fold_constants(program.model)
    onnxscript.optimizer.remove_unused_nodes(program.model)
    program.save(path)


def strip_traces(path):
    """Removes the exporter's stack traces, which hold paths of the exporting machine."""
    model = onnx.load(path)
    for node in model.graph.node:
        kept = [prop for prop in node.metadata_props if 'File "' not in prop.value]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def accuracy(path, images, labels):
    """Returns how often onnxruntime's answer from the exported file is right."""
    session = onnxruntime.InferenceSession(path)
    [probabilities] = session.run(None, {"image": images})
    return (probabilities.argmax(axis=1) == labels).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=pathlib.Path, default="Models/digits")
    parser.add_argument("--epochs", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)

    (pixels, labels), (test_pixels, test_labels) = digits.load_split()
    digits.write_images(options.folder, test_pixels, test_labels)
    images = torch.from_numpy(digits.to_input(pixels))
    for build in digits_resnet, digits_preactivation:
        torch.manual_seed(digits.SEED)
        random.seed(digits.SEED)
        model = build()
        train(model, images, torch.from_numpy(labels), options.epochs)
        for export in export_torchscript, export_dynamo:
            exporter = export.__name__.removeprefix("export_")
            path = options.folder / f"{build.__name__}_{exporter}.onnx"
            export(model, images[:2], path)
            strip_traces(path)
            share = accuracy(path, digits.to_input(test_pixels), test_labels)
            print(f"{path}: {share:.2%} of test images right")


if __name__ == "__main__":
    main()
