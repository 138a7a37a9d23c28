import gc
import pathlib
import subprocess
import sys
import threading
import time

import ml_dtypes
import numpy
import onnx
import pytest
import sardonyx
from onnx import TensorProto, helper


def model(nodes, inputs, outputs, initializers=(), opset=22) -> bytes:
    """The bytes of a model; inputs and outputs are (name, type) or value infos."""
    def info(value):
        if isinstance(value, onnx.ValueInfoProto):
            return value
        name, kind, *shape = value
        return helper.make_tensor_value_info(name, kind, shape[0] if shape else ["N"])

    graph = helper.make_graph(
        nodes, "tiny", [info(value) for value in inputs], [info(value) for value in outputs],
        list(initializers))
    sets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    made = helper.make_model(graph, opset_imports=sets, ir_version=10, producer_name="tests")
    helper.set_model_props(made, {"purpose": "testing"})
    return made.SerializeToString()


def unary(operator, kind, result=None) -> bytes:
    return model(
        [helper.make_node(operator, ["x"], ["y"], name="the node")], [("x", kind)],
        [("y", kind if result is None else result)])


def test_a_script_for_onnxruntime(digits):
    session = sardonyx.InferenceSession(str(digits), providers=["CPUExecutionProvider"])
    (image,) = session.get_inputs()
    assert (image.name, image.type, image.shape) == ("image", "tensor(float)", ["N", 1, 8, 8])
    assert [output.name for output in session.get_outputs()] == ["probabilities"]
    recorded = numpy.load(digits.with_suffix(".npz"))
    feeds = {"image": recorded["in:image"] if "in:image" in recorded else recorded["image"]}
    name = "out:probabilities" if "out:probabilities" in recorded else "probabilities"
    (probabilities,) = session.run(None, feeds)
    numpy.testing.assert_allclose(probabilities, recorded[name], atol=1e-5)
    (same,) = session.run(["probabilities"], feeds)
    assert numpy.array_equal(same, probabilities)
    assert session.get_providers() == sardonyx.get_available_providers()


def test_metadata():
    meta = sardonyx.InferenceSession(unary("Relu", TensorProto.FLOAT)).get_modelmeta()
    assert (meta.producer_name, meta.graph_name, meta.ir_version) == ("tests", "tiny", 10)
    assert meta.custom_metadata_map == {"purpose": "testing"}
    assert meta.operator_sets == {"": 22, "ai.onnx.ml": 3}


def test_inputs_with_a_default_may_be_left_out():
    default = helper.make_tensor("b", TensorProto.FLOAT, [1], [10])
    session = sardonyx.InferenceSession(
        model(
            [helper.make_node("Add", ["x", "b"], ["y"])],
            [("x", TensorProto.FLOAT), ("b", TensorProto.FLOAT, [1])], [("y", TensorProto.FLOAT)],
            [default]))
    assert [value.name for value in session.get_inputs()] == ["x"]
    assert [value.name for value in session.get_overridable_initializers()] == ["b"]
    x = numpy.array([1, 2], dtype=numpy.float32)
    assert session.run(None, {"x": x})[0].tolist() == [11, 12]
    assert session.run(None, {"x": x, "b": x[:1]})[0].tolist() == [2, 3]


def test_arrays_go_in_and_out_without_copies():
    session = sardonyx.InferenceSession(unary("Relu", TensorProto.FLOAT))
    x = numpy.array([1, -2, 3], dtype=numpy.float32)
    (y,) = session.run(None, {"x": x})
    assert y.tolist() == [1, 0, 3] and y.dtype == numpy.float32
    assert not y.flags.writeable and not y.flags.owndata
    x[0] = 9
    (again,) = session.run(None, {"x": x})
    del session
    gc.collect()
    assert y.tolist() == [1, 0, 3] and again.tolist() == [9, 0, 3]


def test_an_output_may_be_the_input_handed_on():
    session = sardonyx.InferenceSession(unary("Identity", TensorProto.FLOAT))
    x = numpy.array([1, 2], dtype=numpy.float32)
    (y,) = session.run(None, {"x": x})
    x[:] = 0
    assert y.tolist() == [1, 2]


