#!/usr/bin/env python3
"""Records small models with their expected outputs, for what no case of ONNX's suite covers.

Writes Tests/SardonyxTests/Fixtures/Operators/CASE/{model.onnx, test_data_set_0/…} in the layout of
ONNX's backend cases. Expected outputs come from onnxruntime where it has the operator at that
version, else from onnx.reference. Where neither has it, they come from the newest version of the
operator ("newer": the same call in today's terms), or are given here. The model's doc_string says
which. `tools/record-references.py NAME…` records only the operators named.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "ml_dtypes==0.6.0", "numpy==2.4.6", "onnx==1.23.2", "onnxruntime==1.32.0",
#   "scikit-learn==1.9.1",
# ]
# ///

import math
import pathlib
import shutil
import sys

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

FOLDER = pathlib.Path(__file__).parents[1] / "Tests/SardonyxTests/Fixtures/Operators"
NEWEST = 24  # the newest operator set that onnxruntime runs in full
ML = "ai.onnx.ml"
MS = "com.microsoft"
random = None
cases = []


def seed(name):
    """Starts the random numbers of one family, so that a change to it leaves the others alone."""
    global random
    random = np.random.default_rng(list(name.encode()))


def floats(*shape, low=-2.0, high=2.0, dtype=np.float32):
    """Random numbers with two digits."""
    return np.round(random.uniform(low, high, shape), 2).astype(dtype)


def ints(*shape, low=0, high=10, dtype=np.int64):
    return random.integers(low, high, shape).astype(dtype)


def i64(*values):
    return np.array(values, np.int64)


class Call:
    """One node with its inputs: arrays, None for one left out, or whole models by `graph`."""

    def __init__(self, operator, opset, inputs, attributes=None, outputs=1, domain="", graph=None):
        self.operator, self.opset, self.domain = operator, opset, domain
        self.inputs = [np.asarray(v) if isinstance(v, np.generic) else v for v in inputs]
        self.attributes, self.outputs = attributes or {}, outputs
        self.graph = graph

    def feeds(self):
        return {f"x{i}": v for i, v in enumerate(self.inputs) if v is not None}

    def model(self, types=None):
        names = [f"x{i}" if v is not None else "" for i, v in enumerate(self.inputs)]
        outputs = [f"y{i}" for i in range(self.outputs)]
        if self.graph is not None:
            nodes = self.graph(names, outputs)
        else:
            node = helper.make_node(
                self.operator, names, outputs, domain=self.domain, **self.attributes
            )
            nodes = [node]
        inputs = [
            onnx.ValueInfoProto(name=n, type=type_of(v)) for n, v in self.feeds().items()
        ]
        types = types or [None] * self.outputs
        results = [
            onnx.ValueInfoProto(name=n, type=t) if t else onnx.ValueInfoProto(name=n)
            for n, t in zip(outputs, types)
        ]
        imports = [helper.make_opsetid(self.domain, self.opset)]
        if self.domain:
            imports.append(helper.make_opsetid("", 17))
        graph = helper.make_graph(nodes, self.operator, inputs, results)
        return helper.make_model(graph, opset_imports=imports, ir_version=10)


def type_of(value):
    """The TypeProto of a value: an array, a list of values or a map."""
    if isinstance(value, dict):
        key, item = next(iter(value.items()))
        return helper.make_map_type_proto(
            TensorProto.STRING if isinstance(key, str) else TensorProto.INT64,
            type_of(np.array(item) if isinstance(item, str) else item),
        )
    if isinstance(value, Optional):
        return helper.make_optional_type_proto(value.type)
    if isinstance(value, list):
        return helper.make_sequence_type_proto(type_of(value[0]))
    dtype = np.asarray(value).dtype
    if dtype.kind in "SUO":
        return helper.make_tensor_type_proto(TensorProto.STRING, np.shape(value))
    return helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(dtype), np.shape(value))


class Optional:
    """An optional value with the type of its element."""

    def __init__(self, value, type):
        self.value, self.type = value, type


def protobuf(value, name):
    if isinstance(value, Optional):
        return numpy_helper.from_optional(value.value, name)
    if isinstance(value, dict):
        return map_proto(value, name)
    if isinstance(value, list) and isinstance(value[0], dict):
        maps = [map_proto(item, name) for item in value]
        return onnx.SequenceProto(
            name=name, elem_type=onnx.SequenceProto.MAP, map_values=maps
        )
    if isinstance(value, list):
        return numpy_helper.from_list(value, name)
    value = np.asarray(value)
    if value.dtype.kind == "U":
        value = value.astype(object)
    return numpy_helper.from_array(value, name)


def map_proto(value, name):
    """A MapProto; numpy_helper.from_dict cannot write text keys."""
    values = numpy_helper.from_list([np.asarray(item) for item in value.values()])
    if isinstance(next(iter(value)), str):
        keys = {"key_type": TensorProto.STRING, "string_keys": [key.encode() for key in value]}
    else:
        keys = {"key_type": TensorProto.INT64, "keys": list(value)}
    return onnx.MapProto(name=name, values=values, **keys)


def run_onnxruntime(call):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        call.model().SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, call.feeds())


def run_reference(call):
    return ReferenceEvaluator(call.model()).run(None, call.feeds())


def expected(call, newer, given):
    """The outputs and where they come from."""
    if given is not None:
        return list(given), "given by tools/record-references.py"
    problems = []
    for source in [newer] if newer else [call]:
        for name, run in [("onnxruntime", run_onnxruntime), ("onnx.reference", run_reference)]:
            try:
                results = run(source)
            except Exception as error:  # both fail in many ways where they lack an operator
                problems.append(f"{name}: {error}".replace("\n", " ")[:200])
                continue
            return results, f"{name}, {source.operator}-{source.opset}"
    raise RuntimeError(f"{call.operator}-{call.opset}: " + " | ".join(problems))


def case(name, call, newer=None, given=None):
    """Notes a case to be written."""
    cases.append((f"{name}-{call.opset}" if call.opset else name, call, newer, given))


def each(operator, versions, inputs, attributes=None, newer=None, outputs=1, suffix="", given=None,
         newest=None, domain="", graph=None):
    """A case for each version; `newer` is (inputs, attributes) of the same call today.

    `newest` is the operator set to take the expected outputs from, where the call is the same.
    """
    for version in versions:
        call = Call(operator, version, inputs, attributes, outputs, domain, graph)
        other = None
        if newer is not None or newest is not None:
            args = newer if newer is not None else (inputs, attributes)
            other = Call(operator, newest or NEWEST, *args, outputs, domain, graph)
        case(f"{operator}{suffix}", call, other, given)


def write(name, call, newer, given):
    results, source = expected(call, newer, given)
    folder = FOLDER / name.lower()
    data = folder / "test_data_set_0"
    shutil.rmtree(folder, ignore_errors=True)
    data.mkdir(parents=True)
    model = call.model([type_of(v) for v in results])
    model.doc_string = f"Expected outputs: {source}"
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    for index, (key, value) in enumerate(call.feeds().items()):
        (data / f"input_{index}.pb").write_bytes(protobuf(value, key).SerializeToString())
    for index, value in enumerate(results):
        (data / f"output_{index}.pb").write_bytes(protobuf(value, f"y{index}").SerializeToString())


def main():
    names = {name.lower() for name in sys.argv[1:]}
    if not names:
        shutil.rmtree(FOLDER, ignore_errors=True)
    for function in [elementwise, reductions, movement, networks, recurrent, quantization,
                     control_flow, randomness, experimental, microsoft, fusions,
                     attentions, quantized, utilities, features, linear, machines, trees]:
        seed(function.__name__)
        function()
    failures = []
    for entry in cases:
        if names and entry[1].operator.lower() not in names:
            continue
        try:
            write(*entry)
        except Exception as error:
            failures.append(f"{entry[0]}: {error}")
    print(f"{len(cases)} cases")
    if failures:
        sys.exit("\n".join(failures))


def elementwise():
    """Functions of one tensor, and of several that broadcast."""
    x = floats(2, 3)
    unit = floats(2, 3, low=-0.9, high=0.9)
    positive = floats(2, 3, low=0.1, high=3)
    legacy = {"consumed_inputs": [0]}
    for name in ["Abs", "Exp", "Neg", "Sigmoid", "Tanh", "Relu"]:
        each(name, [1], [x], legacy, ([x], {}))
    for name in ["Ceil", "Floor"]:
        each(name, [1], [x], legacy, ([x], {}))
        each(name, [6], [x])
    for name in ["Log", "Reciprocal"]:
        each(name, [1], [positive], legacy, ([positive], {}))
        each(name, [6], [positive])
    each("Sqrt", [1], [positive], legacy, ([positive], {}))
    for name in ["Acos", "Asin", "Atan", "Sin", "Tan"]:
        each(name, [7], [unit])
    for name in ["Asinh", "Atanh", "Cosh", "Sinh"]:
        each(name, [9], [unit])
    each("Acosh", [9], [positive + 1])
    each("Erf", [9], [x])
    each("Relu", [13], [x])
    each("Softsign", [1], [x])
    each("Elu", [1], [x], {"alpha": 0.5, **legacy}, ([x], {"alpha": 0.5}))
    each("LeakyRelu", [1], [x], {"alpha": 0.2, **legacy}, ([x], {"alpha": 0.2}))
    each("Selu", [1], [x], legacy, ([x], {"alpha": 1.6732, "gamma": 1.0507}))
    each("HardSigmoid", [1], [x], {"alpha": 0.3, **legacy}, ([x], {"alpha": 0.3}))
    each("HardSigmoid", [6], [x], {"alpha": 0.3, "beta": 0.4})
    each("ThresholdedRelu", [10], [x], {"alpha": 0.5})
    each("HardSwish", [14], [x])
    each("Mish", [18], [x])
    each("Celu", [12], [x], {"alpha": 0.7})
    each("Identity", [14, 21], [x])
    special = np.array([1, np.inf, -np.inf, np.nan], np.float32)
    each("IsInf", [10], [special], {"detect_negative": 0})
    each("IsNaN", [9, 13], [special])
    each("Det", [11], [floats(2, 3, 3)])
    each("MeanVarianceNormalization", [9], [floats(2, 3, 2, 2)], {"axes": [0, 2, 3]})
    each("LpNormalization", [1], [x], {"axis": 1, "p": 1})
    bits = ints(2, 3, high=8, dtype=np.uint8)
    each("BitShift", [11], [bits, bits % 3], {"direction": "LEFT"})
    each("Clip", [1], [x], {"min": -0.5, "max": 1.0, **legacy},
         ([x, np.float32(-0.5), np.float32(1)], {}))
    each("Clip", [12], [ints(2, 3), np.int64(2), None])

    wide, narrow = floats(2, 3, 4, 5), floats(3, 4, low=0.5)
    inner = narrow.reshape(3, 4, 1)
    axis = {"axis": 1, "broadcast": 1}
    for name in ["Add", "Sub", "Mul", "Div"]:
        each(name, [1], [wide, narrow], {**axis, **legacy}, ([wide, inner], {}))
    each("Mul", [13], [wide, floats(5)])
    yes, no = wide > 0, narrow > 1
    for name in ["And", "Or", "Xor"]:
        each(name, [1], [yes, no], axis, ([yes, no.reshape(3, 4, 1)], {}))
    for name in ["Greater", "Less"]:
        each(name, [1], [wide, narrow], axis, ([wide, inner], {}))
        each(name, [7], [wide, floats(5)])
        each(name, [9], [ints(2, 3), ints(3)])
    whole, part = ints(2, 3, 4, high=3, dtype=np.int32), ints(3, high=3, dtype=np.int32)
    each("Equal", [1], [whole, part], axis, ([whole, part.reshape(3, 1)], {}))
    each("Equal", [7], [whole, ints(4, high=3, dtype=np.int32)])
    each("Equal", [11], [np.round(wide), floats(5).round()])
    for name in ["GreaterOrEqual", "LessOrEqual"]:
        each(name, [12], [whole, ints(4, high=3, dtype=np.int32)])
    each("Pow", [7], [positive, floats(3)])
    each("Pow", [12], [positive, ints(3, high=3)])
    each("Mod", [10], [ints(2, 3, low=-9), i64(3, -4, 5)])
    slope = floats(3)
    tall = floats(2, 3, 4)
    each("PRelu", [1], [tall, slope], legacy, ([tall, slope.reshape(3, 1)], {}))
    each("PRelu", [7, 9], [tall, slope.reshape(3, 1)])
    three = [floats(2, 3) for _ in range(3)]
    for name in ["Max", "Min", "Mean", "Sum"]:
        each(name, [1], three, legacy, (three, {}))
    each("Mean", [6], three, newer=(three, {}))
    each("Mean", [8], [floats(2, 3), floats(3), floats(2, 1)])
    for name in ["Max", "Min"]:
        each(name, [12], [ints(2, 3), ints(3)])
    each("Cast", [1], [x], {"to": "INT32"}, ([x], {"to": TensorProto.INT32}))
    each("Cast", [6], [x], {"to": TensorProto.BOOL})
    each("Cast", [19], [x], {"to": TensorProto.FLOAT16, "saturate": 0})
    each("CastLike", [21], [x, ints(1, dtype=np.int32)])


def reductions():
    x = floats(2, 3, 4, low=0.5)
    axes = {"axes": [0, 2], "keepdims": 0}
    names = ["L1", "L2", "LogSum", "LogSumExp", "Prod", "SumSquare", "Max", "Min", "Mean", "Sum"]
    old = {"Max": [1, 12], "Min": [1, 12, 13], "Mean": [11], "Sum": [11],
           "LogSum": [1, 11, 13, 18], "LogSumExp": [1, 11, 13, 18]}
    for name in names:
        for version in old.get(name, [1, 11, 13]):
            newer = ([x, i64(0, 2)], {"keepdims": 0})
            if version == 18:
                each("Reduce" + name, [18], *newer)
            else:
                each("Reduce" + name, [version], [x], axes, newer, newest=20)
    for name in ["ArgMax", "ArgMin"]:
        each(name, [1, 11], [x], {"axis": 1, "keepdims": 0})
        each(name, [12], [np.ones((2, 3), np.float32)], {"axis": 1, "select_last_index": 1})
    each("CumSum", [11], [floats(2, 3), np.int64(1)], {"exclusive": 1, "reverse": 1})
    for name in ["Softmax", "LogSoftmax", "Hardmax"]:
        flat = x.reshape(2, 12)
        for version in [1, 11] if name == "Hardmax" else [11]:
            call = Call(name, version, [x], {"axis": 1})
            results, _ = expected(Call(name, 13, [flat], {"axis": 1}), None, None)
            case(name, call, given=[results[0].reshape(x.shape)])
    each("TopK", [1], [x], {"axis": 2, "k": 2}, ([x, i64(2)], {"axis": 2}), outputs=2)
    each("TopK", [10], [x, i64(2)], {"axis": 1}, outputs=2)
    each("TopK", [11], [x, i64(2)], {"axis": 0, "largest": 0}, outputs=2)
    each("Einsum", [12], [floats(2, 3), floats(3, 4)], {"equation": "ij,jk->ki"})
    each("NonZero", [9], [ints(2, 3, high=2)])
    each("Unique", [11], [ints(8, high=4)], outputs=4)


def movement():
    x = floats(2, 3, 4)
    y = floats(2, 3, 4)
    each("Compress", [9, 11], [x, np.array([True, False, True])], {"axis": 1})
    each("Concat", [1], [x, y], {}, ([x, y], {"axis": 1}))
    each("Concat", [11], [x, y], {"axis": -1})
    each("Constant", [12], [], {"value_floats": [1.0, 2.5]})
    each("Constant", [12], [], {"value_int": 7}, suffix="-int")
    each("Constant", [12], [], {"value_strings": ["a", "bc"]}, suffix="-strings")
    each("ConstantOfShape", [21], [i64(2, 3)],
         {"value": numpy_helper.from_array(np.array([7], np.int32))})
    deep = floats(1, 8, 2, 3)
    each("DepthToSpace", [1], [deep], {"blocksize": 2}, newest=13)
    each("DepthToSpace", [11, 13], [deep], {"blocksize": 2, "mode": "CRD"})
    each("SpaceToDepth", [1, 13], [floats(1, 2, 4, 6)], {"blocksize": 2}, newest=13)
    each("EyeLike", [9], [ints(2, 3)], {"k": 1, "dtype": TensorProto.FLOAT})
    each("Flatten", [9, 21, 23, 24], [x], {"axis": 1})
    each("Flatten", [11], [x], {"axis": -1})
    index = ints(2, 2, high=3)
    each("Gather", [11], [x, index - 3], {"axis": 1})
    each("GatherElements", [11], [x, ints(2, 3, 4, high=3)], {"axis": 1})
    each("GatherND", [11], [x, np.array([[0, 1], [1, 2]])])
    each("GatherND", [12], [x, np.array([[1], [2]])], {"batch_dims": 1})
    each("OneHot", [9], [ints(2, 3, high=4), np.int64(4), floats(2)])
    each("OneHot", [11], [ints(2, 3, high=4) - 4, np.int64(4), floats(2)], {"axis": 1})
    pads = [0, 1, 1, 0, 0, 2]
    each("Pad", [1], [x], {"paddings": pads, "value": 1.5},
         ([x, i64(*pads), np.float32(1.5)], {}), newest=21)
    for version in [11, 13, 19, 21, 23]:
        each("Pad", [version], [x, i64(*pads)], {"mode": "reflect"})
    each("Pad", [19], [x, i64(1, 0, 0, 2), None, i64(0, -1)], {"mode": "wrap"}, suffix="-wrap")
    each("Reshape", [1], [x], {"shape": [0, -1]}, ([x, i64(0, -1)], {}))
    each("ReverseSequence", [10], [x, i64(2, 3)], {"batch_axis": 0, "time_axis": 1})
    rows, updates = np.array([[1, 0, 2]]), floats(1, 3)
    data = floats(3, 3)
    for version in [11, 13, 16]:
        each("ScatterElements", [version], [data, rows, updates], {"axis": 1})
    each("Scatter", [11], [data, rows, updates], {"axis": 1}, given=run_reference(
        Call("ScatterElements", 13, [data, rows, updates], {"axis": 1})))
    each("ScatterElements", [16], [data, rows, updates], {"reduction": "mul"}, suffix="-mul")
    for version in [11, 13, 16]:
        each("ScatterND", [version], [data, np.array([[2], [0]]), floats(2, 3)])
    each("ScatterND", [16], [data, np.array([[2], [2]]), floats(2, 3)], {"reduction": "add"},
         suffix="-add")
    each("Shape", [1], [x])
    each("Size", [1, 21, 24], [x])
    each("Slice", [10], [x, i64(2, -1), i64(0, 3), i64(1, 2), i64(-1, 1)])
    each("Split", [1], [x, np.array([1, 2], np.float32)], {"axis": 1},
         ([x, i64(1, 2)], {"axis": 1}), outputs=2,
         newest=13)
    each("Split", [1], [x], {"axis": 1, "split": [2, 1]}, ([x, i64(2, 1)], {"axis": 1}),
         outputs=2, suffix="-attribute", newest=13)
    each("Split", [11], [x], {"axis": -1}, outputs=2)
    each("Squeeze", [11], [floats(1, 3, 1)], {"axes": [-1]})
    each("Tile", [1], [x, np.float32(2), np.float32(1)], {}, ([x, i64(1, 2, 1)], {}))
    each("Transpose", [21], [x], {"perm": [2, 0, 1]})
    image = floats(1, 1, 2, 3)
    scales = np.array([1, 1, 2, 2], np.float32)
    each("Upsample", [1], [image], {"height_scale": 2.0, "width_scale": 2.0, "mode": "nearest"},
         given=[image.repeat(2, 2).repeat(2, 3)])
    each("Upsample", [7], [image], {"scales": [1.0, 1.0, 2.0, 2.0]},
         given=[image.repeat(2, 2).repeat(2, 3)])
    each("Upsample", [10], [image, scales], {"mode": "linear"},
         given=run_onnxruntime(Call("Upsample", 9, [image, scales], {"mode": "linear"})))
    each("Resize", [10], [image, scales], {"mode": "linear"})
    none = np.array([], np.float32)
    each("Resize", [11, 13], [image, none, scales],
         {"mode": "cubic", "coordinate_transformation_mode": "align_corners"})
    each("Resize", [18], [image, None, None, i64(4, 4)],
         {"mode": "linear", "axes": [2, 3], "antialias": 1})
    each("Optional", [28], [x], given=[Optional(x, type_of(x))])
    optional = Optional(x, type_of(x))
    each("OptionalGetElement", [18], [x], given=[x])
    each("OptionalGetElement", [18], [optional], given=[x], suffix="-optional")
    each("OptionalHasElement", [18], [optional], given=[np.array(True)])
    each("OptionalHasElement", [18], [Optional(None, type_of(x))], given=[np.array(False)],
         suffix="-none")


def networks():
    """Convolution, pooling, normalization, matrices, losses, regions."""
    image, weights, bias = floats(1, 4, 5, 5), floats(6, 2, 3, 3), floats(6)
    each("Conv", [11], [image, weights, bias], {"group": 2, "strides": [2, 1], "pads": [1, 0, 1, 2]})
    each("ConvTranspose", [11], [floats(1, 2, 3, 3), floats(2, 3, 2, 2)],
         {"strides": [2, 2], "output_padding": [1, 0]})
    each("AveragePool", [10, 11], [image], {"kernel_shape": [3, 2], "ceil_mode": 1,
                                            "strides": [2, 2]})
    each("AveragePool", [19], [image], {"kernel_shape": [2, 2], "dilations": [2, 2],
                                        "pads": [1, 1, 0, 0], "count_include_pad": 1})
    each("MaxPool", [10, 11], [image], {"kernel_shape": [2, 2], "dilations": [1, 2],
                                        "ceil_mode": 1, "strides": [2, 2]})
    pooled = np.array([[[[5, 6], [7, 8]]]], np.float32)
    each("MaxUnpool", [9, 11], [pooled, np.array([[[[0, 3], [9, 14]]]])],
         {"kernel_shape": [2, 2], "strides": [2, 2]})
    each("GlobalMaxPool", [1], [image])
    power = lambda p: np.power(np.power(np.abs(image.astype(np.float64)), p).sum((2, 3),
                               keepdims=True), 1 / p).astype(np.float32)
    each("GlobalLpPool", [1], [image], {"p": 3.0}, given=[power(3)])
    each("GlobalLpPool", [2, 22], [image], {"p": 3}, given=[power(3)])
    each("LpPool", [1], [image], {"kernel_shape": [2, 2], "p": 2.0, "strides": [1, 2]},
         ([image], {"kernel_shape": [2, 2], "p": 2, "strides": [1, 2]}))
    each("LpPool", [2, 11], [image], {"kernel_shape": [2, 2], "p": 3, "pads": [1, 0, 0, 1]})
    each("LpPool", [18], [image], {"kernel_shape": [2, 2], "p": 1, "dilations": [2, 2]})
    regions = np.array([[0, 0, 0, 3, 3], [0, 1, 1, 4, 4]], np.float32)
    each("MaxRoiPool", [1, 22], [image, regions], {"pooled_shape": [2, 2], "spatial_scale": 1.0},
         newer=([image, regions], {"pooled_shape": [2, 2], "spatial_scale": 1.0}), newest=1)
    each("RoiAlign", [10], [image, regions[:, 1:], i64(0, 0)],
         {"output_height": 2, "output_width": 2, "sampling_ratio": 2})
    each("RoiAlign", [16], [image, regions[:, 1:], i64(0, 0)],
         {"output_height": 2, "output_width": 2, "mode": "max", "sampling_ratio": 1,
          "coordinate_transformation_mode": "output_half_pixel"})
    each("GridSample", [16], [image, floats(1, 2, 3, 2, low=-1, high=1)],
         {"mode": "bicubic", "padding_mode": "border"})
    each("GridSample", [20], [image, floats(1, 2, 3, 2, low=-1, high=1)],
         {"mode": "linear", "align_corners": 1})
    each("DeformConv", [19], [floats(1, 1, 3, 3), floats(1, 1, 2, 2), floats(1, 8, 2, 2)])
    scale, shift, mean, var = (floats(4, low=0.5) for _ in range(4))
    parameters = [image, scale, shift, mean, var]
    each("BatchNormalization", [1], parameters, {"is_test": 1, "consumed_inputs": [0, 0, 0, 1, 1]},
         (parameters, {}), newest=15)
    each("BatchNormalization", [7], parameters, {"epsilon": 1e-3})
    each("BatchNormalization", [14], parameters, {"epsilon": 1e-3})
    each("BatchNormalization", [14], parameters, {"training_mode": 1, "momentum": 0.8}, outputs=3,
         suffix="-training")
    each("InstanceNormalization", [1], parameters[:3], {"epsilon": 1e-3, "consumed_inputs": [0]},
         (parameters[:3], {"epsilon": 1e-3}))
    each("GroupNormalization", [18], [image, floats(2), floats(2)], {"num_groups": 2})
    a, b, c = floats(2, 3), floats(4, 3), floats(4)
    each("Gemm", [1], [a, b, c], {"transB": 1, "broadcast": 1, "alpha": 0.5},
         ([a, b, c], {"transB": 1, "alpha": 0.5}))
    each("Gemm", [7], [a, b, c], {"transB": 1, "beta": 2.0})
    each("Gemm", [11], [a, b], {"transB": 1})
    each("MatMul", [9], [ints(2, 3, dtype=np.int32), ints(3, 2, dtype=np.int32)])
    boxes = np.array([[[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, 5, 1, 6]]], np.float32)
    scores = np.array([[[0.9, 0.75, 0.6]]], np.float32)
    each("NonMaxSuppression", [10],
         [boxes, scores, i64(3), np.array([0.5], np.float32), np.array([0.0], np.float32)])
    logits, labels = floats(3, 5), ints(3, high=5)
    each("NegativeLogLikelihoodLoss", [12], [logits, labels, floats(5, low=0.1)],
         {"reduction": "mean", "ignore_index": 2})
    each("SoftmaxCrossEntropyLoss", [12], [logits, labels], {"reduction": "none"}, outputs=2)
    for version in [1, 6, 12, 13]:
        attributes = {"is_test": 1, "ratio": 0.3} if version < 12 else {}
        each("Dropout", [version], [a], attributes, ([a], {}))


def recurrent():
    """RNN, GRU and LSTM of older versions: the same calls as today's."""
    x, hidden = floats(4, 2, 3), 5
    for name, gates in [("RNN", 1), ("GRU", 3), ("LSTM", 4)]:
        w, r = floats(2, gates * hidden, 3, low=-1, high=1), floats(2, gates * hidden, hidden,
                                                                   low=-1, high=1)
        bias = floats(2, 2 * gates * hidden)
        inputs = [x, w, r, bias, np.array([4, 2], np.int32)]
        attributes = {"hidden_size": hidden, "direction": "bidirectional"}
        count = 3 if name == "LSTM" else 2
        for version in {"GRU": [1, 3, 7, 14]}.get(name, [1, 7, 14]):
            legacy = {"output_sequence": 1} if version < 7 and not (name == "GRU" and version == 3) else {}
            if name == "GRU" and version == 3:
                legacy = {"output_sequence": 1}
            each(name, [version], inputs, {**attributes, **legacy}, (inputs, attributes),
                 outputs=count)


