"""ONNX's own runner. Cases whose models are to be downloaded are left out: they need a network."""

import onnx.backend.test
import sardonyx
import sardonyx.backend

backend_test = onnx.backend.test.BackendTest(sardonyx.backend.SardonyxBackend, __name__)
backend_test.exclude("OnnxBackendRealModelTest")
backend_test.exclude("_cuda")
# Random values depend on the generator, which ONNX leaves open.
backend_test.exclude("test_bernoulli")
# Outputs are sequences of scalars, of which the runner wants to know the length; the command passes it.
backend_test.exclude("test_loop16_seq_none")
if not sardonyx.has_feature("images"):
    backend_test.exclude("test_image_decoder")
globals().update(backend_test.test_cases)
