#!/usr/bin/env python3
"""Computes the recorded outputs of the models in Models/ with onnxruntime, optimisations off.

The digit classifiers get the PNG files of their folder; every other model gets the inputs that
its reference file holds already. A reference is a NumPy archive: "in:NAME" and "out:NAME" for each
input and output; of a list of maps, "out:NAME" holds the values and "outkeys:NAME" the keys.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "numpy==2.4.6", "onnxruntime==1.32.0", "pillow==13.0.0", "scikit-learn==1.9.1",
# ]
# ///

import argparse
import json
import pathlib
import sys

import numpy as np
import onnxruntime

import digits


def open_session(path):
    """Opens a model so that it is computed node by node, in a fixed order."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def inputs_of(session, folder, entry):
    """Returns the arrays to feed: the images of a classifier, or those recorded before."""
    if "images" in entry:
        [model_input] = session.get_inputs()
        images = digits.read_images(folder / entry["images"])
        return {model_input.name: images.astype(
            np.float16 if model_input.type == "tensor(float16)" else np.float32)}
    with np.load(folder / entry["reference"]) as recorded:
        return {key[3:]: recorded[key] for key in recorded if key.startswith("in:")}


def outputs_of(session, inputs):
    """Runs the model and returns its outputs as the arrays of a reference file."""
    arrays = {}
    for output, value in zip(session.get_outputs(), session.run(None, inputs)):
        if isinstance(value, list):
            keys = sorted(value[0])
            arrays["outkeys:" + output.name] = np.array(keys)
            value = np.array([[row[key] for key in keys] for row in value], np.float32)
        elif value.dtype == object:
            value = value.astype(str)
        arrays["out:" + output.name] = value
    return arrays


def same(expected, actual):
    """Tells whether two sets of arrays are equal bit by bit, types and shapes included."""
    return expected.keys() == actual.keys() and all(
        expected[key].dtype == actual[key].dtype and np.array_equal(expected[key], actual[key])
        for key in expected)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", help="names in the index; all without any")
    parser.add_argument("--folder", type=pathlib.Path, default="Models")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    options = parser.parse_args()
    differing = 0
    for entry in json.loads((options.folder / "index.json").read_text()):
        if options.models and entry["name"] not in options.models:
            continue
        session = open_session(options.folder / entry["file"])
        inputs = inputs_of(session, options.folder, entry)
        arrays = {"in:" + name: array for name, array in inputs.items()}
        arrays |= outputs_of(session, inputs)
        reference = options.folder / entry["reference"]
        if options.check:
            with np.load(reference) as recorded:
                equal = same(dict(recorded), arrays)
            differing += not equal
            print(f"{entry['name']}: {'as recorded' if equal else 'differs'}")
        else:
            np.savez_compressed(reference, **arrays)
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
