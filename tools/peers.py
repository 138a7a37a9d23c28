#!/usr/bin/env python3
"""Times `sardonyx bench` against onnxruntime, and OpenVINO if it is installed, on one model.

The engines take turns in each round, so that a slow moment of the machine meets all of them, and
each is closed before the next one begins. All get the same model and number of threads.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.4.6", "onnxruntime==1.32.0", "openvino==2026.4.1"]
# ///

import argparse
import importlib.util
import json
import pathlib
import statistics
import subprocess
import time

import numpy as np
import onnxruntime


def make_inputs(options):
    """Returns an array for each input of the model: noise, or zeros where integers are wanted."""
    noise, inputs = np.random.default_rng(0), {}
    sizes = dict(dim.rsplit("=", 1) for dim in options.dim)
    for value in onnxruntime.InferenceSession(options.model).get_inputs():
        for dim in value.shape:
            if not isinstance(dim, int) and dim not in sizes:
                sizes[dim] = 1
                options.dim.append(f"{dim}=1")
        shape = [dim if isinstance(dim, int) else int(sizes[dim]) for dim in value.shape]
        name = value.type.removeprefix("tensor(").removesuffix(")")
        kind = np.dtype({"float": "float32", "double": "float64"}.get(name, name))
        array = noise.standard_normal(shape) if kind.kind == "f" else np.zeros(shape)
        inputs[value.name] = array.astype(kind)
    return inputs


def open_onnxruntime(options, inputs):
    """Opens the model in onnxruntime and returns what runs it once."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    session = onnxruntime.InferenceSession(
        options.model, settings, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, inputs)


def open_openvino(options, inputs):
    """Compiles the model with OpenVINO in float32, for exactly these shapes."""
    import openvino
    core = openvino.Core()
    model = core.read_model(options.model)
    model.reshape({name: list(array.shape) for name, array in inputs.items()})
    request = core.compile_model(model, "CPU", {
        "INFERENCE_NUM_THREADS": options.threads, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    return lambda: request.infer(inputs)


def measure(open_engine, options, inputs):
    """Times one engine: ({"min", "median"} of a run after some to warm up, load), milliseconds."""
    start = time.perf_counter()
    run = open_engine(options, inputs)
    load = time.perf_counter() - start
    times = []
    for _ in range(options.runs + options.runs // 5 + 1):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1000)
    times = times[-options.runs:]
    return {"min": min(times), "median": statistics.median(times)}, load * 1000


def measure_sardonyx(options):
    """Times `sardonyx bench`, in a process of its own, in the same terms."""
    dims = [word for dim in options.dim for word in ("--dim", dim)]
    command = [options.sardonyx, "bench", options.model, "--json", *dims,
               "--threads", str(options.threads), "--iterations", str(options.runs)]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return report["latency_ms"], report["load_ms"] + report["prepare_ms"]


def print_table(rounds):
    """Prints a Markdown table; a ratio is the engine's time over that of sardonyx,
    and ready is the time from a file to a session that can run."""
    print("| engine | min ms | median ms | ready ms | ratio, min | ratio, median | ratio, ready |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    ours = rounds["sardonyx"]
    for engine, theirs in rounds.items():
        least = [min(latency["min"] for latency, _ in samples) for samples in (theirs, ours)]
        load = [min(load for _, load in samples) for samples in (theirs, ours)]
        median = statistics.median(latency["median"] for latency, _ in theirs)
        ratio = statistics.median(a["median"] / b["median"] for (a, _), (b, _) in zip(theirs, ours))
        print(f"| {engine} | {least[0]:.3f} | {median:.3f} | {load[0]:.2f} "
              f"| {least[0] / least[1]:.2f} | {ratio:.2f} | {load[0] / load[1]:.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--runs", type=int, default=50, help="timed runs of an engine in a round")
    parser.add_argument("--dim", action="append", default=[], help="NAME=SIZE; 1 if not given")
    parser.add_argument("--sardonyx", default=pathlib.Path(__file__).with_name("sardonyx"))
    parser.add_argument("--no-openvino", action="store_true", help="leave OpenVINO out")
    options = parser.parse_args()
    peers = {"onnxruntime": open_onnxruntime}
    if importlib.util.find_spec("openvino") and not options.no_openvino:
        peers["OpenVINO"] = open_openvino
    inputs = make_inputs(options)
    rounds = {"sardonyx": [], **{name: [] for name in peers}}
    for _ in range(options.rounds):
        rounds["sardonyx"].append(measure_sardonyx(options))
        for name, open_engine in peers.items():
            rounds[name].append(measure(open_engine, options, inputs))
    print_table(rounds)


if __name__ == "__main__":
    main()
