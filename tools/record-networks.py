#!/usr/bin/env python3
"""Records small whole networks with onnxruntime's outputs: those kinds of models that people run.

Writes Tests/SardonyxTests/Fixtures/Networks/NAME/{model.onnx, test_data_set_0/…} in the layout of
ONNX's backend cases. The tests run them every way there is, and tools/fuzz changes them.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.4.6", "onnx==1.23.2", "onnxruntime==1.32.0"]
# ///

import pathlib
import shutil

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FOLDER = pathlib.Path(__file__).parents[1] / "Tests/SardonyxTests/Fixtures/Networks"
MS = "com.microsoft"
ML = "ai.onnx.ml"


class Network:
    """A graph that grows node by node, with weights from a seed."""

    def __init__(self, name, opset=17, ir_version=8, dtype=np.float32):
        self.name, self.opset, self.ir_version, self.dtype = name, opset, ir_version, dtype
        self.random = np.random.default_rng(sum(map(ord, name)))
        self.nodes, self.constants, self.inputs, self.feeds, self.outputs = [], [], [], {}, []

    def input(self, name, shape, value=None):
        given = [extent if isinstance(extent, int) else 2 for extent in shape]
        value = self.random.normal(size=given).astype(self.dtype) if value is None else value
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        self.feeds[name] = value
        return name

    def constant(self, value, name=None):
        name = name or f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def weights(self, *shape, scale=0.5):
        return self.constant((self.random.normal(size=shape) * scale).astype(self.dtype))

    def node(self, operator, *inputs, outputs=1, domain="", **attributes):
        names = [f"{operator.lower()}{len(self.nodes)}" + "abc"[index] for index in range(outputs)]
        self.nodes.append(helper.make_node(
            operator, list(inputs), names, f"{operator}_{len(self.nodes)}", domain=domain,
            **attributes))
        return names[0] if outputs == 1 else names

    def normalized(self, x, channels):
        scale, bias, mean = (self.weights(channels) for _ in range(3))
        variance = self.constant(self.random.uniform(0.5, 2, channels).astype(self.dtype))
        return self.node("BatchNormalization", x, scale, bias, mean, variance)

    def convolution(self, x, inner, outer, kernel=3, **attributes):
        group = attributes.get("group", 1)
        w = self.weights(outer, inner // group, kernel, kernel, scale=1 / np.sqrt(inner))
        pads = attributes.pop("pads", [kernel // 2] * 4)
        return self.node("Conv", x, w, pads=pads, **attributes)

    def model(self, results):
        imports = [helper.make_opsetid("", self.opset)]
        imports += [helper.make_opsetid(domain, 1 if domain == MS else 3)
                    for domain in sorted({node.domain for node in self.nodes} - {""})]
        inputs = list(self.inputs)
        if self.ir_version < 4:
            inputs += [helper.make_tensor_value_info(c.name, c.data_type, c.dims)
                       for c in self.constants]
        outputs = [onnx.ValueInfoProto(name=name) for name in self.outputs]
        for output, result in zip(outputs, results or []):
            kind = helper.np_dtype_to_tensor_dtype(result.dtype)
            output.CopyFrom(helper.make_tensor_value_info(output.name, kind, result.shape))
        graph = helper.make_graph(self.nodes, self.name, inputs, outputs, self.constants)
        return helper.make_model(graph, opset_imports=imports, ir_version=self.ir_version)

    def write(self, *outputs):
        self.outputs = list(outputs)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        # Rows that threads share out are quantised dynamically by a range for each thread.
        options.intra_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(
            self.model(None).SerializeToString(), options, providers=["CPUExecutionProvider"])
        results = session.run(None, self.feeds)
        folder = FOLDER / self.name
        data = folder / "test_data_set_0"
        data.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(self.model(results).SerializeToString())
        for index, (name, value) in enumerate(self.feeds.items()):
            (data / f"input_{index}.pb").write_bytes(
                numpy_helper.from_array(value, name).SerializeToString())
        for index, (name, value) in enumerate(zip(outputs, results)):
            (data / f"output_{index}.pb").write_bytes(
                numpy_helper.from_array(value, name).SerializeToString())


def classifier(name, **options):
    """Convolutions, depthwise ones, PRelu, squeeze and excitation, a residual."""
    n = Network(name, **options)
    x = n.input("image", ["N", 3, 12, 12])
    x = n.normalized(n.convolution(x, 3, 16, strides=[2, 2]), 16)
    x = n.node("PRelu", x, n.weights(16, 1, 1))
    y = n.node("Relu", n.normalized(n.convolution(x, 16, 16, group=16), 16))
    s = n.node("GlobalAveragePool", y)
    s = n.node("Relu", n.convolution(s, 16, 4, 1))
    s = n.node("Sigmoid", n.convolution(s, 4, 16, 1))
    y = n.normalized(n.convolution(n.node("Mul", y, s), 16, 16, 1), 16)
    x = n.node("Add", x, y)
    x = n.node("Mul", x, n.node("Sigmoid", x))
    x = n.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = n.node("Flatten", n.node("GlobalAveragePool", x))
    x = n.node("Gemm", x, n.weights(5, 16), n.weights(5), transB=1)
    n.write(n.node("Softmax", x, axis=1) if n.opset > 12 else x)


def transformer(name, opset, **options):
    """One block with attention as exporters spell it out."""
    n = Network(name, opset=opset, **options)
    heads, width = 2, 16
    x = n.input("tokens", ["N", "T", width], n.random.normal(size=(2, 6, width)).astype(n.dtype))

    def normalization(x):
        if opset >= 17:
            return n.node("LayerNormalization", x, n.weights(width), n.weights(width))
        axes = {"axes": [-1]}
        d = n.node("Sub", x, n.node("ReduceMean", x, **axes))
        v = n.node("ReduceMean", n.node("Pow", d, n.constant(n.dtype(2))), **axes)
        d = n.node("Div", d, n.node("Sqrt", n.node("Add", v, n.constant(n.dtype(1e-5)))))
        return n.node("Add", n.node("Mul", d, n.weights(width)), n.weights(width))

    def linear(x, inner, outer):
        return n.node("Add", n.node("MatMul", x, n.weights(inner, outer, scale=0.25)),
                      n.weights(outer))

    def split(x, axes):
        x = n.node("Reshape", x, n.constant(np.array([0, 0, heads, width // heads])))
        return n.node("Transpose", x, perm=axes)

    h = normalization(x)
    q, k, v = (linear(h, width, width) for _ in range(3))
    q, k, v = split(q, [0, 2, 1, 3]), split(k, [0, 2, 3, 1]), split(v, [0, 2, 1, 3])
    scores = n.node("Div", n.node("MatMul", q, k), n.constant(n.dtype(np.sqrt(width // heads))))
    mask = np.triu(np.full((6, 6), -1e4), 1).astype(n.dtype)
    scores = n.node("Softmax", n.node("Add", scores, n.constant(mask)), axis=-1)
    a = n.node("Transpose", n.node("MatMul", scores, v), perm=[0, 2, 1, 3])
    a = n.node("Reshape", a, n.constant(np.array([0, 0, width])))
    x = n.node("Add", x, linear(a, width, width))
    h = linear(normalization(x), width, 32)
    e = n.node("Erf", n.node("Div", h, n.constant(n.dtype(np.sqrt(2)))))
    h = n.node("Mul", n.node("Mul", h, n.node("Add", e, n.constant(n.dtype(1)))),
               n.constant(n.dtype(0.5)))
    n.write(n.node("Add", x, linear(h, 32, width)))


def unet():
    """Down, up by transposed convolution and by Resize, with skips."""
    n = Network("unet")
    x = n.input("image", ["N", 1, 8, 8])
    a = n.node("LeakyRelu", n.normalized(n.convolution(x, 1, 8), 8), alpha=0.1)
    b = n.node("AveragePool", a, kernel_shape=[2, 2], strides=[2, 2])
    b = n.node("Relu", n.normalized(n.convolution(b, 8, 16), 16))
    c = n.node("ConvTranspose", b, n.weights(16, 8, 2, 2, scale=0.2), strides=[2, 2])
    c = n.normalized(c, 8)
    d = n.node("Resize", b, "", n.constant(np.array([1, 1, 2, 2], np.float32)), mode="linear")
    x = n.node("Concat", a, c, d, axis=1)
    n.write(n.node("Tanh", n.convolution(x, 32, 2, 1)))


def quantize_pairs():
    """A convolution network in QDQ form."""
    n = Network("quantize_pairs", opset=13)

    def pair(x, scale, kind=np.uint8):
        scale, zero = n.constant(np.float32(scale)), n.constant(kind(3))
        return n.node("DequantizeLinear", n.node("QuantizeLinear", x, scale, zero), scale, zero)

    def weights(*shape):
        q = n.constant(n.random.integers(-100, 100, shape).astype(np.int8))
        scales = n.constant(n.random.uniform(0.005, 0.01, shape[0]).astype(np.float32))
        return n.node("DequantizeLinear", q, scales, n.constant(np.zeros(shape[0], np.int8)), axis=0)

    x = pair(n.input("image", [2, 3, 8, 8]), 0.03)
    bias = n.node("DequantizeLinear", n.constant(n.random.integers(-50, 50, 8).astype(np.int32)),
                  n.constant(np.full(8, 0.0002, np.float32)), axis=0)
    y = n.node("Conv", x, weights(8, 3, 3, 3), bias, pads=[1, 1, 1, 1])
    x = pair(n.node("Relu", y), 0.04)
    y = pair(n.node("Conv", x, weights(8, 1, 3, 3), group=8, pads=[1, 1, 1, 1]), 0.02)
    x = pair(n.node("Add", x, y), 0.05)
    x = pair(n.node("Flatten", n.node("GlobalAveragePool", x)), 0.03)
    n.write(pair(n.node("Gemm", x, weights(4, 8), transB=1), 0.02))


def quantized_operators():
    """The same with operators on bytes."""
    n = Network("quantized_operators", opset=13)

    def scale(value, zero, kind=np.uint8):
        return n.constant(np.float32(value)), n.constant(kind(zero))

    def bytes_of(*shape):
        return n.constant(n.random.integers(-100, 100, shape).astype(np.int8))

    a, b, c, w = scale(0.03, 128), scale(0.05, 100), scale(0.06, 90), scale(0.01, 0, np.int8)
    x = n.node("QuantizeLinear", n.input("image", [2, 3, 8, 8]), *a)
    x = n.node("QLinearConv", x, *a, bytes_of(8, 3, 3, 3), *w, *b,
               n.constant(n.random.integers(-500, 500, 8).astype(np.int32)), pads=[1, 1, 1, 1])
    y = n.node("QLinearConv", x, *b, bytes_of(8, 1, 3, 3), *w, *b, group=8, pads=[1, 1, 1, 1])
    x = n.node("QLinearAdd", x, *b, y, *b, *c, domain=MS)
    x = n.node("QLinearGlobalAveragePool", x, *c, *c, domain=MS)
    x = n.node("QLinearMatMul", n.node("Flatten", x), *c, bytes_of(8, 4), *w, *a)
    n.write(n.node("DequantizeLinear", x, *a))


def dynamic_bytes():
    """Quantised as it runs: MatMulInteger, ConvInteger, DynamicQuantizeMatMul and LSTM."""
    n = Network("dynamic_bytes", opset=13)
    x = n.input("series", [5, 2, 8])
    q, s, z = n.node("DynamicQuantizeLinear", x, outputs=3)
    w = n.constant(n.random.integers(-100, 100, (8, 8)).astype(np.int8))
    x = n.node("Cast", n.node("MatMulInteger", q, w, z), to=TensorProto.FLOAT)
    x = n.node("Mul", x, n.node("Mul", s, n.constant(np.float32(0.01))))

    def bytes_of(*shape):
        return n.constant(n.random.integers(-100, 100, shape).astype(np.int8))

    one = [n.constant(np.full(1, 0.01, np.float32)), n.constant(np.zeros(1, np.int8))]
    y, h, c = n.node(
        "DynamicQuantizeLSTM", x, bytes_of(1, 8, 16), bytes_of(1, 4, 16), n.weights(1, 32), "", "",
        "", "", *one, *one, outputs=3, domain=MS, hidden_size=4)
    y = n.node("Squeeze", y, n.constant(np.array([1])))
    y = n.node("DynamicQuantizeMatMul", y, bytes_of(4, 3), *one[:1], one[1], n.weights(3), domain=MS)
    n.write(y, h)


def recurrent():
    """LSTM, GRU and RNN in both directions, with lengths."""
    n = Network("recurrent", opset=14)
    x = n.input("series", ["T", 2, 6], n.random.normal(size=(5, 2, 6)).astype(np.float32))
    lengths = n.constant(np.array([5, 3], np.int32))
    x, _ = n.node("LSTM", x, n.weights(2, 16, 6), n.weights(2, 16, 4), n.weights(2, 32), lengths,
                  outputs=2, hidden_size=4, direction="bidirectional")
    x = n.node("Reshape", n.node("Transpose", x, perm=[0, 2, 1, 3]), n.constant(np.array([0, 0, 8])))
    x, _ = n.node("GRU", x, n.weights(1, 12, 8), n.weights(1, 12, 4), n.weights(1, 24), lengths,
                  outputs=2, hidden_size=4, direction="reverse", linear_before_reset=1)
    x = n.node("Squeeze", x, n.constant(np.array([1])))
    x, h = n.node("RNN", x, n.weights(1, 4, 4), n.weights(1, 4, 4), n.weights(1, 8), outputs=2,
                  hidden_size=4, activations=["Relu"])
    n.write(x, h)


def bodies():
    """A Loop with a convolution in its body, a Scan of computations, an If."""
    n = Network("bodies", opset=16)
    x = n.input("image", [1, 4, 6, 6])
    count = n.input("count", [], np.array(3, np.int64))
    info = helper.make_tensor_value_info
    floats, none = TensorProto.FLOAT, None
    w, s = n.weights(4, 4, 3, 3, scale=0.15), n.weights(4)
    v = n.constant(np.full(4, 0.8, np.float32))
    loop = helper.make_graph([
        helper.make_node("Conv", ["state", w], ["conv"], "inner conv", pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["conv", s, s, s, v], ["normal"], "inner norm"),
        helper.make_node("Relu", ["normal"], ["next"]),
        helper.make_node("ReduceMean", ["next"], ["mean"], keepdims=0),
        helper.make_node("Identity", ["go"], ["goes"]),
    ], "loop", [info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL, []),
                info("state", floats, none)],
        [info("goes", TensorProto.BOOL, []), info("next", floats, none), info("mean", floats, none)])
    x, means = n.node("Loop", count, "", x, outputs=2, body=loop)
    rows = n.node("Reshape", x, n.constant(np.array([12, 12])))
    scan = helper.make_graph([
        helper.make_node("Mul", ["sum", "row"], ["product"]),
        helper.make_node("Tanh", ["product"], ["bounded"]),
        helper.make_node("Add", ["bounded", "row"], ["sums"]),
        helper.make_node("MatMul", ["sums", "w"], ["seen"]),
    ], "scan", [info("sum", floats, none), info("row", floats, none)],
        [info("sums", floats, none), info("seen", floats, none)],
        [numpy_helper.from_array(n.random.normal(size=(12, 3)).astype(np.float32), "w")])
    last, seen = n.node("Scan", n.constant(np.zeros(12, np.float32)), rows, outputs=2, body=scan,
                        num_scan_inputs=1)
    branches = [helper.make_graph([helper.make_node(operator, [last], [operator])], operator, [],
                                  [info(operator, floats, none)]) for operator in ("Exp", "Neg")]
    big = n.node("Greater", n.node("ReduceSum", means, keepdims=0), n.constant(np.float32(1)))
    n.write(n.node("If", big, then_branch=branches[0], else_branch=branches[1]), seen, means)


def detector():
    """Boxes chosen by score, gathered and cut out of features."""
    n = Network("detector")
    x = n.input("image", [1, 3, 16, 16])
    x = n.node("Relu", n.normalized(n.convolution(x, 3, 8, strides=[2, 2]), 8))
    scores = n.node("Sigmoid", n.convolution(x, 8, 1, 1))
    scores = n.node("Reshape", scores, n.constant(np.array([1, 1, 64])))
    corners = n.random.uniform(0, 6, (64, 2)).astype(np.float32)
    boxes = n.constant(np.concatenate([corners, corners + 2], 1)[None])
    chosen = n.node("NonMaxSuppression", boxes, scores, n.constant(np.array([8])),
                    n.constant(np.float32([0.3])), n.constant(np.float32([0.2])))
    places = n.node("Gather", chosen, n.constant(np.array(2)), axis=1)
    best = n.node("Gather", n.node("Squeeze", boxes, n.constant(np.array([0]))), places)
    index = n.node("Mul", places, n.constant(np.array(0)))
    cut = n.node("RoiAlign", x, best, index, output_height=2, output_width=2, sampling_ratio=2)
    top, order = n.node("TopK", n.node("Flatten", scores), n.constant(np.array([3])), outputs=2)
    n.write(best, cut, top, order)


def trees():
    """A forest whose votes are normalised, beside a linear classifier."""
    n = Network("trees")
    x = n.input("rows", ["N", 4], n.random.normal(size=(6, 4)).astype(np.float32))
    count = 7
    attributes = dict(
        nodes_treeids=[t for t in range(2) for _ in range(count)],
        nodes_nodeids=list(range(count)) * 2,
        nodes_featureids=[0, 1, 2, 0, 0, 0, 0, 3, 2, 1, 0, 0, 0, 0],
        nodes_values=[0.1, -0.2, 0.3, 0, 0, 0, 0, 0.2, 0.1, -0.1, 0, 0, 0, 0],
        nodes_modes=(["BRANCH_LEQ"] * 3 + ["LEAF"] * 4) * 2,
        nodes_truenodeids=[1, 3, 5, 0, 0, 0, 0] * 2, nodes_falsenodeids=[2, 4, 6, 0, 0, 0, 0] * 2,
        class_treeids=[t for t in range(2) for _ in range(8)],
        class_nodeids=[leaf for leaf in (3, 4, 5, 6) for _ in range(2)] * 2,
        class_ids=[0, 2, 1, 2, 0, 1, 2, 1] * 2,
        class_weights=n.random.uniform(0, 1, 16).astype(np.float32).tolist(),
        classlabels_int64s=[0, 1, 2], post_transform="SOFTMAX")
    label, scores = n.node("TreeEnsembleClassifier", x, outputs=2, domain=ML, **attributes)
    scaled = n.node("Scaler", x, domain=ML, offset=[0.1] * 4, scale=[2.0, 1.0, 0.5, 1.0])
    other, linear = n.node(
        "LinearClassifier", scaled, outputs=2, domain=ML, multi_class=1, post_transform="LOGISTIC",
        classlabels_ints=[0, 1, 2], intercepts=[0.1, 0.2, -0.1],
        coefficients=n.random.normal(size=12).astype(np.float32).tolist())
    n.write(label, other, n.node("Add", scores, n.node("Normalizer", linear, domain=ML, norm="L1")))


def fused():
    """What onnxruntime's own optimiser leaves of a transformer."""
    n = Network("fused")
    width = 16
    x = n.input("tokens", ["N", "T", width], n.random.normal(size=(2, 5, width)).astype(np.float32))
    a = n.node("Attention", x, n.weights(width, 3 * width), n.weights(3 * width), domain=MS,
               num_heads=2)
    a = n.node("FusedMatMul", a, n.weights(width, width), domain=MS, alpha=0.5)
    x = n.node("SkipLayerNormalization", x, a, n.weights(width), n.weights(width), domain=MS)
    h = n.node("FastGelu", n.node("MatMul", x, n.weights(width, 32)), n.weights(32), domain=MS)
    h = n.node("MatMul", h, n.weights(32, width))
    n.write(n.node("SkipSimplifiedLayerNormalization", x, h, n.weights(width), domain=MS))


