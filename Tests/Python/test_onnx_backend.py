"""ONNX's own runner. Cases whose models are to be downloaded are left out: they need a network."""

import onnx.backend.test
import sardonyx.backend

backend_test = onnx.backend.test.BackendTest(sardonyx.backend.SardonyxBackend, __name__)
backend_test.exclude("OnnxBackendRealModelTest")
globals().update(backend_test.test_cases)