def test_outputs_are_written_to_the_callers_arrays():
    session = sardonyx.InferenceSession(unary("Relu", TensorProto.FLOAT))
    x, y = numpy.array([1, -2], dtype=numpy.float32), numpy.empty(2, numpy.float32)
    (result,) = session.run(None, {"x": x}, out={"y": y})
    assert result is y and y.tolist() == [1, 0]
    with pytest.raises(sardonyx.Error, match=r"expected 8 bytes or more for float\[2\], got 4"):
        session.run(None, {"x": x}, out={"y": numpy.empty(1, numpy.float32)})
    with pytest.raises(sardonyx.Error, match=r"expected float32\[2\], got int64\[2\]"):
        session.run(None, {"x": x}, out={"y": numpy.empty(2, numpy.int64)})


def test_arrays_of_any_layout():
    session = sardonyx.InferenceSession(
        model(
            [helper.make_node("Identity", ["x"], ["y"])], [("x", TensorProto.FLOAT, ["N", "M"])],
            [("y", TensorProto.FLOAT, ["N", "M"])]))
    x = numpy.arange(12, dtype=numpy.float32).reshape(3, 4)
    for array in (x.T, x[::2, ::-1], x.astype(">f4"), x[:0], numpy.asfortranarray(x)):
        (y,) = session.run(None, {"x": array})
        assert numpy.array_equal(y, array) and y.shape == array.shape
    bytes_ = numpy.zeros(x.nbytes + 1, numpy.uint8)
    odd = bytes_[1:].view(numpy.float32).reshape(3, 4)
    odd[:] = x
    assert numpy.array_equal(session.run(None, {"x": odd})[0], x)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (TensorProto.FLOAT16, numpy.float16),
        (TensorProto.DOUBLE, numpy.float64),
        (TensorProto.BOOL, numpy.bool_),
        (TensorProto.INT8, numpy.int8),
        (TensorProto.UINT64, numpy.uint64),
        (TensorProto.COMPLEX64, numpy.complex64),
        (TensorProto.COMPLEX128, numpy.complex128),
        (TensorProto.BFLOAT16, ml_dtypes.bfloat16),
        (TensorProto.FLOAT8E4M3FN, ml_dtypes.float8_e4m3fn),
        (TensorProto.FLOAT8E4M3FNUZ, ml_dtypes.float8_e4m3fnuz),
        (TensorProto.FLOAT8E5M2, ml_dtypes.float8_e5m2),
        (TensorProto.FLOAT8E5M2FNUZ, ml_dtypes.float8_e5m2fnuz),
        (TensorProto.INT4, ml_dtypes.int4),
        (TensorProto.UINT4, ml_dtypes.uint4),
        (TensorProto.FLOAT4E2M1, ml_dtypes.float4_e2m1fn),
    ],
)
def test_element_types(kind, dtype):
    opset = 23 if kind == TensorProto.FLOAT4E2M1 else 22
    session = sardonyx.InferenceSession(
        model(
            [helper.make_node("Concat", ["x", "x"], ["y"], axis=0)]
            if kind < TensorProto.FLOAT8E4M3FN
            else [helper.make_node("Identity", ["x"], ["y"])],
            [("x", kind)], [("y", kind)], opset=opset))
    x = numpy.array([0, 1, -2 if numpy.dtype(dtype).kind in "fiV" else 1, 3]).astype(dtype)
    (y,) = session.run(None, {"x": x})
    assert y.dtype == numpy.dtype(dtype)
    assert y[:4].tolist() == x.tolist()


def test_strings():
    session = sardonyx.InferenceSession(unary("Identity", TensorProto.STRING))
    for texts in (["", "naïve", "a\0b"], ["x"]):
        for x in (numpy.array(texts, dtype=object), texts):
            (y,) = session.run(None, {"x": x})
            assert y.dtype == object and y.tolist() == texts
    assert session.run(None, {"x": numpy.array(["ab", "c"])})[0].tolist() == ["ab", "c"]


