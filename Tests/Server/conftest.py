import collections
import json
import os
import pathlib
import shutil
import signal
import subprocess
import threading

import pytest
import tritonclient.http as http

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / "Models"
BINARY = pathlib.Path(os.environ["SARDONYX_SERVER"])
COMMAND = pathlib.Path(os.environ["SARDONYX_COMMAND"])


class Server:
    """A server of a folder of models, on a port of its own."""

    def __init__(self, folder, *options):
        self.process = subprocess.Popen(
            [BINARY, str(folder), "--port", "0", *options], stderr=subprocess.PIPE, text=True)
        self.log = []
        self.port = None
        listens = threading.Event()

        def read():
            for line in self.process.stderr:
                entry = json.loads(line)
                self.log.append(entry)
                if entry["message"] == "listening":
                    self.port = int(entry["port"])
                    listens.set()
            listens.set()

        self.reader = threading.Thread(target=read, daemon=True)
        self.reader.start()
        listens.wait(120)
        assert self.port, self.log

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def client(self, **options):
        return http.InferenceServerClient(self.address, **options)

    def requests(self, **members):
        """What the log tells of requests."""
        return [
            entry for entry in self.log
            if entry["message"] == "request" and members.items() <= entry.items()]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        self.reader.join(10)
        return status


def add(folder, name, model, version=1, config=None):
    """Puts a model, a file or its bytes, into a repository."""
    home = folder / name
    (home / str(version)).mkdir(parents=True, exist_ok=True)
    target = home / str(version) / "model.onnx"
    if isinstance(model, bytes):
        target.write_bytes(model)
    else:
        shutil.copy(model, target)
    if config is not None:
        (home / "config.pbtxt").write_text(config)


@pytest.fixture
def serve(tmp_path):
    """Starts servers that end with the test."""
    servers = []

    def start(*options, folder=tmp_path):
        servers.append(Server(folder, *options))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.stop()
