"""onnxruntime behind FastAPI, as plain as its users write it: what tools/load.py measures the server against.

It takes and gives the JSON of the Open Inference Protocol, of models with one input and one output of float.
"""
import os

import numpy
import onnxruntime
from fastapi import FastAPI

session = onnxruntime.InferenceSession(os.environ["MODEL"], providers=["CPUExecutionProvider"])
input_name = session.get_inputs()[0].name
output_name = session.get_outputs()[0].name
app = FastAPI()


@app.post("/v2/models/model/infer")
def infer(request: dict) -> dict:
    given = request["inputs"][0]
    array = numpy.array(given["data"], numpy.float32).reshape(given["shape"])
    (result,) = session.run([output_name], {input_name: array})
    return {"model_name": "model", "outputs": [
        {"name": output_name, "datatype": "FP32", "shape": list(result.shape),
         "data": result.ravel().tolist()}]}


@app.get("/v2/health/ready")
def ready() -> dict:
    return {"ready": True}