def test_sequences_optionals_and_maps():
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, ["N"])
    sequence = helper.make_sequence_type_proto(tensor)
    session = sardonyx.InferenceSession(
        model(
            [helper.make_node("SequenceInsert", ["s", "t"], ["y"])],
            [helper.make_value_info("s", sequence), ("t", TensorProto.FLOAT)],
            [helper.make_value_info("y", sequence)]))
    t = numpy.array([1, 2], dtype=numpy.float32)
    (y,) = session.run(None, {"s": [t, t[:1]], "t": t})
    assert [part.tolist() for part in y] == [[1, 2], [1], [1, 2]]
    assert [part.tolist() for part in session.run(None, {"s": [], "t": t})[0]] == [[1, 2]]
    with pytest.raises(sardonyx.Error, match="expected a list for"):
        session.run(None, {"s": t, "t": t})

    optional = helper.make_optional_type_proto(tensor)
    session = sardonyx.InferenceSession(
        model(
            [helper.make_node("OptionalHasElement", ["x"], ["y"])],
            [helper.make_value_info("x", optional)], [("y", TensorProto.BOOL, [])]))
    assert session.run(None, {"x": t})[0].item() is True
    assert session.run(None, {"x": None})[0].item() is False

    row = helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    maps = helper.make_sequence_type_proto(helper.make_map_type_proto(TensorProto.STRING, row)) \
        if hasattr(helper, "make_map_type_proto") else None
    if maps is None:
        maps = onnx.TypeProto()
        maps.sequence_type.elem_type.map_type.key_type = TensorProto.STRING
        maps.sequence_type.elem_type.map_type.value_type.CopyFrom(row)
    session = sardonyx.InferenceSession(
        model(
            [
                helper.make_node(
                    "ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_strings=["a", "b"])
            ],
            [("x", TensorProto.FLOAT, ["N", 2])], [helper.make_value_info("y", maps)]))
    (y,) = session.run(None, {"x": t.reshape(1, 2)})
    assert y == [{"a": 1.0, "b": 2.0}]


def test_errors_have_the_words_of_the_command(digits):
    with pytest.raises(sardonyx.Error) as caught:
        sardonyx.InferenceSession("/no/such.onnx")
    assert str(caught.value) == (
        "/no/such.onnx: the file cannot be opened: No such file or directory")
    assert caught.value.code == "unreadable"
    session = sardonyx.InferenceSession(digits)
    with pytest.raises(sardonyx.Error) as caught:
        session.run(None, {"picture": numpy.zeros((1, 1, 8, 8), numpy.float32)})
    assert caught.value.message == "the model has no input \"picture\""
    assert caught.value.hint == "its inputs are \"image\""
    assert caught.value.file == str(digits) and caught.value.node is None
    with pytest.raises(sardonyx.Error, match="type: expected float, got double"):
        session.run(None, {"image": numpy.zeros((1, 1, 8, 8))})
    with pytest.raises(sardonyx.Error, match="no output \"scores\""):
        session.run(["scores"], {"image": numpy.zeros((1, 1, 8, 8), numpy.float32)})
    with pytest.raises(sardonyx.Error, match="a type that ONNX has, got datetime64"):
        session.run(None, {"image": numpy.zeros(1, "M8[s]")})
    for value, words in (
        (None, "expected an array, got None"),
        ([["one"]], "expected an array: could not convert string to float"),
        ([[1], [2, 3]], "expected an array: setting an array element with a sequence"),
    ):
        with pytest.raises(sardonyx.Error, match=f'^input "image": {words}') as caught:
            session.run(None, {"image": value})
        assert caught.value.code == "mismatch"
    with pytest.raises(TypeError, match="input_feed: expected values by name, got list"):
        session.run(None, [numpy.zeros((1, 1, 8, 8), numpy.float32)])
    with pytest.raises(TypeError, match="output_names: expected a list of names, got 'probabilities'"):
        session.run("probabilities", {"image": numpy.zeros((1, 1, 8, 8), numpy.float32)})
    with pytest.raises(ValueError, match="CUDAExecutionProvider"):
        sardonyx.InferenceSession(digits, providers=["CUDAExecutionProvider"])


def test_options(digits):
    options = sardonyx.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    with pytest.raises(AttributeError, match="thread"):
        options.thread = 1
    session = sardonyx.InferenceSession(digits, options)
    assert session.threads == 1
    assert any(note["done"] for note in session.notes)
    with pytest.raises(sardonyx.Error, match="threads: expected 1 to 1024, got 5000"):
        sardonyx.InferenceSession(digits, threads=5000)
    with pytest.raises(sardonyx.Error, match="expected one of folded, unfolded, batch, got inside"):
        sardonyx.InferenceSession(digits, batch_normalization="inside")
    tapped = sardonyx.InferenceSession(
        model(
            [helper.make_node("Relu", ["x"], ["h"]), helper.make_node("Neg", ["h"], ["y"])],
            [("x", TensorProto.FLOAT)], [("y", TensorProto.FLOAT)]),
        taps=["h"])
    y, h = tapped.run(None, {"x": numpy.array([-1, 2], dtype=numpy.float32)})
    assert h.tolist() == [0, 2] and y.tolist() == [0, -2]


def endless() -> bytes:
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["still"]), helper.make_node("Relu", ["v"], ["w"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, ["N"]),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, ["N"]),
        ])
    turns = helper.make_tensor("turns", TensorProto.INT64, [], [2**62])
    return model(
        [helper.make_node("Loop", ["turns", "", "x"], ["y"], body=body)],
        [("x", TensorProto.FLOAT)], [("y", TensorProto.FLOAT)], [turns])


