#!/usr/bin/env python3
"""Shows on the bundled digits what happens where live data are not those a model was trained on.

    tools/study-digits.py Models/digits/digits_resnet_torchscript.onnx

For the 450 test images as they are, inverted, dimmed to 40 % and noisy (deviation 60 of 255): how many the
model gets right; what `sardonyx drift` says and how far the first layer is; how many are right after `sardonyx
recalibrate` with 256 training images changed alike, without their labels; and how many with the statistics of
batches of 64 images, and of one (`--batchnorm batch`). Prints a Markdown table.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.4.6", "pillow==13.0.0", "scikit-learn==1.9.1"]
# ///

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import digits  # noqa: E402

SARDONYX = pathlib.Path(__file__).with_name("sardonyx")


def change(kind, pixels):
    if kind == "inverted":
        return 255 - pixels
    if kind == "dimmed":
        return np.round(pixels * 0.4).astype(np.uint8)
    if kind == "noisy":
        noise = np.random.default_rng(1).normal(0, 60, pixels.shape)
        return np.clip(pixels + noise, 0, 255).round().astype(np.uint8)
    return pixels


def write(path, pixels):
    np.savez(path, image=digits.to_input(pixels))


def sardonyx(*arguments, allowed=(0,)):
    result = subprocess.run([SARDONYX, *map(str, arguments)], stdout=subprocess.PIPE, check=False)
    if result.returncode not in allowed:
        sys.exit(f"sardonyx {arguments[0]} ended with status {result.returncode}")
    return result.stdout


def accuracy(model, data, labels, folder, *options):
    output = folder / "result.npz"
    sardonyx("run", model, "--inputs", data, "--output", output, *options)
    scores = np.load(output)
    best = scores[next(name for name in scores.files if "prob" in name)].argmax(axis=1)
    return f"{np.mean(best == labels):.1%}"


def study(model, folder):
    (train, _), (test, labels) = digits.load_split()
    print("| images | right | drift says | first layer is away | recalibrated | batches of 64 | of one |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: |")
    for kind in ["clean", "inverted", "dimmed", "noisy"]:
        data, calibration, new = folder / "test.npz", folder / "train.npz", folder / "new.onnx"
        write(data, change(kind, test))
        write(calibration, change(kind, train[:256]))
        report = json.loads(sardonyx("drift", model, "--data", data, "--json", allowed=(0, 1)))
        sardonyx("recalibrate", model, "--data", calibration, "-o", new)
        cells = [
            kind, accuracy(model, data, labels, folder), "drift" if report["drift"] else "no drift",
            f"{report['layers'][0]['distance']:.2f}", accuracy(new, data, labels, folder),
            accuracy(model, data, labels, folder, "--batchnorm", "batch", "--batch", 64),
            accuracy(model, data, labels, folder, "--batchnorm", "batch", "--batch", 1)]
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for model in sys.argv[1:]:
            study(pathlib.Path(model), pathlib.Path(folder))
