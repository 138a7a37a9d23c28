"""Runs one peer in a process of its own, at the word of `processes.py`.

Requests are lines of JSON on standard input, answers lines of JSON on what was standard output;
whatever an engine prints goes to standard error.
"""

import ctypes
import gc
import json
import os
import pathlib
import signal
import statistics
import sys
import time

import numpy as np


def open_onnxruntime(files, inputs, outputs, threads):
    """Opens the model and binds inputs and outputs, which is quickest; strings cannot be bound, nor
    outputs of other shapes than declared."""
    import onnxruntime
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        files["onnx"], settings, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    bound = all(value.type.startswith("tensor(") and "string" not in value.type
                for value in session.get_inputs() + session.get_outputs())
    if bound:
        for name, array in inputs.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(array))
        for name in outputs:
            binding.bind_output(name)

    def run():
        nonlocal bound
        if bound:
            try:
                return session.run_with_iobinding(binding)
            except RuntimeError:
                bound = False
        return session.run(None, inputs)
    return run, lambda values: binding.copy_outputs_to_cpu() if values is None else values


def open_openvino(files, inputs, outputs, threads):
    """Compiles the model in float32, for exactly the shapes of the inputs."""
    import openvino
    core = openvino.Core()
    model = core.read_model(files["onnx"])
    model.reshape({name: list(array.shape) for name, array in inputs.items()})
    request = core.compile_model(model, "CPU", {
        "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    for name, array in inputs.items():
        request.set_tensor(name, openvino.Tensor(np.ascontiguousarray(array), shared_memory=True))
    return (lambda: request.infer(share_outputs=True),
            lambda result: [np.array(result[index]) for index in range(len(outputs))])


def open_mnn(files, inputs, outputs, threads):
    """Loads the converted model in full float32."""
    import MNN
    import MNN.expr as expression
    kinds = {"f": (np.float32, expression.float), "i": (np.int32, expression.int),
             "u": (np.int32, expression.int), "b": (np.int32, expression.int)}
    runtime = MNN.nn.create_runtime_manager(({
        "backend": "CPU", "precision": "high", "memory": "normal", "power": "normal",
        "numThread": threads},))
    net = MNN.nn.load_module_from_file(
        files["mnn"], list(inputs), list(outputs), runtime_manager=runtime)
    values = []
    for array in inputs.values():
        kind, name = kinds[array.dtype.kind]
        array = np.ascontiguousarray(array, kind)
        values.append((expression.placeholder(list(array.shape), expression.NCHW, name), array))

    def run():
        for value, array in values:
            value.write(array)
        results = net.onForward([value for value, _ in values])
        return [expression.convert(result, expression.NCHW).read()
                if len(result.shape) == 4 else result.read() for result in results]
    return run, lambda results: results


def open_ncnn(files, inputs, outputs, threads):
    """Loads the converted model without any 16-bit format; a batch axis of 1 is not passed."""
    import ncnn
    net = ncnn.Net()
    for option in ["use_vulkan_compute", "use_fp16_packed", "use_fp16_storage",
                   "use_fp16_arithmetic", "use_bf16_packed", "use_bf16_storage"]:
        setattr(net.opt, option, False)
    net.opt.num_threads = threads
    if net.load_param(files["param"]) or net.load_model(files["bin"]):
        raise RuntimeError("ncnn could not load the converted model")
    arrays = []
    for array in inputs.values():
        array = array[0] if array.ndim > 1 and array.shape[0] == 1 else array
        arrays.append(np.ascontiguousarray(
            array, np.float32 if array.dtype.kind == "f" else np.int32))
    mats = [ncnn.Mat(array) for array in arrays]
    names = net.output_names()

    def run():
        extractor = net.create_extractor()
        for name, mat in zip(net.input_names(), mats):
            extractor.input(name, mat)
        results = [extractor.extract(name) for name in names]
        if any(status for status, _ in results):
            raise RuntimeError(f"ncnn answered {[status for status, _ in results]}")
        return [mat for _, mat in results]
    return run, lambda mats: [np.array(mat) for mat in mats]


OPEN = {"onnxruntime": open_onnxruntime, "OpenVINO": open_openvino, "MNN": open_mnn,
        "ncnn": open_ncnn}
MODULES = {"onnxruntime": "onnxruntime", "OpenVINO": "openvino", "MNN": "MNN", "ncnn": "ncnn"}


def die_with_parent():
    """Has Linux end this process when its parent ends: it may be stopped then."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def memory(field):
    """`VmRSS` or `VmHWM` (its peak) of this process in bytes; 0 where only Linux would say."""
    status = pathlib.Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else []:
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0


def as_array(value):
    """An output as an array without objects: of a sequence of maps the values, row by row."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        value = [list(row.values()) for row in value]
    elif isinstance(value, list):
        value = np.concatenate([np.ravel(array) for array in value] or [np.zeros(0)])
    array = np.asarray(value)
    return array.astype(str) if array.dtype.kind == "O" else array


class Worker:
    """One engine with one model. Times are milliseconds, memory is bytes."""

    def __init__(self, engine, files, inputs, outputs, threads):
        self.engine, self.files, self.outputs, self.threads = engine, files, outputs, threads
        with np.load(inputs) as arrays:
            self.inputs = {name.removeprefix("in:"): arrays[name] for name in arrays.files
                           if name.startswith("in:")}
        __import__(MODULES[engine])
        self.compute = self.fetch = None

    def open(self):
        """Opens the model anew and runs it once; says how long that took."""
        self.compute = self.fetch = None
        gc.collect()
        start = time.perf_counter()
        self.compute, self.fetch = OPEN[self.engine](
            self.files, self.inputs, self.outputs, self.threads)
        self.compute()
        return {"first": (time.perf_counter() - start) * 1000}

    def check(self, file):
        """Opens the model, writes its outputs to a file, says how long a run takes and how much
        memory came on top of what libraries and inputs took."""
        if sys.platform == "linux":
            pathlib.Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew.
        before = memory("VmRSS")
        self.open()
        values = [as_array(value) for value in self.fetch(self.compute())]
        np.savez(file, **{f"out{index}": value for index, value in enumerate(values)})
        return {**self.run(1, 2), "memory": memory("VmHWM") - before}

    def run(self, warmup, runs):
        """Times some runs, after some that are not timed."""
        times = []
        for _ in range(warmup + runs):
            start = time.perf_counter()
            self.compute()
            times.append((time.perf_counter() - start) * 1000)
        times = times[warmup:]
        return {"min": min(times), "median": statistics.median(times)}


def main():
    die_with_parent()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = None
    for line in sys.stdin:
        name, arguments = json.loads(line)
        try:
            if name == "start":
                worker, answer = Worker(**arguments), {}
            else:
                answer = getattr(worker, name)(**arguments)
        except Exception as error:
            text = str(error).strip().splitlines() or [""]
            answer = {"error": f"{type(error).__name__}: {text[0][:200]}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
