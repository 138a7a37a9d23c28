import pathlib

import pytest

MODELS = pathlib.Path(__file__).resolve().parents[2] / "Models"


@pytest.fixture
def digits() -> pathlib.Path:
    return MODELS / "digits/digits_resnet_torchscript.onnx"
