"""Small models that show one thing each."""
import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

KINDS = {
    "BOOL": TensorProto.BOOL, "UINT8": TensorProto.UINT8, "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32, "UINT64": TensorProto.UINT64, "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16, "INT32": TensorProto.INT32, "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16, "FP32": TensorProto.FLOAT, "FP64": TensorProto.DOUBLE,
    "BF16": TensorProto.BFLOAT16, "BYTES": TensorProto.STRING}


def model(nodes, inputs, outputs, initializers=()) -> bytes:
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "tiny", [info(*value) for value in inputs], [info(*value) for value in outputs],
        list(initializers))
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()


def identity(kind) -> bytes:
    return model(
        [helper.make_node("Identity", ["x"], ["y"])], [("x", kind, ["N", "M"])],
        [("y", kind, ["N", "M"])])


def gather() -> bytes:
    """Rows of a table of ten; an index beyond it is a fault."""
    table = numpy_helper.from_array(numpy.arange(10, dtype=numpy.float32), "table")
    return model(
        [helper.make_node("Gather", ["table", "x"], ["y"])], [("x", TensorProto.INT64, ["N"])],
        [("y", TensorProto.FLOAT, ["N"])], [table])


def slow() -> bytes:
    """Multiplies a matrix by itself as often as `count` says."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["still"]),
         helper.make_node("MatMul", ["a", "a"], ["product"]),
         helper.make_node("Tanh", ["product"], ["next"])],
        "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []),
         helper.make_tensor_value_info("on", TensorProto.BOOL, []),
         helper.make_tensor_value_info("a", TensorProto.FLOAT, [256, 256])],
        [helper.make_tensor_value_info("still", TensorProto.BOOL, []),
         helper.make_tensor_value_info("next", TensorProto.FLOAT, [256, 256])])
    start = numpy_helper.from_array(numpy.eye(256, dtype=numpy.float32), "start")
    return model(
        [helper.make_node("Loop", ["count", "", "start"], ["end"], body=body),
         helper.make_node("ReduceSum", ["end"], ["y"], keepdims=0)],
        [("count", TensorProto.INT64, [])], [("y", TensorProto.FLOAT, [])], [start])


def rows_mixed() -> bytes:
    """An output without a row for each row of the input."""
    return model(
        [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)],
        [("x", TensorProto.FLOAT, ["N"])], [("y", TensorProto.FLOAT, None)])