def quantization():
    x = floats(2, 6, low=-3, high=3)
    scale, zero = np.float32(0.05), np.uint8(120)
    q = ints(2, 6, high=255, dtype=np.uint8)
    scales, zeros = np.array([0.05, 0.1], np.float32), np.array([120, 7], np.uint8)
    each("DequantizeLinear", [10], [q, scale, zero])
    each("DequantizeLinear", [13, 19, 21, 23, 24, 25], [q, scales, zeros], {"axis": 0}, newest=21)
    each("QuantizeLinear", [13, 19, 21, 23, 24, 25], [x, scales, zeros], {"axis": 0}, newest=21)
    blocks = floats(2, 2, low=0.05, high=0.1)
    each("DequantizeLinear", [21], [q, blocks, None], {"axis": 1, "block_size": 3}, suffix="-blocked")
    each("QuantizeLinear", [21], [x, blocks, np.zeros((2, 2), np.int8)],
         {"axis": 1, "block_size": 3}, suffix="-blocked")
    a, b = ints(2, 3, high=255, dtype=np.uint8), ints(3, 2, high=255, dtype=np.uint8)
    each("QLinearMatMul", [10],
         [a, np.float32(0.01), np.uint8(100), b, np.float32(0.02), np.uint8(120), np.float32(0.03),
          np.uint8(118)])


