import io
import pathlib

import numpy
import pytest
import sardonyx
from PIL import Image

DIGITS = pathlib.Path(__file__).resolve().parents[2] / "Models/digits"
MODEL = str(DIGITS / "digits_resnet_torchscript.onnx")


def pixels(encoded: bytes) -> numpy.ndarray:
    """What the model takes, from the bytes of a picture."""
    image = numpy.asarray(Image.open(io.BytesIO(encoded)).convert("L"), numpy.float32) / 255
    return ((image - 0.3057) / 0.3762)[None]


@pytest.fixture(scope="session")
def pictures() -> dict[str, bytes]:
    """The bundled digits, ten times."""
    files = sorted(DIGITS.glob("*.png"))
    return {f"{path.stem} {turn}": path.read_bytes() for turn in range(10) for path in files}


@pytest.fixture(scope="session")
def expected(pictures) -> dict[str, list[float]]:
    """What one process computes, one picture at a time."""
    session = sardonyx.InferenceSession(MODEL, threads=1)
    return {
        name: session.run(None, {"image": pixels(encoded)[None]})[0][0].tolist()
        for name, encoded in pictures.items()}