def spectrum():
    """A spectrogram, its logarithm, and what a classifier of sounds does with it."""
    n = Network("spectrum")
    x = n.input("sound", [1, 64, 1])
    window = n.node("HannWindow", n.constant(np.array(16)))
    x = n.node("STFT", x, n.constant(np.array(8)), window, n.constant(np.array(16)))
    x = n.node("ReduceSumSquare", x, axes=[3], keepdims=0)
    x = n.node("Log", n.node("Add", x, n.constant(np.float32(1))))
    x = n.node("Unsqueeze", x, n.constant(np.array([1])))
    x = n.node("Relu", n.normalized(n.convolution(x, 1, 4), 4))
    x = n.node("ReduceMax", x, axes=[2], keepdims=0)
    n.write(n.node("CumSum", x, n.constant(np.array(2))))


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    classifier("classifier")
    classifier("classifier_float16", dtype=np.float16)
    classifier("classifier_with_defaults", opset=9, ir_version=3)
    transformer("transformer", 17)
    transformer("transformer_spelled_out", 13)
    transformer("transformer_float16", 17, dtype=np.float16)
    for network in [unet, quantize_pairs, quantized_operators, dynamic_bytes, recurrent, bodies,
                    detector, trees, fused, spectrum]:
        network()
    print(f"{len(list(FOLDER.iterdir()))} networks")


if __name__ == "__main__":
    main()
