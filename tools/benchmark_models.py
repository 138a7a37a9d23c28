#!/usr/bin/env python3
"""Makes models to time: networks with random weights, each with inputs beside it.

    tools/benchmark_models.py OUT                    makes all networks that this file defines
    tools/benchmark_models.py OUT --fill FOLDER      copies FOLDER's models and draws their weights
    tools/benchmark_models.py OUT --fill FOLDER --only resnet50 unet
    tools/benchmark_models.py OUT --quantize FOLDER  makes FOLDER's convolution networks QDQ graphs

Writes OUT/NAME.onnx, self-contained, and OUT/NAME.npz with an array `in:INPUT` for each input. The
same bytes on every machine: seeds are fixed. A folder to fill holds NAME.onnx whose large
initializers have no data but a doc_string "fill SEED MEAN STD", to be drawn from numpy's
PCG64(SEED).normal(MEAN, STD), and NAME.npz. Networks are quantized by onnxruntime's own quantizer, calibrated
on their inputs: uint8 activations, int8 weights. Files that exist are left as they are.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.4.6", "onnx==1.23.2", "onnxruntime==1.32.0"]
# ///

import argparse
import pathlib
import shutil
import zlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def normal(name, shape, deviation):
    """An initializer of noise; its name is its seed."""
    stream = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    array = (stream.standard_normal(shape, np.float32) * np.float32(deviation)).astype(np.float32)
    return numpy_helper.from_array(array, name)


def he(name, shape):
    """Weights of He's variance, 2 / fan-in, for [out, in, ...]: layers keep the size of values."""
    return normal(name, shape, np.sqrt(2 / np.prod(shape[1:])))


def vgg19():
    """VGG-19 as ONNX's own light_vgg19, whose weights are ConstantOfShape, with weights."""
    folder = pathlib.Path(onnx.__file__).parent / "backend/test/data/light"
    model = onnx.load(folder / "light_vgg19.onnx")
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    shapes = {node.output[0]: constants[node.input[0]].tolist() for node in graph.node
              if node.op_type == "ConstantOfShape"}
    made = [he(name, shape) if len(shape) > 1 else normal(name, shape, 0.1)
            for name, shape in shapes.items()]
    kept = [node for node in graph.node if node.op_type != "ConstantOfShape"]
    used = {name for node in kept for name in node.input} - shapes.keys()
    initializers = [tensor for tensor in graph.initializer if tensor.name in used] + made
    inputs = [value for value in graph.input if value.name not in constants]
    return helper.make_model(
        helper.make_graph(kept, "vgg19", inputs, graph.output, initializers),
        ir_version=model.ir_version, opset_imports=model.opset_import)


def repvgg_a0():
    """RepVGG-A0 (arXiv 2101.03697) as deployed: 3x3 convolutions, one after the other."""
    nodes, weights, value, channels = [], [], "image", 3
    for stage, (width, depth) in enumerate([(48, 1), (48, 2), (96, 4), (192, 14), (1280, 1)]):
        for layer in range(depth):
            name, stride = f"stage{stage}.{layer}", 2 if layer == 0 else 1
            weights += [he(f"{name}.weight", [width, channels, 3, 3]),
                        normal(f"{name}.bias", [width], 0.1)]
            operands = [value, f"{name}.weight", f"{name}.bias"]
            nodes += [
                helper.make_node("Conv", operands, [f"{name}.conv"], kernel_shape=[3, 3],
                                 pads=[1] * 4, strides=[stride] * 2),
                helper.make_node("Relu", [f"{name}.conv"], [name])]
            value, channels = name, width
    weights += [he("linear.weight", [1000, channels]), normal("linear.bias", [1000], 0.1)]
    nodes += [helper.make_node("GlobalAveragePool", [value], ["pooled"]),
              helper.make_node("Flatten", ["pooled"], ["features"]),
              helper.make_node("Gemm", ["features", "linear.weight", "linear.bias"], ["logits"],
                               transB=1)]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 224, 224])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 1000])
    return helper.make_model(
        helper.make_graph(nodes, "repvgg_a0", [image], [logits], weights),
        ir_version=8, opset_imports=[helper.make_opsetid("", 13)])


MODELS = {"vgg19": vgg19, "repvgg_a0": repvgg_a0}


def noise_inputs(model):
    """Standard normal float32 for the inputs of a model with fixed shapes."""
    stream, inputs = np.random.default_rng(0), {}
    for value in model.graph.input:
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        inputs[f"in:{value.name}"] = stream.standard_normal(shape, np.float32)
    return inputs


def fill(source, target):
    """Draws the weights that a model was kept without."""
    model = onnx.load(source)
    for tensor in model.graph.initializer:
        if tensor.doc_string.startswith("fill "):
            _, seed, mean, deviation = tensor.doc_string.split()
            stream = np.random.Generator(np.random.PCG64(int(seed)))
            array = stream.normal(float(mean), float(deviation), tuple(tensor.dims))
            tensor.raw_data = array.astype(np.float32).tobytes()
            tensor.ClearField("doc_string")
    onnx.save(model, target)


def fill_folder(source, target, names=()):
    """Fills a folder's models that have inputs beside them; returns their paths in `target`."""
    target.mkdir(parents=True, exist_ok=True)
    filled = []
    for model in sorted(source.glob("*.onnx")):
        inputs = model.with_suffix(".npz")
        if not inputs.exists() or (names and model.stem not in names):
            continue
        filled.append(target / model.name)
        if not filled[-1].exists():
            shutil.copyfile(inputs, target / inputs.name)
            fill(model, filled[-1])
    return filled


class OneBatch:
    """Calibration data: the inputs of a model, once."""

    def __init__(self, feeds):
        self.batches = iter([feeds])

    def get_next(self):
        return next(self.batches, None)


def quantize_folder(source, out, only):
    """Makes QDQ graphs of the networks in a folder that have convolutions of single precision."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.glob("*.onnx")):
        target = out / f"{path.stem}_qdq.onnx"
        if target.exists() or (only and path.stem not in only) or not is_convolutional(path):
            continue
        data = np.load(path.with_suffix(".npz"))
        feeds = {name[3:]: data[name] for name in data.files if name.startswith("in:")}
        prepared = target.with_suffix(".prepared")
        quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            prepared, target, OneBatch(feeds), quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
        prepared.unlink()
        np.savez(target.with_suffix(".npz"), **{f"in:{name}": feeds[name] for name in feeds})


def is_convolutional(path):
    """Whether a model has convolutions, and none that are quantized already."""
    kinds = {node.op_type for node in onnx.load(path, load_external_data=False).graph.node}
    return "Conv" in kinds and not kinds & {"QuantizeLinear", "QLinearConv", "ConvInteger", "Loop"}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--fill", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--quantize", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    options = parser.parse_args()
    if options.fill:
        fill_folder(options.fill, options.out, options.only)
        return
    if options.quantize:
        quantize_folder(options.quantize, options.out, options.only)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    for name, make in MODELS.items():
        path = options.out / f"{name}.onnx"
        if path.exists() or (options.only and name not in options.only):
            continue
        model = make()
        onnx.save(model, path)
        np.savez(path.with_suffix(".npz"), **noise_inputs(model))


if __name__ == "__main__":
    main()
