#!/usr/bin/env python3
"""Times Sardonyx against onnxruntime, OpenVINO, MNN and ncnn on the same models and inputs.

    tools/peers.py resnet50.onnx mobilenet_v2.onnx --threads 1,2
    tools/peers.py --all FOLDER

Each engine runs in a process of its own. In each round all have their turn of some runs, one after
the other and everyone else asleep, so that a slow moment of the machine meets all of them; what
counts is the least time. Inputs are the arrays `in:INPUT` of NAME.npz beside NAME.onnx, or made up.
Outputs are compared with onnxruntime's; an engine that fails, crashes or is wrong is reported as
such and never counts as the best. All compute in float32: OpenVINO by its precision hint, MNN with
precision high, ncnn without its 16-bit formats.

"first" is the time from opening the file that an engine reads to the first result, conversions for
MNN and ncnn not counted. Memory is the peak of the whole process for Sardonyx; for a peer what came
on top of Python, its libraries and the inputs. On a machine with other work, `chrt -r 1` before the
command keeps that out of the turns; without it two threads often wait for each other.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.4.6", "onnx==1.23.2", "onnxruntime==1.32.0", "openvino==2026.4.1",
#   "MNN==3.6.1", "ncnn==1.0.20261020", "pnnx==20261020"]
# ///

import argparse
import importlib.metadata
import json
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import benchmark_models  # noqa: E402
from benchmark import limiting, preparing, reporting  # noqa: E402
from benchmark.processes import EngineFailure, Peer, Sardonyx  # noqa: E402

PACKAGES = {"onnxruntime": "onnxruntime", "OpenVINO": "openvino", "MNN": "mnn", "ncnn": "ncnn"}


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=pathlib.Path, metavar="MODEL")
    parser.add_argument("--all", type=pathlib.Path, metavar="FOLDER",
                        help="each model of FOLDER that has inputs beside it (weights are drawn "
                        "where they were left out, see benchmark_models.py), against onnxruntime "
                        "alone; prints those slower than it and the geometric mean")
    parser.add_argument("--threads", type=counts, default=[1], metavar="COUNT,COUNT")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--turn", type=float, default=100, metavar="MS",
                        help="about how long an engine runs in a round, at least twice")
    parser.add_argument("--openings", type=int, default=2, metavar="COUNT",
                        help="rounds in which the time from file to first result is taken")
    parser.add_argument("--peers", type=lambda text: text.split(","), metavar="NAME,NAME",
                        help="of onnxruntime, OpenVINO, MNN, ncnn; all installed if not given")
    parser.add_argument("--isa", choices=["avx512", "avx2", "base"],
                        help="limits Sardonyx by SARDONYX_ISA and the peers by hiding the rest from "
                        "them (benchmark/cpuid.c); where that does not work, OpenVINO alone by "
                        "ONEDNN_MAX_CPU_ISA: onnxruntime, MNN and ncnn have no such switch")
    parser.add_argument("--pin", action="store_true",
                        help="keeps all engines on the first as many CPUs as they have threads")
    parser.add_argument("--tolerance", type=float, default=1e-2,
                        help="difference from onnxruntime over max|y| above which one is wrong")
    parser.add_argument("--timeout", type=float, default=300, metavar="SECONDS",
                        help="for one turn of an engine")
    parser.add_argument("--dim", action="append", default=[], metavar="NAME=SIZE",
                        help="an open dimension of inputs to make up; 1 if not given")
    parser.add_argument("--sardonyx", default=pathlib.Path(__file__).with_name("sardonyx"),
                        metavar="COMMAND", help="tools/sardonyx, which builds it, if not given")
    parser.add_argument("--cache", type=pathlib.Path, metavar="FOLDER", help="for converted models",
                        default=pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"),
                                             "sardonyx/peers").expanduser())
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="writes all figures")
    parser.add_argument("--markdown", type=pathlib.Path, metavar="FILE",
                        help="writes the table that is printed last")
    options = parser.parse_args()
    if bool(options.models) == bool(options.all):
        parser.error("expected models, or --all FOLDER")
    for path in options.models + ([options.all] if options.all else []):
        if not path.exists():
            parser.error(f"{path}: no such file or folder")
    if options.peers and set(options.peers) - PACKAGES.keys():
        parser.error(f"--peers: there are {', '.join(PACKAGES)}")
    options.command = described(parser, options)
    options.dims = {name: int(size) for name, size in (dim.rsplit("=", 1) for dim in options.dim)}
    return options


def described(parser, options):
    """The command as a table quotes it: what figures depend on, without this machine's paths."""
    words = ["tools/peers.py", *(["--all", "MODELS"] if options.all else ["MODEL..."])]
    for name in ["threads", "rounds", "turn", "openings", "peers", "isa", "pin", "dim"]:
        value = getattr(options, name)
        if value != parser.get_default(name):
            values = value if isinstance(value, list) else [value]
            text = ",".join(f"{each:g}" if isinstance(each, float) else str(each)
                            for each in values)
            words += [f"--{name}"] + ([] if value is True else [text])
    return " ".join(words)


