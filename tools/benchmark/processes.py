"""The engines as `peers.py` sees them: each in a process of its own, all asked for the same things.

An engine has a `name` and the methods `check` (outputs, and what a run takes, roughly) and `turn`
(some timed runs); both raise `EngineFailure` where it failed, crashed or hung.
"""

import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import tempfile

import numpy as np


class EngineFailure(Exception):
    """An engine does not run a model; the text says why, in a few words."""


def load_outputs(file):
    """The arrays of an archive, in order."""
    with np.load(file, allow_pickle=False) as arrays:
        return [arrays[name] for name in arrays.files]


class Peer:
    """A peer with one model in a process of its own, asleep whenever it is not its turn."""

    def __init__(self, name, folder, threads, environment, timeout):
        self.name, self.threads, self.timeout = name, threads, timeout
        self.folder, self.environment, self.process = folder, environment, None

    def start(self, files, inputs, outputs):
        """Starts the process; `files` maps kinds to paths, `outputs` lists the outputs' names."""
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [sys.executable, pathlib.Path(__file__).with_name("worker.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
            env={**os.environ, **self.environment})
        self.ask("start", engine=self.name, files=files, inputs=str(inputs), outputs=outputs,
                 threads=self.threads)

    def check(self):
        """(outputs, {"min", "median", "memory"})"""
        file = pathlib.Path(self.folder, f"{self.name}.npz")
        answer = self.ask("check", file=str(file))
        return load_outputs(file), answer

    def turn(self, runs, opening):
        """{"min", "median"} of some runs and, if `opening`, "first": from the file to a result."""
        first = self.ask("open") if opening else {}
        return {**self.ask("run", warmup=2, runs=runs), **first}

    def ask(self, request, **arguments):
        """The answer to one request; in between the process is stopped, so that no thread spins."""
        try:
            self.process.stdin.write(json.dumps([request, arguments]).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise EngineFailure(self.end()) from None
        self.process.send_signal(signal.SIGCONT)
        if not select.select([self.process.stdout], [], [], self.timeout)[0]:
            self.close()
            raise EngineFailure(f"no answer in {self.timeout} s")
        line = self.process.stdout.readline()
        if not line:
            raise EngineFailure(self.end())
        self.process.send_signal(signal.SIGSTOP)
        answer = json.loads(line)
        if "error" in answer:
            self.close()
            raise EngineFailure(answer["error"])
        return answer

    def end(self):
        """How the process ended, with the last that it said."""
        status = self.process.wait()
        self.log.seek(0)
        said = self.log.read().decode(errors="replace").strip().splitlines()[-1:]
        what = f"crashed: {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        return ", ".join([what, *(line[:120] for line in said)])

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Sardonyx:
    """The command `sardonyx`, a process anew for each turn."""

    name = "Sardonyx"

    def __init__(self, command, folder, threads, environment, timeout):
        self.command, self.folder, self.threads = command, folder, threads
        self.environment, self.timeout = environment, timeout

    def start(self, files, inputs, outputs):
        self.arguments = [files["onnx"], "--inputs", str(inputs), "--threads", str(self.threads)]
        self.outputs = outputs

    def check(self):
        """(outputs, {}): see `Peer.check`."""
        file = pathlib.Path(self.folder, "Sardonyx.npz")
        self.call("run", "--output", str(file))
        with np.load(file) as arrays:
            # Members whose names would lead out of a folder have others; an array tells which.
            index = arrays["sardonyx.names"] if "sardonyx.names" in arrays.files else []
            original = {str(member): str(name) for member, name in index}
            named = {original.get(name, name).removeprefix("out:"): arrays[name]
                     for name in arrays.files if name != "sardonyx.names"}
        missing = [name for name in self.outputs if name not in named]
        if missing:
            raise EngineFailure(f"no output {missing[0]}; there are {', '.join(named)}")
        return [named[name] for name in self.outputs], {}

    def turn(self, runs, opening):
        """See `Peer.turn`; and "memory", the peak of the whole process."""
        report = json.loads(
            self.call("bench", "--json", "--warmup", "2", "--iterations", str(runs)))
        first = report["load_ms"] + report["prepare_ms"] + report["first_run_ms"]
        return {**report["latency_ms"], "memory": report["peak_memory_bytes"],
                **({"first": first} if opening else {})}

    def call(self, subcommand, *options):
        """What the command printed."""
        # The peak memory of a process counts what it was forked from: a small shell, not Python.
        process = subprocess.Popen(
            ["sh", "-c", '"$@"; exit $?', "sh",
             self.command, subcommand, *self.arguments, *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0,
            env={**os.environ, **self.environment})
        try:
            printed, said = process.communicate(timeout=self.timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise EngineFailure(f"no answer in {self.timeout} s") from None
        if process.returncode:
            raise EngineFailure((said.strip().splitlines() or ["failed"])[0][:200])
        return printed

    def close(self):
        pass
