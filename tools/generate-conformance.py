#!/usr/bin/env python3
"""Writes the cases of ONNX's backend suite as files, for the conformance test to read.

    tools/generate-conformance.py [FOLDER]           default: .build/conformance

FOLDER gets KIND/CASE/{model.onnx, test_data_set_0/{input,output}_N.pb} and, when all is written,
cases.txt with a line "KIND/CASE rtol atol" for each case. input_N.pb belongs to the N-th input of
the graph that is not an initializer; a file holds a TensorProto, SequenceProto or OptionalProto,
as the graph declares it.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.4.6", "onnx==1.23.2", "pillow==13.0.0"]
# ///

import pathlib
import shutil
import sys

import numpy
import onnx
import onnx.backend.test
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

PACKAGE = pathlib.Path(onnx.backend.test.__file__).parent


def main():
    """Writes all cases."""
    default = pathlib.Path(__file__).parents[1] / ".build" / "conformance"
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    shutil.rmtree(folder, ignore_errors=True)
    lines = []
    for kind in ["node", "simple", "pytorch-operator", "pytorch-converted", "real"]:
        for case in load_model_tests(kind=kind):
            name = f"{'light' if kind == 'real' else kind}/{case.name}"
            write(case, folder / name)
            lines.append(f"{name} {case.rtol:g} {case.atol:g}\n")
    (folder / "cases.txt").write_text("".join(sorted(lines)))
    print(f"{len(lines)} cases in {folder}")


def write(case, folder):
    """Writes one case, from wherever the package keeps it."""
    data = folder / "test_data_set_0"
    if case.model_dir is not None:
        shutil.copytree(case.model_dir, folder)
    elif case.model is not None:
        data.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(case.model.SerializeToString())
        ((inputs, outputs),) = case.data_sets
        for index, (value, info) in enumerate(zip(inputs, case.model.graph.input)):
            (data / f"input_{index}.pb").write_bytes(protobuf(value, info))
        for index, (value, info) in enumerate(zip(outputs, case.model.graph.output)):
            (data / f"output_{index}.pb").write_bytes(protobuf(value, info))
    else:
        data.mkdir(parents=True)
        write_light(PACKAGE.parents[2] / case.url, folder)


def write_light(path, folder):
    """A network without its weights: its input is a ramp, as in ONNX's own runner."""
    shutil.copy(path, folder / "model.onnx")
    graph = onnx.load(path).graph
    constants = {tensor.name for tensor in graph.initializer}
    (info,) = [info for info in graph.input if info.name not in constants]
    shape = [dimension.dim_value or 1 for dimension in info.type.tensor_type.shape.dim]
    count = numpy.prod(shape)
    ramp = (numpy.arange(count).reshape(shape) / count).astype(numpy.float32)
    (folder / "test_data_set_0" / "input_0.pb").write_bytes(protobuf(ramp, info))
    expected = path.with_name(f"{path.stem}_output_0.pb")
    shutil.copy(expected, folder / "test_data_set_0" / "output_0.pb")


def protobuf(value, info):
    """The value as the message that the graph declares for it."""
    if isinstance(value, onnx.TensorProto):
        return value.SerializeToString()
    convert = {
        "sequence_type": numpy_helper.from_list,
        "optional_type": numpy_helper.from_optional,
        "map_type": numpy_helper.from_dict,
    }.get(info.type.WhichOneof("value"), numpy_helper.from_array)
    return convert(value, info.name).SerializeToString()


if __name__ == "__main__":
    main()
