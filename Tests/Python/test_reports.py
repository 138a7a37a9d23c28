import numpy
import onnx
import pytest
import sardonyx


def image():
    return {"image": numpy.random.default_rng(1).random((2, 1, 8, 8), numpy.float32)}


def test_compare(digits):
    told = sardonyx.compare(digits, image(), layers=True, threads=1)
    assert told["passed"]
    (output,) = told["outputs"]
    assert output["name"] == "probabilities" and output["max_absolute"] <= output["allowed"]
    assert len(told["layers"]) > 3 and all(layer["passed"] for layer in told["layers"])
    altered = onnx.load(digits)
    for constant in altered.graph.initializer:
        if constant.name.endswith("running_mean"):
            values = onnx.numpy_helper.to_array(constant) + 1
            constant.CopyFrom(onnx.numpy_helper.from_array(values, constant.name))
    told = sardonyx.compare(
        altered.SerializeToString(), image(), reference=digits, layers=True)
    assert not told["passed"]


def test_fold(digits, tmp_path):
    told = sardonyx.fold(digits)
    assert told["notes"] and all(note["done"] for note in told["notes"])
    folded = onnx.load_from_string(told["model"])
    assert "BatchNormalization" not in {node.op_type for node in folded.graph.node}
    assert sardonyx.fold(digits, tmp_path / "folded.onnx") == {"notes": told["notes"]}
    assert (tmp_path / "folded.onnx").read_bytes() == told["model"]
    (as_written,) = sardonyx.InferenceSession(
        digits, batch_normalization="unfolded").run(None, image())
    (of_folded,) = sardonyx.InferenceSession(told["model"]).run(None, image())
    numpy.testing.assert_allclose(of_folded, as_written, atol=1e-5)


def test_fold_within_a_tolerance(digits):
    inputs = image()
    told = sardonyx.fold(digits, inputs=inputs, threads=1)
    assert told == sardonyx.fold(digits)
    strict = sardonyx.fold(digits, inputs=inputs, relative_tolerance=1e-30)
    kept = [note for note in strict["notes"] if not note["done"]]
    assert kept and all(note["text"].startswith("taken back: ") for note in kept)
    with pytest.raises(sardonyx.Error, match="image"):
        sardonyx.fold(digits, inputs={})


def test_inspect(digits):
    told = sardonyx.inspect(digits)
    assert told["inputs"] == [{"name": "image", "type": "tensor(float)", "shape": ["N", 1, 8, 8]}]
    assert told["outputs"][0]["name"] == "probabilities"
    assert told["operators"]["BatchNormalization"] > 0 and told["multiply_adds"] is None
    assert sardonyx.inspect(digits, {"N": 2})["multiply_adds"] == 2 * (
        sardonyx.inspect(digits, {"N": 1})["multiply_adds"])
    with pytest.raises(sardonyx.Error, match="no dimension \"M\""):
        sardonyx.inspect(digits, {"M": 1})