def control_flow():
    x = floats(2, 3)
    info = lambda name, dtype, shape: helper.make_tensor_value_info(name, dtype, shape)
    F, B, I = TensorProto.FLOAT, TensorProto.BOOL, TensorProto.INT64

    def branches(names, outputs):
        graphs = [
            helper.make_graph(
                [helper.make_node(operator, [names[1]], ["b"])], operator, [], [info("b", F, [2, 3])]
            ) for operator in ["Neg", "Abs"]
        ]
        return [helper.make_node("If", [names[0]], outputs, then_branch=graphs[0],
                                 else_branch=graphs[1])]

    for version in [1, 21, 23, 24, 25]:
        each("If", [version], [np.array(version > 21), x], graph=branches,
             given=[-x if version > 21 else np.abs(x)])

    def loop(names, outputs):
        body = helper.make_graph(
            [helper.make_node("Add", ["s", names[2]], ["s2"]),
             helper.make_node("Identity", ["c"], ["c2"]),
             helper.make_node("Identity", ["s2"], ["scan"])],
            "body", [info("i", I, []), info("c", B, []), info("s", F, [2, 3])],
            [info("c2", B, []), info("s2", F, [2, 3]), info("scan", F, [2, 3])])
        return [helper.make_node("Loop", [names[0], names[1], names[2]], outputs, body=body)]

    for version in [1, 19, 21, 23, 24]:
        loop.opset = version
        each("Loop", [version], [np.int64(3), np.array(True), x], graph=loop, outputs=2,
             given=[4 * x, np.stack([2 * x, 3 * x, 4 * x])])

    def scan(names, outputs):
        body = helper.make_graph(
            [helper.make_node("Add", ["s", "e"], ["s2"]),
             helper.make_node("Identity", ["s2"], ["o"])],
            "body", [info("s", F, [3]), info("e", F, [3])], [info("s2", F, [3]), info("o", F, [3])])
        return [helper.make_node("Scan", names, outputs, body=body, num_scan_inputs=1,
                                 scan_input_directions=[1])]

    start = floats(3)
    for version in [11, 16, 19, 21, 23, 24]:
        sums = [start + x[1], start + x[1] + x[0]]
        each("Scan", [version], [start, x], graph=scan, outputs=2,
             given=[sums[1], np.stack(sums)])