def test_runs_end_on_demand_and_let_others_work_meanwhile():
    session = sardonyx.InferenceSession(endless(), threads=1)
    cancellation, x = sardonyx.Cancellation(), numpy.ones(1, numpy.float32)
    caught = []

    def run():
        try:
            session.run(None, {"x": x}, cancellation=cancellation)
        except sardonyx.Error as error:
            caught.append(error.code)

    thread = threading.Thread(target=run)
    thread.start()
    # This thread goes on only if the run has released the interpreter.
    time.sleep(0.05)
    assert not caught
    cancellation.cancel()
    thread.join(timeout=30)
    assert caught == ["cancelled"]
    with pytest.raises(sardonyx.Error, match="longer than its time limit"):
        sardonyx.InferenceSession(endless(), time_limit=0.05).run(None, {"x": x})


def test_runs_may_overlap(digits):
    session = sardonyx.InferenceSession(digits, threads=2)
    images = numpy.random.default_rng(1).random((8, 1, 1, 8, 8), numpy.float32)
    expected = [session.run(None, {"image": image})[0].copy() for image in images]
    results: list = [None] * 8

    def run(index):
        for _ in range(30):
            results[index] = session.run(None, {"image": images[index]})[0]

    threads = [threading.Thread(target=run, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result, wanted in zip(results, expected, strict=True):
        assert numpy.array_equal(result, wanted)


def test_the_library_stays_where_its_threads_are(digits):
    program = f"""
import numpy, sardonyx
from sardonyx._library import ffi, library
session = sardonyx.InferenceSession({str(digits)!r}, threads=2)
session.run(None, {{"image": numpy.zeros((64, 1, 8, 8), numpy.float32)}})
del session
ffi.dlclose(library)
assert "libsardonyx" in open("/proc/self/maps").read()
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def resident_bytes() -> int:
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def test_runs_leak_nothing():
    session = sardonyx.InferenceSession(unary("Relu", TensorProto.FLOAT), threads=1)
    x = numpy.ones(1000, numpy.float32)

    def loop(count):
        for _ in range(count):
            session.run(None, {"x": x})
            if _ % 10 == 0:
                with pytest.raises(sardonyx.Error):
                    session.run(["z"], {"x": x})

    loop(2000)
    before = resident_bytes()
    loop(100_000)
    assert resident_bytes() - before < 2 << 20
