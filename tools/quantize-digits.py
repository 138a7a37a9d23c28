#!/usr/bin/env python3
"""Makes the quantised and the float16 variants of Models/digits/digits_resnet with onnxruntime.

The static ones are calibrated on training images, with BatchNormalization folded beforehand; the
dynamic and the float16 one keep their BatchNormalization nodes.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "numpy==2.4.6", "onnx==1.23.2", "onnxruntime==1.32.0", "pillow==13.0.0",
#   "scikit-learn==1.9.1", "sympy==1.14.0",
# ]
# ///

import argparse
import pathlib
import tempfile

import onnx
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16

import digits

QUANTIZED = ["Conv", "Relu", "Add", "GlobalAveragePool", "Flatten", "Gemm"]


class Calibration(quantization.CalibrationDataReader):
    """Hands the training images to the calibration, 64 at a time."""

    def __init__(self, images):
        self.batches = iter([images[start:start + 64] for start in range(0, len(images) - 63, 64)])

    def get_next(self):
        batch = next(self.batches, None)
        return None if batch is None else {"image": batch}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=pathlib.Path, default="Models/digits")
    folder = parser.parse_args().folder
    (pixels, _), _ = digits.load_split()
    images = digits.to_input(pixels)
    source = folder / "digits_resnet_torchscript.onnx"
    with tempfile.TemporaryDirectory() as scratch:
        folded = pathlib.Path(scratch, "folded.onnx")
        quant_pre_process(source, folded)
        for name, format, activations in (
            ("digits_resnet_qdq.onnx", quantization.QuantFormat.QDQ, quantization.QuantType.QInt8),
            ("digits_resnet_qoperator.onnx", quantization.QuantFormat.QOperator,
             quantization.QuantType.QUInt8),
        ):
            quantization.quantize_static(
                folded, folder / name, Calibration(images), quant_format=format,
                activation_type=activations, per_channel=True, op_types_to_quantize=QUANTIZED)
    quantization.quantize_dynamic(
        source, folder / "digits_resnet_dynamic_int8.onnx",
        weight_type=quantization.QuantType.QUInt8)
    half = convert_float_to_float16(onnx.load(folder / "digits_resnet_dynamo.onnx"))
    onnx.save(half, folder / "digits_resnet_float16.onnx")


if __name__ == "__main__":
    main()