def randomness():
    """Distributions so narrow that every generator draws the same."""
    x = floats(2, 3)
    three = np.full((2, 3), 3, np.float32)
    for version in [1, 22]:
        each("RandomNormal", [version], [], {"mean": 3.0, "scale": 0.0, "shape": [2, 3]},
             given=[three])
        each("RandomUniform", [version], [], {"low": 3.0, "high": 3.0, "shape": [2, 3]},
             given=[three])
        each("RandomNormalLike", [version], [x], {"mean": 3.0, "scale": 0.0, "seed": 1.0},
             given=[three])
        if version == 1:
            each("RandomUniformLike", [version], [x],
                 {"low": 3.0, "high": 3.0, "dtype": TensorProto.DOUBLE},
                 given=[three.astype(np.float64)])
    logits = np.array([[-1e4, 0, -1e4], [0, -1e4, -1e4]], np.float32)
    each("Multinomial", [7, 22], [logits], {"sample_size": 4, "dtype": TensorProto.INT64},
         given=[np.array([[1] * 4, [0] * 4])])
    sure = (ints(2, 3, high=2)).astype(np.float32)
    each("Bernoulli", [15], [sure], {"dtype": TensorProto.INT32}, given=[sure.astype(np.int32)])


def experimental():
    """Operators of ai.onnx that onnxruntime kept and ONNX dropped, or has as of a later version."""
    x = floats(2, 3, 4)
    each("Affine", [1], [x], {"alpha": 0.5, "beta": 1.5})
    each("ParametricSoftplus", [1], [x], {"alpha": 0.5, "beta": 2.0})
    each("Scale", [1], [x], {"scale": 2.5})
    each("ScaledTanh", [1], [x], {"alpha": 1.5, "beta": 0.5})
    each("ThresholdedRelu", [1], [x], {"alpha": 0.5})
    each("DynamicSlice", [1], [x, i64(0, 1), i64(1, 3), i64(0, 2)])
    image = floats(2, 3, 5, 6)
    each("ImageScaler", [1], [image], {"scale": 0.5, "bias": [0.1, -0.2, 0.3]})
    each("Crop", [1], [image], {"border": [1, 2, 3, 1]})
    each("Crop", [1], [image], {"border": [1, 2, 3, 1], "scale": [3, 4]}, suffix="-scale")
    each("MeanVarianceNormalization", [1], [image], {})
    each("MeanVarianceNormalization", [1], [image], {"across_channels": 1, "normalize_variance": 0},
         suffix="-across")
    scale, shift = floats(3, 4), floats(3, 4)
    each("LayerNormalization", [1, 12], [x, scale, shift], {"axis": 1, "epsilon": 1e-3}, outputs=3)
    each("SimplifiedLayerNormalization", [1], [x, scale], {"axis": 1, "epsilon": 1e-3}, outputs=2)


def microsoft():
    """Operators of onnxruntime's own that quantized and exported models have."""
    x, bias = floats(2, 8), floats(8)
    for name in ["Gelu", "QuickGelu"]:
        each(name, [1], [x], domain=MS)
    each("FastGelu", [1], [x, bias], domain=MS)
    each("BiasGelu", [1], [x, bias], domain=MS)

    scale, zero = np.float32(0.05), np.uint8(120)
    q = ints(1, 2, 4, 4, high=255, dtype=np.uint8)
    p = ints(2, 1, 4, high=255, dtype=np.uint8)
    output = [np.float32(0.07), np.uint8(110)]
    for name in ["QLinearAdd", "QLinearMul"]:
        each(name, [1], [q, scale, zero, p, np.float32(0.02), np.uint8(100), *output], domain=MS)
        each(name, [1], [q.astype(np.int8), scale, np.int8(3), p.astype(np.int8), np.float32(0.02),
                         np.int8(-9), np.float32(0.07), np.int8(5)], domain=MS, suffix="-int8")
    each("QLinearGlobalAveragePool", [1], [q, scale, zero, *output], domain=MS)
    each("QLinearGlobalAveragePool", [1], [q[:, :, :3], scale, zero, *output], {"channels_last": 1},
         domain=MS, suffix="-last")
    each("QLinearLeakyRelu", [1], [q, scale, zero, *output], {"alpha": 0.1}, domain=MS)
    each("QLinearSigmoid", [1], [q, scale, zero, np.float32(1 / 256), np.uint8(0)], domain=MS)
    a, b = ints(3, 5, high=255, dtype=np.uint8), ints(4, 5, high=255, dtype=np.uint8)
    factors = [a, np.float32(0.02), np.uint8(110), b, np.float32(0.03), np.uint8(140),
               ints(4, low=-90, high=90, dtype=np.int32)]
    each("QGemm", [1], [*factors, np.float32(0.1), np.uint8(128)], {"transB": 1}, domain=MS)
    each("QGemm", [1], factors, {"transB": 1, "alpha": 0.5}, domain=MS, suffix="-float")
    texts = np.array(["ab c", "d,e f"])
    for pattern, suffix in [({"separators": [" ", ","]}, ""), ({"tokenexp": "[a-z]"}, "-expression")]:
        each("Tokenizer", [1], [texts], {"mark": 1, "mincharnum": 1, "pad_value": "#", **pattern},
             domain=MS, suffix=suffix)
    hidden, gates = 3, 12
    w, r = ints(1, 2, gates, high=255, dtype=np.uint8), ints(1, hidden, gates, high=255, dtype=np.uint8)
    unit, middle = np.array([0.01], np.float32), np.array([128], np.uint8)
    each("DynamicQuantizeLSTM", [1],
         [floats(5, 1, 2), w, r, floats(1, 2 * gates), None, None, None, None, unit, middle, unit,
          middle], {"hidden_size": hidden}, outputs=3, domain=MS)


