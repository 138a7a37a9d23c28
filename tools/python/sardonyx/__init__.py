"""Sardonyx runs ONNX models on the CPU.

A script written for onnxruntime changes one import::

    import sardonyx as onnxruntime

    session = onnxruntime.InferenceSession("model.onnx")
    (scores,) = session.run(None, {"image": image})

Arrays go in and come out without copies; what comes out is read-only. Runs release the GIL and may overlap.
"""

from ._library import Error, has_feature, version as _version
from ._reports import compare, fold, inspect
from ._session import (
    Cancellation,
    InferenceSession,
    ModelMetadata,
    NodeArg,
    SessionOptions,
    get_available_providers,
)

__version__ = _version()

__all__ = [
    "Cancellation",
    "Error",
    "InferenceSession",
    "ModelMetadata",
    "NodeArg",
    "SessionOptions",
    "compare",
    "fold",
    "get_available_providers",
    "has_feature",
    "inspect",
]