def counts(text):
    """Numbers of threads with commas between them."""
    return [int(count) for count in text.split(",")]


def installed(options):
    """The versions of the peers to run, by name; onnxruntime is the first, to compare with."""
    wanted = ["onnxruntime"] if options.all else options.peers or list(PACKAGES)
    versions = {}
    for name, package in PACKAGES.items():
        try:
            if name in wanted or name == "onnxruntime":
                versions[name] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            print(f"{name} is not installed: left out", file=sys.stderr)
    return versions


def measure(model, threads, peers, options):
    """Times one model with all engines at one number of threads."""
    with tempfile.TemporaryDirectory() as folder:
        inputs = preparing.read_inputs(model, options.dims, folder)
        ours, theirs, _ = limiting.limits(options.isa, options.cache)
        # onnxruntime leads, because the others are compared with it.
        engines = [Peer(name, folder, threads, theirs, options.timeout) for name in peers]
        engines.insert(1, Sardonyx(options.sardonyx, folder, threads, ours, options.timeout))
        try:
            return time_engines(engines, model, inputs, options)
        finally:
            for engine in engines:
                engine.close()


def time_engines(engines, model, inputs, options):
    """Checks each engine's outputs, then lets them take turns."""
    figures, checks, turns, reference = {}, {}, {engine.name: [] for engine in engines}, None
    outputs = preparing.output_names(model)

    def attempt(engine, what):
        """Does something with an engine that has not failed yet."""
        if "failure" not in figures.get(engine.name, {}):
            try:
                return what(engine)
            except EngineFailure as failure:
                figures[engine.name] = {"failure": str(failure)}
        return None

    def check(engine):
        files = preparing.files_for(engine.name, model, inputs, options.cache)
        engine.start(files, inputs, outputs)
        return engine.check()

    for engine in engines:
        if (checked := attempt(engine, check)) is None:
            continue
        values, checks[engine.name] = checked
        if engine.name == "onnxruntime":
            reference = values
        figures[engine.name] = {"difference": None, "wrong": False}
        if reference is not None:
            apart = reporting.difference(values, reference)
            figures[engine.name] = {"difference": apart, "wrong": not apart <= options.tolerance}
    least = min((known["min"] for known in checks.values() if "min" in known), default=100)
    runs = max(2, min(2000, round(options.turn / least)))
    for index in range(options.rounds):
        # Another one begins each time, so that nobody always follows the same.
        start = index % len(engines)
        for engine in engines[start:] + engines[:start]:
            taken = attempt(engine, lambda each: each.turn(runs, index < options.openings))
            turns[engine.name] += [taken] if taken else []
    for name, known in figures.items():
        if "failure" not in known:
            known.update(reporting.summary(turns[name], checks[name]))
    order = ["Sardonyx", *(engine.name for engine in engines if engine.name != "Sardonyx")]
    return {"model": model.stem, "threads": engines[0].threads, "rounds": options.rounds,
            "runs": runs, "engines": {name: figures[name] for name in order}}


def main():
    options = parse_arguments()
    peers = installed(options)
    everyone = limiting.limits(options.isa, options.cache)[2]
    conditions = reporting.machine(
        options.isa, everyone, options.threads, peers, options.command)
    models = benchmark_models.fill_folder(options.all, options.cache / "models") \
        if options.all else options.models
    rows = []
    for model in models:
        for threads in options.threads:
            if options.pin:
                os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
            rows.append(measure(model, threads, list(peers), options))
            reporting.print_details(rows[-1])
            if options.json:
                text = json.dumps({**conditions, "models": rows}, indent=1)
                options.json.write_text(text + "\n")
    table = reporting.markdown(rows, conditions)
    if options.markdown:
        options.markdown.write_text(table + "\n")
    print(f"\n{table}")
    if options.all:
        reporting.print_all(rows)


if __name__ == "__main__":
    main()