def fusions():
    """Operators that onnxruntime's optimizers and transformers' exporters write."""
    image, filters, bias = floats(1, 3, 6, 5), floats(4, 3, 3, 3), floats(4)
    window = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    each("FusedConv", [1], [image, filters, bias, floats(1, 4, 6, 5)],
         {**window, "activation": "Relu"}, domain=MS)
    for name, parameters in [("LeakyRelu", [0.2]), ("Clip", [-1.0, 2.0]), ("HardSigmoid", [0.3, 0.4]),
                             ("Tanh", []), ("Sigmoid", [])]:
        given = {"activation_params": parameters} if parameters else {}
        each("FusedConv", [1], [image, filters, bias], {**window, "activation": name, **given},
             domain=MS, suffix=f"-{name}")
    a, b = floats(2, 3, 4), floats(2, 4, 5)
    each("FusedMatMul", [1], [a, b], {"alpha": 0.5}, domain=MS)
    each("FusedMatMul", [1], [floats(2, 4, 3), floats(5, 4)], {"transA": 1, "transB": 1}, domain=MS,
         suffix="-transposed")
    each("FusedMatMul", [1], [floats(3, 2, 2, 4), floats(5, 2, 2, 4)],
         {"transBatchA": 1, "transBatchB": 1, "transB": 1, "alpha": 2.0}, domain=MS, suffix="-batch")
    each("FusedMatMul", [1], [floats(4), b], {"transA": 1}, domain=MS, suffix="-vector")
    each("TransposeMatMul", [1], [a, floats(2, 5, 4)], {"transB": 1, "alpha": 0.25}, domain=MS)
    each("FusedGemm", [1], [floats(3, 4), floats(5, 4), floats(5)],
         {"transB": 1, "alpha": 0.5, "beta": 2.0, "activation": "LeakyRelu", "activation_alpha": 0.1},
         domain=MS)
    each("FusedGemm", [1], [floats(3, 4), floats(4, 5)], {"activation": "Relu"}, domain=MS,
         suffix="-relu")
    for pads, suffix in [([1, 0, 2, 1], ""), ([0, 0, 0, 0], "-none")]:
        each("ConvTransposeWithDynamicPads", [1], [image, floats(3, 2, 3, 3), i64(*pads), floats(2)],
             {"strides": [2, 2], "output_padding": [1, 0], "kernel_shape": [3, 3]}, domain=MS,
             suffix=suffix)

    x, skip, gamma, beta, offset = floats(2, 3, 8), floats(2, 3, 8), floats(8), floats(8), floats(8)
    norm = {"epsilon": 1e-5}
    each("SkipLayerNormalization", [1], [x, skip, gamma, beta, offset], norm, outputs=4, domain=MS)
    each("SkipLayerNormalization", [1], [x, skip[0], gamma], norm, domain=MS, suffix="-row")
    each("SkipSimplifiedLayerNormalization", [1], [x, skip, gamma, offset], norm, domain=MS)
    each("SkipSimplifiedLayerNormalization", [1], [x, skip, gamma], {}, domain=MS, suffix="-plain")
    ids, segments = ints(2, 3, high=7, dtype=np.int32), ints(2, 3, high=2, dtype=np.int32)
    tables = [floats(7, 8), floats(5, 8)]
    mask = np.array([[1, 1, 0], [1, 1, 1]], np.int32)
    each("EmbedLayerNormalization", [1],
         [ids, segments, *tables, floats(2, 8), gamma, beta, mask], norm, outputs=3, domain=MS)
    each("EmbedLayerNormalization", [1],
         [ids, None, *tables, None, gamma, beta, None, np.array([[4, 2, 0]], np.int32)],
         norm, outputs=2, domain=MS, suffix="-positions")
    left, right = np.split(x + offset, 2, axis=-1)
    each("BiasSplitGelu", [1], [x, offset], domain=MS, given=[
        (left * right * 0.5 * (1 + np.vectorize(math.erf)(right / math.sqrt(2)))).astype(np.float32)])
    each("BiasAdd", [1], [x, offset, skip], domain=MS, given=[x + offset + skip])
    shifted = np.exp(x + offset)
    each("BiasSoftmax", [1], [x, offset], {"axis": 2, "is_inner_broadcast": 1}, domain=MS,
         given=[shifted / shifted.sum(axis=-1, keepdims=True)])

    k, n, size = 40, 6, 16
    for bits in [4, 8]:
        blocks = -(-k // size)
        packed = ints(n, blocks, size * bits // 8, high=256, dtype=np.uint8)
        scales = floats(n * blocks, low=0.01, high=0.1)
        points = ints(n * -(-blocks * bits // 8), high=256, dtype=np.uint8)
        call = {"K": k, "N": n, "bits": bits, "block_size": size}
        each("MatMulNBits", [1], [floats(2, 3, k), packed, scales, points], call, domain=MS,
             suffix=f"-{bits}")
        each("MatMulNBits", [1], [floats(3, k), packed, scales, None, None, floats(n)], call,
             domain=MS, suffix=f"-{bits}-bias")
    each("Inverse", [1], [floats(2, 3, 3) + 3 * np.eye(3, dtype=np.float32)], domain=MS)


def attentions():
    """Attention as onnxruntime's optimizers and exporters of language models write it."""
    batch, length, heads, size = 2, 3, 2, 4
    width = heads * size
    x, w, b = floats(batch, length, 5), floats(5, 3 * width), floats(3 * width)
    masks = {
        "": None,
        "-ends": np.array([2, 3], np.int32),
        "-ranges": np.array([3, 2, 1, 0], np.int32),
        "-raw": np.array([[1, 1, 0], [0, 1, 1]], np.int32),
        "-square": ints(batch, length, length, high=2, dtype=np.int32),
    }
    for suffix, mask in masks.items():
        for causal in [0, 1]:
            each("Attention", [1], [x, w, b, mask], {"num_heads": heads, "unidirectional": causal},
                 domain=MS, suffix=suffix + ("-causal" if causal else ""))
    past = floats(2, batch, heads, 2, size)
    each("Attention", [1], [x, w, b, None, past], {"num_heads": heads, "unidirectional": 1}, outputs=2,
         domain=MS, suffix="-past")
    each("Attention", [1], [x, w, b, None, None, floats(batch, heads, length, length)],
         {"num_heads": heads}, domain=MS, suffix="-bias")
    each("Attention", [1], [x, floats(5, 20), floats(20)],
         {"num_heads": heads, "qkv_hidden_sizes": [8, 8, 4], "scale": 0.3}, domain=MS,
         suffix="-sizes")
    query, key, value = floats(batch, length, width), floats(batch, 4, width), floats(batch, 4, 6)
    call = {"num_heads": heads}
    each("MultiHeadAttention", [1], [query, key, value], call, domain=MS)
    each("MultiHeadAttention", [1],
         [query, key, value, floats(2 * width + 6), np.array([[1, 1, 1, 0], [0, 1, 1, 1]], np.int32),
          floats(1, heads, length, 4)], {**call, "scale": 0.4, "mask_filter_value": -3.0}, domain=MS,
         suffix="-mask")
    key, value = floats(batch, length, width), floats(batch, length, width)
    each("MultiHeadAttention", [1],
         [query, key, value, None, None, None, floats(batch, heads, 2, size),
          floats(batch, heads, 2, size)], {**call, "unidirectional": 1}, outputs=3, domain=MS,
         suffix="-past")
    each("MultiHeadAttention", [1],
         [query, floats(batch, heads, 4, size), floats(batch, heads, 4, size)], call, domain=MS,
         suffix="-cross")
    cosines, sines = floats(8, size // 2, low=-1, high=1), floats(8, size // 2, low=-1, high=1)
    positions = np.array([[0, 3, 1], [2, 4, 7]])
    for interleaved in [0, 1]:
        each("RotaryEmbedding", [1], [query, positions, cosines, sines],
             {"interleaved": interleaved}, domain=MS, suffix=f"-{interleaved}")
    each("RotaryEmbedding", [1], [query, i64(2), cosines[:, :1], sines[:, :1]],
         {"num_heads": heads, "rotary_embedding_dim": 2}, domain=MS, suffix="-part")
    each("RotaryEmbedding", [1], [floats(batch, heads, length, size), i64(1), cosines, sines],
         domain=MS, suffix="-heads")

    heads, groups, size = 4, 2, 16
    cosines, sines = floats(8, size // 2, low=-1, high=1), floats(8, size // 2, low=-1, high=1)
    query = floats(batch, length, heads * size)
    key, value = floats(batch, length, groups * size), floats(batch, length, groups * size)
    call = {"num_heads": heads, "kv_num_heads": groups}
    total = np.array([3], np.int32)
    each("GroupQueryAttention", [1], [query, key, value, None, None, np.array([2, 2], np.int32), total],
         call, outputs=3, domain=MS)
    each("GroupQueryAttention", [1],
         [query, key, value, None, None, np.array([2, 2], np.int32), total, cosines, sines],
         {**call, "do_rotary": 1, "softcap": 1.5, "scale": 0.7}, outputs=3, domain=MS,
         suffix="-rotary")
    one = [array[:, :1] for array in (query, key, value)]
    pasts = [floats(batch, groups, 4, size), floats(batch, groups, 4, size)]
    each("GroupQueryAttention", [1],
         [*one, *pasts, np.array([4, 2], np.int32), np.array([5], np.int32), cosines, sines],
         {**call, "do_rotary": 1, "rotary_interleaved": 1}, outputs=3, domain=MS, suffix="-step")
    each("GroupQueryAttention", [1],
         [*one, *pasts, np.array([4, 4], np.int32), np.array([5], np.int32)],
         {**call, "local_window_size": 2, "smooth_softmax": 1}, outputs=3, domain=MS,
         suffix="-window")
    each("GroupQueryAttention", [1],
         [floats(1, length, (heads + 2 * groups) * size), None, None, None, None,
          np.array([2], np.int32), total, cosines, sines],
         {**call, "do_rotary": 1}, outputs=3, domain=MS, suffix="-packed")
    padded = [query, key, value, None, None, np.array([2, 1], np.int32), total]
    each("GroupQueryAttention", [1], padded, {**call, "smooth_softmax": 1}, outputs=3, domain=MS,
         suffix="-padded")
    each("GroupQueryAttention", [1], padded, {**call, "causal": 0}, outputs=3, domain=MS,
         suffix="-all")
    longer = [query[:1], key[:1], value[:1], *[floats(1, groups, 6, size) for _ in range(2)],
              np.array([4], np.int32), np.array([5], np.int32), None, None, None,
              floats(1, 1, length, 5)]
    for shown in [1, 2]:
        each("GroupQueryAttention", [1], longer,
             {**call, "qk_output": shown, "softcap": 3.0, "local_window_size": 3}, outputs=4,
             domain=MS, suffix=f"-scores-{shown}")
    query, key = floats(batch, length, width), floats(batch, 5, width)
    each("MultiHeadAttention", [1], [query, key, key], {"num_heads": 2, "unidirectional": 1},
         domain=MS, suffix="-more-keys")
    each("Attention", [1], [x, w, b, np.array([[0], [1]], np.int32)], {"num_heads": 2}, domain=MS,
         suffix="-column")


def quantized():
    """Operators on 8-bit integers that onnxruntime's quantizers write."""
    scale, zero = np.float32(0.05), np.uint8(120)
    a, b = floats(2, 3, 4), ints(4, 5, high=256, dtype=np.uint8)
    bias, columns = floats(5), floats(5, low=0.01, high=0.1)
    each("DynamicQuantizeMatMul", [1], [a, b, scale, zero, bias], domain=MS)
    each("DynamicQuantizeMatMul", [1], [a, b.astype(np.int8), columns, np.zeros(5, np.int8)],
         domain=MS, suffix="-columns")
    q = ints(2, 3, 4, high=256, dtype=np.uint8)
    each("MatMulIntegerToFloat", [1], [q, b, scale, np.float32(0.02), zero, np.uint8(99), bias],
         domain=MS)
    each("MatMulIntegerToFloat", [1], [q.astype(np.int8), b.astype(np.int8), scale, columns],
         domain=MS, suffix="-int8")
    x = floats(2, 3, 4, low=-8, high=8)
    each("QuantizeLinear", [1], [x, np.float32(0.07), np.uint8(100)], domain=MS)
    each("QuantizeLinear", [1], [x, floats(3, low=0.01, high=0.1), ints(3, dtype=np.int16)],
         {"axis": 1}, domain=MS, suffix="-axis")
    each("DequantizeLinear", [1], [q, scale, zero], domain=MS)
    each("DequantizeLinear", [1], [q.astype(np.uint16), floats(3), ints(3, dtype=np.uint16)],
         {"axis": 1}, domain=MS, suffix="-axis")
    for opset, suffix in [(13, ""), (12, "-flat")]:
        each("QLinearSoftmax", [1], [q, scale, zero, np.float32(1 / 256), np.uint8(0)],
             {"axis": 1, "opset": opset}, domain=MS, suffix=suffix)
    each("QLinearConcat", [1],
         [np.float32(0.06), np.uint8(110), q, scale, zero, q[:, :1], np.float32(0.02), np.uint8(3)],
         {"axis": 1}, domain=MS)
    images = ints(1, 2, 6, 5, high=256, dtype=np.uint8)
    window = {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 0, 1]}
    each("QLinearAveragePool", [1], [images, scale, zero, np.float32(0.03), np.uint8(128)],
         {**window, "count_include_pad": 1}, domain=MS)
    each("QLinearAveragePool", [1],
         [images.transpose(0, 2, 3, 1), scale, zero, np.float32(0.03), np.uint8(128)],
         {**window, "channels_last": 1, "ceil_mode": 1}, domain=MS, suffix="-last")
    each("NhwcMaxPool", [1], [images.transpose(0, 2, 3, 1)], window, domain=MS)
    real = (q.astype(np.float32) - 120) * scale
    means = np.round(real.mean(axis=1, keepdims=True) / np.float32(0.02)) + 128
    each("QLinearReduceMean", [1], [q, scale, zero, np.float32(0.02), np.uint8(128)],
         {"axes": [1], "keepdims": 1}, domain=MS, given=[means.clip(0, 255).astype(np.uint8)])
    each("QLinearWhere", [1],
         [q > 100, q, scale, zero, q[:, :1], np.float32(0.02), np.uint8(3), np.float32(0.06),
          np.uint8(110)], domain=MS)
    states = ints(2, 3, 5, high=256, dtype=np.uint8)
    weights = ints(5, 24, high=256, dtype=np.uint8)
    call = [states, weights, floats(24), np.float32(0.01), np.float32(0.01),
            np.array([3, 2], np.int32), np.uint8(128), np.uint8(130)]
    each("QAttention", [1], call, {"num_heads": 2}, domain=MS)
    each("QAttention", [1], [*call[:5], None, *call[6:], floats(2, 2, 2, 2, 4)],
         {"num_heads": 2, "unidirectional": 1}, outputs=2, domain=MS, suffix="-past")
    halves = floats(3, 40, low=-4, high=4, dtype=np.float16)
    each("QuantizeLinear", [1], [halves, np.float16(0.0337), np.int8(3)], domain=MS, suffix="-half")
    filters = ints(4, 1, 3, 3, high=256, dtype=np.uint8)
    call = [scale, zero, filters, floats(4, low=0.01, high=0.05), np.full(4, 128, np.uint8),
            np.float32(0.2), np.uint8(120), ints(4, low=-99, high=99, dtype=np.int32)]
    window = {"group": 2, "pads": [1, 0, 0, 1], "strides": [2, 1], "kernel_shape": [3, 3]}
    each("QLinearConv", [1], [images, *call], window, domain=MS)
    each("QLinearConv", [1], [images.transpose(0, 2, 3, 1), *call], {**window, "channels_last": 1},
         domain=MS, suffix="-last")
    tables = []
    for shape in [(7, 8), (5, 8), (2, 8), (8,), (8,)]:
        tables.append(ints(*shape, high=256, dtype=np.uint8))
    scales = [np.float32(number) for number in [0.02, 0.03, 0.01, 0.015, 0.005]]
    zeros = [np.uint8(number) for number in [120, 128, 130, 20, 100]]
    words = [ints(2, 3, high=7, dtype=np.int32), ints(2, 3, high=2, dtype=np.int32)]
    mask = np.array([[1, 1, 0], [1, 1, 1]], np.int32)
    each("QEmbedLayerNormalization", [1], [*words, *tables, mask, *scales, *zeros],
         {"epsilon": 1e-5}, outputs=2, domain=MS)
    indices = np.array([[1, 4], [0, -1]])
    for bits in [4, 8]:
        packed, blocks = ints(5, 4 * bits, high=256, dtype=np.uint8), floats(5, 2, low=0.1, high=1)
        points = ints(5, 2 * bits // 8, high=256, dtype=np.uint8)
        call = {"bits": bits, "block_size": 16}
        each("GatherBlockQuantized", [1], [packed, indices, blocks, points], call, domain=MS,
             suffix=f"-{bits}")
        each("GatherBlockQuantized", [1], [packed, indices, blocks], call, domain=MS,
             suffix=f"-{bits}-middle")
    for name, low in [("uint4", 0), ("int4", -8)]:
        numbers = ints(3, 32, 2, low=low, high=low + 16).astype(getattr(ml_dtypes, name))
        points = ints(3, 2, 2, low=low, high=low + 16).astype(getattr(ml_dtypes, name))
        blocks = floats(3, 2, 2, low=0.1, high=1)
        given = ((numbers.astype(np.float32) - points.astype(np.float32).repeat(16, axis=1))
                 * blocks.repeat(16, axis=1))[:, :, [1, 0, 1]]
        each("GatherBlockQuantized", [1], [numbers, i64(1, 0, -1), blocks, points],
             {"block_size": 16, "gather_axis": 2, "quantize_axis": -2}, domain=MS,
             suffix=f"-{name}", given=[given])


def utilities():
    """What onnxruntime had before ONNX did, or for its own tools."""
    x = floats(2, 3, 4)
    each("ExpandDims", [1], [x, np.int32(1)], domain=MS)
    each("ExpandDims", [1], [x, np.int32(-1)], domain=MS, suffix="-last")
    each("Trilu", [1], [x, np.int64(1)], {"upper": 0}, domain=MS)
    each("Range", [1], [np.float32(1), np.float32(3), np.float32(0.5)], domain=MS)
    each("Range", [1], [np.int32(1), np.int32(4)], domain=MS, suffix="-plain")
    each("Pad", [1], [x, i64(0, 1, 1, 0, 0, 2), np.array([1.5], np.float32)], domain=MS,
         suffix="-microsoft")
    each("Pad", [1], [x, i64(0, 1, 1, 0, 0, 2)], {"mode": "reflect"}, domain=MS,
         suffix="-microsoft-reflect")
    each("Unique", [1], [np.array([3, 1, 3, 2, 1], np.float32)], outputs=3, domain=MS)
    each("MurmurHash3", [1], [np.array(["a", "bcd", "efghi", ""])], {"seed": 7}, domain=MS)
    each("MurmurHash3", [1], [ints(4, low=-99, high=99)], {"positive": 0}, domain=MS, suffix="-int64")
    each("MurmurHash3", [1], [floats(3)], domain=MS, suffix="-float")
    image, points = floats(1, 2, 4, 5), floats(1, 3, 2, 2, low=-1.3, high=1.3)
    each("GridSample", [1], [image, points], {"mode": "bicubic", "padding_mode": "reflection"},
         domain=MS)
    each("GridSample", [1], [image, points], {"align_corners": 1}, domain=MS, suffix="-corners")
    regions = np.array([[0, 0, 1, 1], [0.2, 0.9, 1.4, 0.1]], np.float32)
    for mode in ["bilinear", "nearest"]:
        each("CropAndResize", [1],
             [image, regions, np.array([0, 0], np.int32), np.array([3, 4], np.int32)],
             {"mode": mode, "extrapolation_value": 9.0}, domain=MS, suffix=f"-{mode}")
    each("CropAndResize", [1],
         [image, regions, np.array([0, 0], np.int32), np.array([1, 1], np.int32)], domain=MS,
         suffix="-point")
    each("GridSample", [1], [image, points],
         {"mode": "bicubic", "padding_mode": "border", "align_corners": 1}, domain=MS,
         suffix="-cubic-border")
    cubic = {"mode": "bicubic", "padding_mode": "border"}
    each("GridSample", [16], [image, points * 1.5], cubic, suffix="-cubic-border")
    each("GridSample", [20], [image, points * 1.5], {**cubic, "mode": "cubic"},
         suffix="-cubic-border")
    each("GatherND", [1], [x, np.array([[0, 2], [1, -1]], np.int32)], domain=MS, suffix="-microsoft")
    for metric in ["euclidean", "sqeuclidean"]:
        each("CDist", [1], [floats(3, 4), floats(5, 4)], {"metric": metric}, domain=MS,
             suffix=f"-{metric}")


def features():
    x = floats(3, 4)
    nan = np.array([[1, np.nan, 3], [np.nan, 5, 6]], np.float32)
    for version, array in enumerate([x, x.astype(np.float64), ints(3, 4), ints(3, 4, dtype=np.int32)]):
        each("ArrayFeatureExtractor", [1], [array, np.array([[3, 0, 3]])], domain=ML,
             suffix=f"-{array.dtype}")
        each("Binarizer", [1], [array], {"threshold": 1.5}, domain=ML, suffix=f"-{array.dtype}",
             given=[(array > 1.5).astype(array.dtype)])
        each("Normalizer", [1], [array], {"norm": ["MAX", "L1", "L2", "L1"][version]}, domain=ML,
             suffix=f"-{array.dtype}")
        each("Scaler", [1], [array], {"offset": [1.0, 2.0, 3.0, 4.0], "scale": [2.0, 0.5, 1.0, 3.0]},
             domain=ML, suffix=f"-{array.dtype}")
    each("ArrayFeatureExtractor", [1], [np.array(["a", "b", "c"]), i64(2, 0)], domain=ML,
         suffix="-strings")
    each("Scaler", [1], [x], {"offset": [1.0], "scale": [2.0]}, domain=ML, suffix="-one")
    each("FeatureVectorizer", [1], [x, x[:, :2]], {"inputdimensions": [3, 3]}, domain=ML)
    each("FeatureVectorizer", [1], [ints(4), ints(2)], {"inputdimensions": [4, 2]}, domain=ML,
         suffix="-vectors")
    each("Imputer", [1], [nan],
         {"imputed_value_floats": [7.0, 8.0, 9.0], "replaced_value_float": float("nan")}, domain=ML)
    each("Imputer", [1], [ints(3, 4, high=3)],
         {"imputed_value_int64s": [9], "replaced_value_int64": 1}, domain=ML, suffix="-integers")
    each("OneHotEncoder", [1], [np.array(["b", "q", "a"])], {"cats_strings": ["a", "b"]}, domain=ML)
    each("OneHotEncoder", [1], [np.array([[1.7, -2.5]], np.float32)], {"cats_int64s": [1, -2, 0]},
         domain=ML, suffix="-cast")
    both = {"cats_strings": ["a", "b"], "cats_int64s": [5, 6]}
    each("CategoryMapper", [1], [np.array(["b", "q"])], {**both, "default_int64": -7}, domain=ML)
    each("CategoryMapper", [1], [i64(6, 9)], {**both, "default_string": "?"}, domain=ML,
         suffix="-texts")
    each("LabelEncoder", [1], [np.array(["b", "q"])], {"classes_strings": ["a", "b"]}, domain=ML)
    each("LabelEncoder", [1], [i64(1, 0, 9)], {"classes_strings": ["a", "b"], "default_string": "?"},
         domain=ML, suffix="-texts")
    each("LabelEncoder", [2], [np.array([1.5, np.nan, 4], np.float32)],
         {"keys_floats": [1.5, float("nan")], "values_strings": ["x", "n"]}, domain=ML,
         given=[np.array(["x", "n", "_Unused"])])  # onnxruntime does not find the NaN
    each("LabelEncoder", [2], [np.array(["x", "z"])],
         {"keys_strings": ["x", "y"], "values_floats": [0.5, 1.5], "default_float": -1.0}, domain=ML,
         suffix="-floats")
    each("LabelEncoder", [4], [np.array([1, 3], np.int16)],
         {"keys_tensor": numpy_helper.from_array(np.array([1, 2], np.int16)),
          "values_tensor": numpy_helper.from_array(np.array([0.5, 1.5])),
          "default_tensor": numpy_helper.from_array(np.array([9.0]))}, domain=ML,
         given=[np.array([0.5, 9.0])])

    each("CastMap", [1], [{3: np.float32(1.5), 1: np.float32(2.5)}], domain=ML,
         given=[np.array([[2.5, 1.5]], np.float32)])
    each("CastMap", [1], [{3: np.float32(1.5), 1: np.float32(1e10)}], {"cast_to": "TO_STRING"},
         domain=ML, suffix="-texts", given=[np.array([["10000000000.000000", "1.500000"]])])
    each("CastMap", [1], [{3: np.float32(-1.5), 1: np.float32(2)}],
         {"cast_to": "TO_INT64", "map_form": "SPARSE", "max_map": 5}, domain=ML, suffix="-sparse",
         given=[np.array([[0, 2, 0, -1, 0]])])
    each("DictVectorizer", [1], [{"a": np.float32(4), "c": np.float32(8)}],
         {"string_vocabulary": ["a", "c", "b", "z"]}, domain=ML,
         given=[np.array([[4, 8, 0, 0]], np.float32)])
    each("DictVectorizer", [1], [{1: np.float64(4), 3: np.float64(8)}],
         {"int64_vocabulary": [3, 2, 1]}, domain=ML, suffix="-integers",
         given=[np.array([[8.0, 0, 4]])])
    z = np.array([[0.1, 0.9], [0.3, 0.7]], np.float32)
    each("ZipMap", [1], [z], {"classlabels_strings": ["no", "yes"]}, domain=ML,
         given=[[{"no": a, "yes": b} for a, b in z]])
    each("ZipMap", [1], [z], {"classlabels_int64s": [7, 3]}, domain=ML, suffix="-integers",
         given=[[{7: a, 3: b} for a, b in z]])


TRANSFORMS = ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"]


def linear():
    x = floats(4, 3)
    weights, three = [0.3, 0.2, -0.4], [0.3, 0.2, -0.4, 0.1, 0.5, 0.2, -0.3, 0.2, 0.6]
    for transform in TRANSFORMS:
        name = f"-{transform}"
        data = np.abs(x) / 16 if transform == "PROBIT" else x
        each("LinearClassifier", [1], [data],
             {"coefficients": np.abs(three) if transform == "PROBIT" else three,
              "intercepts": [0.1, 0.2, 0.3], "post_transform": transform,
              "classlabels_strings": ["a", "b", "c"]}, outputs=2, domain=ML, suffix=name)
        each("LinearRegressor", [1], [data],
             {"coefficients": np.abs(three[:6]) if transform == "PROBIT" else three[:6],
              "intercepts": [0.1, 0.2], "targets": 2, "post_transform": transform}, domain=ML,
             suffix=name)
        if transform != "PROBIT":
            each("LinearClassifier", [1], [x],
                 {"coefficients": weights, "intercepts": [0.1], "classlabels_ints": [5, 6],
                  "post_transform": transform}, outputs=2, domain=ML, suffix=f"-pair{name}")
    each("LinearClassifier", [1], [ints(2, 3)],
         {"coefficients": weights, "intercepts": [0.15], "classlabels_ints": [5, 6]}, outputs=2,
         domain=ML, suffix="-int64")
    each("LinearRegressor", [1], [x[0]], {"coefficients": weights}, domain=ML, suffix="-vector")
    each("LinearRegressor", [1], [x.astype(np.float64)],
         {"coefficients": weights, "intercepts": [1.0]}, domain=ML, suffix="-double",
         given=[(x.astype(np.float64) @ weights + 1).astype(np.float32)[:, None]])


def machines():
    from sklearn import svm

    x = floats(24, 3, dtype=np.float64)
    parts = (x[:, 0] + x[:, 1] ** 2 > 1).astype(int) + (x[:, 2] > 0.8)
    test = floats(5, 3)
    for kernel in ["linear", "poly", "rbf", "sigmoid"]:
        for classes in [2, 3]:
            y = np.minimum(parts, classes - 1)
            machine = svm.SVC(kernel=kernel, gamma=0.4, coef0=0.1, degree=2).fit(x, y)
            attributes = {
                "kernel_type": kernel.upper(), "kernel_params": [0.4, 0.1, 2.0],
                "support_vectors": machine.support_vectors_.ravel(),
                "vectors_per_class": machine.n_support_.tolist(),
                "coefficients": machine.dual_coef_.ravel() * (-1 if classes == 2 else 1),
                "rho": machine.intercept_ * (-1 if classes == 2 else 1),
                "classlabels_ints": list(range(classes)),
            }
            name = f"-{kernel}-{classes}"
            each("SVMClassifier", [1], [test], attributes, outputs=2, domain=ML, suffix=name)
            if kernel == "rbf":
                for transform in TRANSFORMS[1:4]:
                    each("SVMClassifier", [1], [test], {**attributes, "post_transform": transform},
                         outputs=2, domain=ML, suffix=f"{name}-{transform}")
                count = classes * (classes - 1) // 2
                odds = {"prob_a": [-1.5, -1.0, -2.0][:count], "prob_b": [0.2, 0.1, 0.0][:count]}
                for transform in TRANSFORMS:
                    each("SVMClassifier", [1], [test],
                         {**attributes, **odds, "post_transform": transform}, outputs=2, domain=ML,
                         suffix=f"{name}-odds-{transform}")
        machine = svm.SVR(kernel=kernel, gamma=0.4, coef0=0.1, degree=2, C=0.1).fit(x, x[:, 0])
        attributes = {
            "kernel_type": kernel.upper(), "kernel_params": [0.4, 0.1, 2.0],
            "support_vectors": machine.support_vectors_.ravel(),
            "n_supports": len(machine.support_), "coefficients": machine.dual_coef_.ravel(),
            "rho": machine.intercept_,
        }
        each("SVMRegressor", [1], [test], attributes, domain=ML, suffix=f"-{kernel}")
    each("SVMRegressor", [1], [test], {**attributes, "one_class": 1}, domain=ML, suffix="-one-class")
    plain = {"kernel_type": "LINEAR", "kernel_params": [0.0, 0.0, 0.0]}
    each("SVMRegressor", [1], [test], {"coefficients": [0.3, 0.2, 0.1], "rho": [0.5], **plain},
         domain=ML, suffix="-functions")
    each("SVMClassifier", [1], [test],
         {"coefficients": [0.3, 0.2, -0.4, 0.1, 0.5, 0.2, -0.3, 0.2, 0.6], "rho": [0.5],
          "classlabels_strings": ["a", "b", "c"], **plain}, outputs=2, domain=ML, suffix="-functions")
    each("SVMClassifier", [1], [test],
         {"coefficients": [0.3, 0.2, -0.4, 0.1, 0.5, 0.2], "rho": [0.5],
          "classlabels_ints": [4, 5], **plain}, outputs=2, domain=ML, suffix="-functions-2")
    each("SVMClassifier", [1], [ints(3, 3)],
         {"coefficients": [0.3, 0.2, 0.4, 0.1, 0.5, 0.2], "rho": [0.5], "post_transform": "SOFTMAX",
          "classlabels_ints": [4, 5], **plain}, outputs=2, domain=ML, suffix="-functions-positive")


def forest(count, depth, features, modes=("BRANCH_LEQ",), missing=False):
    """Random complete trees as the attributes nodes_*, and the (tree, node) of each leaf."""
    nodes = {key: [] for key in ["treeids", "nodeids", "featureids", "values", "modes",
                                 "truenodeids", "falsenodeids", "missing_value_tracks_true"]}
    leaves = []
    for tree in range(count):
        for node in range(2 ** (depth + 1) - 1):
            is_leaf = node >= 2 ** depth - 1
            mode = "LEAF" if is_leaf else modes[(tree + node) % len(modes)]
            row = [tree, node, 0 if is_leaf else int(random.integers(features)),
                   0.0 if is_leaf else round(float(random.uniform(-1, 1)), 1), mode,
                   0 if is_leaf else 2 * node + 1, 0 if is_leaf else 2 * node + 2,
                   int(missing and node % 2 == 0)]
            for key, value in zip(nodes, row):
                nodes[key].append(value)
            if is_leaf:
                leaves.append((tree, node))
    return {f"nodes_{key}": values for key, values in nodes.items()}, leaves


def votes(prefix, leaves, targets, low, high):
    """For each leaf a weight for each of the targets, as the attributes PREFIX_*."""
    rows = [(*leaf, target, round(float(random.uniform(low, high)), 2))
            for leaf in leaves for target in targets]
    keys = [f"{prefix}_treeids", f"{prefix}_nodeids", f"{prefix}_ids", f"{prefix}_weights"]
    return dict(zip(keys, map(list, zip(*rows))))


ALL_MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")


def trees():
    x = floats(6, 4, low=-1, high=1).round(1)
    gaps = x.copy()
    gaps[1, 2] = gaps[3, 0] = gaps[4, 1] = np.nan
    nodes, leaves = forest(4, 3, 4)
    mixed, mixed_leaves = forest(6, 3, 4, ALL_MODES, missing=True)

    def regressor(version, array, attributes, suffix, newest=None):
        same = array.astype(np.float32) if array.dtype.kind == "i" else array
        each("TreeEnsembleRegressor", [version], [array], attributes, ([same], attributes),
             domain=ML, suffix=suffix, newest=newest or version)

    one, two = votes("target", leaves, [0], -1, 1), votes("target", leaves, [0, 1], 0.05, 0.1)
    for version in [1, 3, 5]:
        newest = 3 if version == 5 else None
        regressor(version, x, {**nodes, **one, "n_targets": 1, "base_values": [0.5]}, "", newest)
    for aggregate in ["AVERAGE", "SUM", "MIN", "MAX"]:
        for target, name in [(one, "one"), (two, "two")]:
            count = 1 if name == "one" else 2
            regressor(3, x, {**nodes, **target, "n_targets": count, "aggregate_function": aggregate,
                             "base_values": [0.25, 0.125][:count]}, f"-{aggregate}-{name}")
    for transform in TRANSFORMS:
        regressor(3, x, {**nodes, **two, "n_targets": 2, "post_transform": transform},
                  f"-{transform}")
    many = votes("target", mixed_leaves, [0, 2], -1, 1)
    for array, name in [(gaps, "float"), (gaps.astype(np.float64), "double"),
                        (np.round(x * 3).astype(np.int64), "int64"),
                        (np.round(x * 3).astype(np.int32), "int32")]:
        regressor(3, array, {**mixed, **many, "n_targets": 3}, f"-modes-{name}")
    exact = {k: v for k, v in nodes.items() if k != "nodes_values"}
    exact["nodes_values_as_tensor"] = numpy_helper.from_array(np.array(nodes["nodes_values"]))
    weights = dict(one)
    weights["target_weights_as_tensor"] = numpy_helper.from_array(
        np.array(weights.pop("target_weights")))
    regressor(3, x.astype(np.float64), {
        **exact, **weights, "n_targets": 1,
        "base_values_as_tensor": numpy_helper.from_array(np.array([0.5]))}, "-as-tensor")

    def classifier(version, array, attributes, suffix, newest=None):
        each("TreeEnsembleClassifier", [version], [array], attributes, outputs=2, domain=ML,
             suffix=suffix, newest=newest)

    three = votes("class", leaves, [0, 1, 2], 0.05, 0.3)
    labels = {"classlabels_int64s": [5, 6, 7]}
    for version in [1, 3, 5]:
        classifier(version, x, {**nodes, **three, **labels}, "", 3 if version == 5 else None)
    for transform in TRANSFORMS:
        classifier(3, x, {**nodes, **three, "classlabels_strings": ["a", "b", "c"],
                          "post_transform": transform}, f"-{transform}")
    classifier(3, x, {**nodes, **three, **labels, "base_values": [0.1, 0.5, -0.2]}, "-base")
    sparse = votes("class", leaves[::2], [0, 2], -1, 1)
    odd = votes("class", leaves[1::2], [1], -1, 1)
    some = {k: sparse[k] + odd[k] for k in sparse}
    classifier(3, x, {**nodes, **some, **labels}, "-sparse")
    pair = {"classlabels_int64s": [5, 6]}
    for low, name in [(0.05, "positive"), (-0.3, "mixed")]:
        single = votes("class", leaves, [0], low, 0.3)
        for transform in TRANSFORMS[:4]:
            classifier(3, x, {**nodes, **single, **pair, "post_transform": transform},
                       f"-pair-{name}-{transform}")
        classifier(3, x, {**nodes, **single, **pair, "base_values": [0.2]}, f"-pair-{name}-base")
    second = votes("class", leaves, [1], -0.3, 0.3)
    for transform in TRANSFORMS[:3]:
        classifier(3, x, {**nodes, **second, **pair, "post_transform": transform},
                   f"-second-{transform}")
    alone = votes("class", leaves, [0], -0.3, 0.3)
    classifier(3, x, {**nodes, **alone, "classlabels_int64s": [1]}, "-alone")

    tensor = lambda values, dtype: numpy_helper.from_array(np.array(values, dtype))
    for dtype in [np.float32, np.float64, np.float16]:
        for aggregate in range(4):
            attributes = {
                "tree_roots": [0, 2], "n_targets": 2, "aggregate_function": aggregate,
                "nodes_featureids": [0, 1, 2, 3],
                "nodes_splits": tensor([0.1, -0.2, 0.0, 0.3], dtype),
                "nodes_modes": tensor([0, 3, 6, 1], np.uint8),
                "nodes_truenodeids": [1, 0, 2, 3], "nodes_falsenodeids": [1, 2, 3, 4],
                "nodes_trueleafs": [0, 1, 1, 1], "nodes_falseleafs": [1, 1, 0, 1],
                "nodes_missing_value_tracks_true": [1, 0, 1, 0],
                "leaf_targetids": [0, 1, 0, 1, 1],
                "leaf_weights": tensor([0.5, 1.5, -2.0, 0.25, 3.0], dtype),
                "membership_values": tensor([0.5, -0.5, np.nan], dtype),
            }
            values = x.astype(np.float64).round(1)
            values[:, 2] = [0.5, 0.1, -0.5, np.nan, 0.2, 0.5]
            each("TreeEnsemble", [5], [values.astype(dtype)], attributes, domain=ML,
                 suffix=f"-{np.dtype(dtype)}-{aggregate}",
                 given=[tree_ensemble(values, aggregate).astype(dtype)])


def tree_ensemble(x, aggregate):
    """What the two trees above give, by hand."""
    results = []
    for a, b, c, d in x:
        first = ((0, 0.5) if b > -0.2 else (0, -2.0)) if a <= 0.1 or math.isnan(a) else (1, 1.5)
        second = (0, -2.0) if c in (0.5, -0.5) or math.isnan(c) else (
            (1, 0.25) if d < 0.3 else (1, 3.0))
        row = []
        for target in range(2):
            hits = [w for t, w in (first, second) if t == target]
            total = {0: sum(hits) / 2, 1: sum(hits), 2: min(hits, default=0),
                     3: max(hits, default=0)}
            row.append(total[aggregate])
        results.append(row)
    return np.array(results)


if __name__ == "__main__":
    main()
