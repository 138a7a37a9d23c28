#!/usr/bin/env python3
# /// script
# dependencies = ["fastapi", "numpy", "onnx", "onnxruntime", "uvicorn"]
# ///
"""Requests a second of the server, with and without batching, and of onnxruntime behind FastAPI and uvicorn.

    tools/load.py [MODEL] [--clients 32] [--seconds 10] [--dim N=1]

Needs wrk, which makes the load, and the packages above in the Python that runs this. MODEL has one input and one
output of float; without one it is that of the digits.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

import numpy
import onnx

ROOT = pathlib.Path(__file__).resolve().parents[1]
PORT = 8900
BATCHING = "max_batch_size: {}\ndynamic_batching {{ max_queue_delay_microseconds: {} }}\n"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "model", nargs="?", type=pathlib.Path,
        default=ROOT / "Models/digits/digits_resnet_torchscript.onnx")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--dim", action="append", default=[], help="extent of a symbolic axis, as in N=1")
    parser.add_argument("--batch", type=int, default=32, help="max_batch_size")
    parser.add_argument("--delay", type=int, default=0, help="max_queue_delay_microseconds")
    return parser.parse_args()


def request(path, extents):
    """An input of random numbers: its name, its shape and its data."""
    graph = onnx.load(path, load_external_data=False).graph
    constants = {entry.name for entry in graph.initializer}
    (value,) = [entry for entry in graph.input if entry.name not in constants]
    shape = [axis.dim_value or int(extents.get(axis.dim_param, 1)) for axis in value.type.tensor_type.shape.dim]
    return value.name, shape, numpy.random.default_rng(1).random(shape, numpy.float32)


def bodies(name, shape, array):
    given = {"name": name, "datatype": "FP32", "shape": shape}
    text = json.dumps({"inputs": [{**given, "data": array.ravel().tolist()}]}).encode()
    header = json.dumps({
        "inputs": [{**given, "parameters": {"binary_data_size": array.nbytes}}],
        "parameters": {"binary_data_output": True}}).encode()
    return {"JSON": (text, None), "binary": (header + array.tobytes(), len(header))}


def script(folder, body, header_length):
    """What wrk sends."""
    (folder / "body").write_bytes(body)
    extra = f'wrk.headers["Inference-Header-Content-Length"] = "{header_length}"\n' if header_length else ""
    (folder / "post.lua").write_text(
        f'wrk.method = "POST"\nlocal file = io.open("{folder}/body", "rb")\nwrk.body = file:read("*a")\n'
        f'wrk.headers["Content-Type"] = "application/json"\n{extra}'
        'function done(summary, latency)\n'
        '  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration,\n'
        '    latency:percentile(50), latency:percentile(99),\n'
        '    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))\n'
        "end\n")
    return folder / "post.lua"


def wait(process):
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/v2/health/ready", timeout=1)
            return
        except OSError:
            if process.poll() is not None:
                sys.exit("a server has ended")
            time.sleep(0.1)
    sys.exit("a server does not start")


def measure(command, environment, lua, options):
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait(process)
        url = f"http://127.0.0.1:{PORT}/v2/models/model/infer"
        for seconds in 1, options.seconds:
            said = subprocess.run(
                ["wrk", "-t1", f"-c{options.clients}", f"-d{seconds}s", "--timeout", "30s", "-s", lua, url],
                check=True, capture_output=True, text=True).stdout
        count, duration, half, most, errors = map(
            int, re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", said).groups())
        return f"{count / duration * 1e6:.0f} | {half / 1000:.1f} | {most / 1000:.1f} | {errors}"
    finally:
        process.terminate()
        process.wait()


def main():
    options = arguments()
    if not shutil.which("wrk"):
        sys.exit("wrk is missing: apt-get install wrk")
    server = subprocess.run(
        [ROOT / "tools/server", "--build"], check=True, capture_output=True, text=True).stdout.strip()
    extents = dict(entry.split("=") for entry in options.dim)
    forms = bodies(*request(options.model, extents))
    print("| server | requests a second | p50, ms | p99, ms | errors |\n| --- | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)
        home = folder / "models/model"
        (home / "1").mkdir(parents=True)
        shutil.copy(options.model, home / "1/model.onnx")
        ours = [server, folder / "models", "--port", str(PORT)]
        theirs = [
            sys.executable, "-m", "uvicorn", "fastapi_app:app", "--port", str(PORT), "--no-access-log",
            "--app-dir", ROOT / "tools/benchmark"]
        rows = [("onnxruntime, FastAPI, uvicorn, JSON", theirs, None, "JSON")]
        for form in forms:
            rows.append((f"ours without batching, {form}", ours, "", form))
            rows.append((f"ours, {form}", ours, BATCHING.format(options.batch, options.delay), form))
        for name, command, configuration, form in rows:
            if configuration is not None:
                (home / "config.pbtxt").write_text(configuration)
            lua = script(folder, *forms[form])
            print(f"| {name} | {measure(command, {'MODEL': str(options.model)}, lua, options)} |", flush=True)


if __name__ == "__main__":
    main()
