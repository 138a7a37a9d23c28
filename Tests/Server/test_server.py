import concurrent.futures
import http.client
import json
import os
import pathlib
import socket
import ssl
import subprocess
import threading
import time

import ml_dtypes
import numpy
import pytest
import tritonclient.http as http_client
from tritonclient.utils import InferenceServerException

import models
from conftest import BINARY, COMMAND, MODELS, add

DIGITS = MODELS / "digits/digits_resnet_torchscript.onnx"
BATCHED = "max_batch_size: 32\ndynamic_batching { max_queue_delay_microseconds: 2000 }\n"
VALUES = {
    "BOOL": numpy.array([[True, False, True]]),
    "UINT8": numpy.array([[0, 7, 255]], numpy.uint8),
    "UINT16": numpy.array([[0, 7, 65535]], numpy.uint16),
    "UINT32": numpy.array([[0, 7, 2**32 - 1]], numpy.uint32),
    "UINT64": numpy.array([[0, 7, 2**64 - 1]], numpy.uint64),
    "INT8": numpy.array([[-128, 0, 127]], numpy.int8),
    "INT16": numpy.array([[-2**15, 0, 2**15 - 1]], numpy.int16),
    "INT32": numpy.array([[-2**31, 0, 2**31 - 1]], numpy.int32),
    "INT64": numpy.array([[-2**63, 0, 2**63 - 1]], numpy.int64),
    "FP16": numpy.array([[-0.5, numpy.inf, 65504]], numpy.float16),
    "FP32": numpy.array([[0.1, -numpy.inf, 1.1754944e-38]], numpy.float32),
    "FP64": numpy.array([[0.1, 5e-324, 1.7976931348623157e308]]),
    "BF16": numpy.array([[0.5, -3.0, 1e30]], ml_dtypes.bfloat16),
    "BYTES": numpy.array([["seven".encode(), "".encode(), "Größe \"\\\n".encode()]], object)}


def tensor(name, array, datatype, binary=True):
    value = http_client.InferInput(name, list(array.shape), datatype)
    value.set_data_from_numpy(array, binary_data=binary)
    return value


def output(name, binary=True):
    return http_client.InferRequestedOutput(name, binary_data=binary)


def images(count, seed=0):
    return numpy.random.default_rng(seed).random((count, 1, 8, 8), numpy.float32)


def by_command(array, folder):
    """What the command computes, row by row."""
    numpy.savez(folder / "in.npz", image=array)
    subprocess.run(
        [COMMAND, "run", DIGITS, "--inputs", folder / "in.npz", "--batch", "1", "--output",
         folder / "out.npz"], check=True, capture_output=True)
    return numpy.load(folder / "out.npz")["probabilities"]


def ask(server, method, path, body=None, headers={}, encode_chunked=True):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request(method, path, body, headers, encode_chunked=encode_chunked)
    response = connection.getresponse()
    return response.status, response.read(), response.headers


def error_of(body):
    return json.loads(body)["error"]


# The protocol

def test_health_and_metadata(serve, tmp_path):
    add(tmp_path, "digits", DIGITS)
    add(tmp_path, "digits", DIGITS, version=3)
    client = serve().client()
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("digits") and client.is_model_ready("digits", "3")
    assert not client.is_model_ready("digits", "1") and not client.is_model_ready("letters")
    server = client.get_server_metadata()
    assert server["name"] == "sardonyx" and "binary_tensor_data" in server["extensions"]
    assert client.get_model_metadata("digits") == {
        "name": "digits", "versions": ["3"], "platform": "sardonyx_onnx",
        "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, 1, 8, 8]}],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]}]}
    assert client.get_model_config("digits")["max_batch_size"] == 0


@pytest.mark.parametrize("binary", [True, False])
def test_all_types(serve, tmp_path, binary):
    for datatype, kind in models.KINDS.items():
        add(tmp_path, f"identity {datatype}", models.identity(kind))
    client = serve().client()
    for datatype, array in VALUES.items():
        # The client itself has no JSON for numbers of 16 bits.
        as_binary = binary or datatype in ("FP16", "BF16")
        result = client.infer(
            f"identity {datatype}", [tensor("x", array, datatype, as_binary)],
            outputs=[output("y", as_binary)], request_id="one")
        back = result.as_numpy("y")
        assert result.get_response()["id"] == "one"
        if datatype == "BYTES" and not binary:
            back = numpy.array([[text.encode() for text in row] for row in back], object)
        assert numpy.array_equal(back, array), (datatype, back)


def test_json_of_16_bits_and_no_numbers(serve, tmp_path):
    add(tmp_path, "half", models.identity(models.KINDS["FP16"]))
    server = serve()
    status, body, _ = ask(server, "POST", "/v2/models/half/infer", json.dumps({
        "inputs": [{"name": "x", "datatype": "FP16", "shape": [2, 2],
                    "data": [[0.5, float("inf")], ["-Infinity", "NaN"]]}]}))
    assert status == 200
    assert json.loads(body)["outputs"][0] == {
        "name": "y", "datatype": "FP16", "shape": [2, 2], "data": [0.5, "Infinity", "-Infinity", "NaN"]}


def test_answers_are_those_of_the_command(serve, tmp_path):
    folder = tmp_path / "repository"
    add(folder, "digits", DIGITS)
    client = serve(folder=folder).client()
    array = images(20)
    expected = by_command(array, tmp_path)
    for index in range(len(array)):
        for binary in True, False:
            result = client.infer(
                "digits", [tensor("image", array[index:index + 1], "FP32", binary)],
                outputs=[output("probabilities", binary)])
            assert numpy.array_equal(result.as_numpy("probabilities"), expected[index:index + 1])


def test_errors(serve, tmp_path):
    add(tmp_path, "digits", DIGITS)
    add(tmp_path, "gather", models.gather())
    server = serve()
    client = server.client()
    image = tensor("image", images(1), "FP32")
    cases = [
        (lambda: client.infer("letters", [image]), "404", 'there is no model "letters"'),
        (lambda: client.infer("digits", [image], model_version="7"), "404",
         'model "digits" has no version 7 that is loaded; it has 1'),
        (lambda: client.infer("digits", [image], outputs=[output("logits")]), "400",
         'the model has no output "logits"'),
        (lambda: client.infer("digits", [tensor("image", images(1).astype(float), "FP64")]), "400",
         "image"),
        (lambda: client.infer("gather", [tensor("x", numpy.array([99]), "INT64")]), "400", "99"),
        (lambda: client.infer("digits", [image], outputs=[
            http_client.InferRequestedOutput("probabilities", class_count=2)]), "400",
         'output "probabilities": this server has no parameter "classification"'),
    ]
    for call, status, sentence in cases:
        with pytest.raises(InferenceServerException) as caught:
            call()
        assert caught.value.status() == status and sentence in caught.value.message(), caught.value
    path = "/v2/models/digits/infer"
    for body, headers, status, sentence in [
        ("", {}, 400, "JSON, byte 0: expected a value, got the end"),
        ("{]", {}, 400, "expected the other bracket"),
        ('{"inputs": [' + "[" * 100000, {}, 400, "in one another"),
        ('{"inputs": [{"name": "image"}]}', {}, 400,
         'input "image": expected a member "datatype", got none'),
        ('{"inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, 2], "data": [1]}]}', {}, 400,
         'input "image": elements of a tensor: expected as many as [-1,2] has, got 1'),
        ('{"inputs": [{"name": "image", "datatype": "FP32", "shape": [9999999999, 9999999999], "data": [1]}]}',
         {}, 400, "elements of a tensor"),
        ('{"inputs": [{"name": "image", "datatype": "INT8", "shape": [1], "data": [128]}]}', {}, 400,
         "expected an integer from -128 to 127"),
        ('{"inputs": [{"name": "image", "datatype": "QUAD", "shape": [1], "data": [1]}]}', {}, 400,
         'datatype of input "image": expected one of'),
        ("{}", {"Inference-Header-Content-Length": "9"}, 400, "at most the 2 bytes of the body"),
        ("{}", {"Inference-Header-Content-Length": "x"}, 400, 'expected a number, got "x"'),
        ('{"inputs": [{"name": "image", "datatype": "FP32", "shape": [1], "parameters": '
         '{"binary_data_size": 4000}}]}', {}, 400, "at most the 0 bytes that are left"),
        ("{}", {"Content-Encoding": "gzip"}, 415, "Content-Encoding"),
    ]:
        got, answer, _ = ask(server, "POST", path, body, headers)
        assert (got, sentence in error_of(answer)) == (status, True), (got, answer)
    status, answer, headers = ask(server, "GET", path)
    assert status == 405 and headers["Allow"] == "POST"
    status, answer, _ = ask(server, "POST", path, b"no size of a chunk", {"Transfer-Encoding": "chunked"}, False)
    assert status == 400 and "the body cannot be read" in error_of(answer)
    assert ask(server, "GET", "/v3")[0] == 404 and ask(server, "GET", "/v2/models/%zz")[0] == 400
    assert client.is_server_live()


def test_sentences_are_those_of_the_command(serve, tmp_path):
    add(tmp_path, "digits", DIGITS)
    client = serve().client()
    wrong = numpy.zeros((1, 1, 9, 8), numpy.float32)
    with pytest.raises(InferenceServerException) as caught:
        client.infer("digits", [tensor("image", wrong, "FP32")])
    numpy.save(tmp_path / "wrong.npy", wrong)
    path = os.path.realpath(tmp_path / "digits/1/model.onnx")
    said = subprocess.run(
        [COMMAND, "run", path, "--input", f"image={tmp_path}/wrong.npy"], capture_output=True, text=True)
    assert said.returncode == 1 and caught.value.message() in said.stderr, (said.stderr, caught.value)


# The repository

def test_repository(serve, tmp_path):
    add(tmp_path, "digits", DIGITS)
    add(tmp_path, "later", DIGITS)
    server = serve("--load", "digits")
    client = server.client()
    index = {entry["name"]: entry["state"] for entry in client.get_model_repository_index()}
    assert index == {"digits": "READY", "later": "UNAVAILABLE"}
    client.load_model("later")
    assert client.is_model_ready("later")
    client.unload_model("later")
    assert not client.is_model_ready("later")
    add(tmp_path, "broken", b"no model")
    with pytest.raises(InferenceServerException, match="broken/1/model.onnx"):
        client.load_model("broken")
    assert not client.is_server_ready()
    add(tmp_path, "broken", DIGITS)
    client.load_model("broken")
    assert client.is_server_ready()
    # A version that is added is served once the model is loaded again.
    add(tmp_path, "digits", MODELS / "digits/digits_resnet_dynamo.onnx", version=2)
    client.load_model("digits")
    assert client.get_model_metadata("digits")["versions"] == ["2"]
    with pytest.raises(InferenceServerException, match="loads what its repository holds"):
        client.load_model("digits", config="{}")
    index = client.get_model_repository_index()
    assert all(entry["state"] == "READY" for entry in index if entry["name"] != "later")


def test_versions_and_configuration(serve, tmp_path):
    for version in 1, 2, 10:
        add(tmp_path, "all", DIGITS, version, config="version_policy: { all { } }")
        add(tmp_path, "two", DIGITS, version, config="""
            name: "two"  # a remark
            platform: 'onnxruntime_onnx'
            max_batch_size: 16
            input [ { name: "image" data_type: TYPE_FP32 dims: [ 1, 8, 8 ] } ]
            dynamic_batching { preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 100
              default_queue_policy { max_queue_size: 5 } }
            instance_group [ { count: 2 kind: KIND_CPU } ]
            version_policy: { specific { versions: [ 1, 10 ] } }
            parameters { key: "a" value: { string_value: "b" } }""")
    (tmp_path / "two/not a version").mkdir()
    server = serve()
    client = server.client()
    assert client.get_model_metadata("all")["versions"] == ["1", "2", "10"]
    assert client.get_model_metadata("two")["versions"] == ["1", "10"]
    config = client.get_model_config("two")
    assert config["max_batch_size"] == 16 and config["instance_group"] == [{"count": 2}]
    assert config["input"][0]["dims"] == [1, 8, 8]
    (ignored,) = [entry for entry in server.log if "fields" in entry]
    assert ignored["fields"] == "preferred_batch_size, parameters"


@pytest.mark.parametrize("config, sentence", [
    ("max_batch_size: many", 'max_batch_size: expected an integer from 0 to 1048576, got "many"'),
    ("max_batch_size: 4 {", "expected a field"),
    ("dynamic_batching {", "ends within a message"),
    ('name: "other"', 'name: expected "odd", as the folder, got "other"'),
    ("version_policy { specific { versions: 7 } }", "no such file"),
    ('default_model_filename: "../../secret.onnx"', "expected the name of a file"),
    ('platform: "tensorrt_plan"', "platform: expected one of ONNX"),
])
def test_wrong_configurations(serve, tmp_path, config, sentence):
    add(tmp_path, "odd", DIGITS, config=config)
    server = serve()
    (fault,) = [entry for entry in server.log if entry["message"] == "a model could not be loaded"]
    assert sentence in fault["reason"]
    assert ask(server, "GET", "/v2/health/ready")[0] == 503


def test_paths_stay_in_the_repository(serve, tmp_path):
    folder = tmp_path / "repository"
    add(folder, "digits", DIGITS)
    add(tmp_path / "elsewhere", "secret", DIGITS)
    os.symlink(tmp_path / "elsewhere/secret", folder / "linked")
    server = serve(folder=folder)
    client = server.client()
    assert not client.is_model_ready("linked")
    (fault,) = [entry for entry in server.log if entry["message"] == "a model could not be loaded"]
    assert "a link that leads out of it" in fault["reason"]
    for name in "..%2felsewhere%2fsecret", "..", "%2e%2e", ".hidden", "digits%00":
        status, _, _ = ask(server, "POST", f"/v2/repository/models/{name}/load")
        assert status in (400, 404), name


def test_fixed_models(serve, tmp_path):
    add(tmp_path, "digits", DIGITS)
    client = serve("--fixed-models").client()
    with pytest.raises(InferenceServerException) as caught:
        client.unload_model("digits")
    assert caught.value.status() == "403" and client.is_model_ready("digits")


# Batching, limits, cancellation

def test_requests_share_runs(serve, tmp_path):
    folder = tmp_path / "repository"
    add(folder, "digits", DIGITS, config=BATCHED.replace("2000", "200000"))
    server = serve(folder=folder)
    array = images(24, seed=3)
    expected = by_command(array, tmp_path)

    def one(index):
        return server.client().infer(
            "digits", [tensor("image", array[index:index + 1], "FP32")]).as_numpy("probabilities")

    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(one, range(24)))
    numpy.testing.assert_allclose(numpy.concatenate(answers), expected, rtol=0, atol=1e-6)
    (stats,) = server.client().get_inference_statistics("digits")["model_stats"]
    assert stats["inference_count"] == 24 and stats["execution_count"] < 12
    assert stats["inference_stats"]["success"]["count"] == 24
    assert max(entry["batch_rows"] for entry in server.requests(model="digits", status=200)
               if "batch_rows" in entry) > 2


def test_a_wrong_request_fails_alone(serve, tmp_path):
    add(tmp_path, "gather", models.gather(), config=BATCHED.replace("2000", "300000"))
    server = serve()

    def one(index):
        try:
            return server.client().infer(
                "gather", [tensor("x", numpy.array([index]), "INT64")]).as_numpy("y")[0]
        except InferenceServerException as error:
            return error.status()

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert list(pool.map(one, [0, 1, 99, 3, 4, 5])) == [0, 1, "400", 3, 4, 5]


def test_batches_that_do_not_fit(serve, tmp_path):
    add(tmp_path, "digits", DIGITS, config="max_batch_size: 2")
    add(tmp_path, "mixed", models.rows_mixed(), config=BATCHED.replace("2000", "300000"))
    server = serve()
    with pytest.raises(InferenceServerException, match="expected 1 to 2, the model's max_batch_size, got 3"):
        server.client().infer("digits", [tensor("image", images(3), "FP32")])

    def one(index):
        return server.client().infer(
            "mixed", [tensor("x", numpy.array([index], numpy.float32), "FP32")]).as_numpy("y")

    # Together they cannot be told apart again, so each gets a run of its own.
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert [float(y) for y in pool.map(one, [1, 2])] == [1, 2]


def test_full_queue(serve, tmp_path):
    add(tmp_path, "slow", models.slow())
    server = serve("--queue", "2", "--threads", "1")
    body = json.dumps(
        {"inputs": [{"name": "count", "datatype": "INT64", "shape": [], "data": [300]}]})
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(
            lambda _: ask(server, "POST", "/v2/models/slow/infer", body), range(8)))
    assert {status for status, _, _ in answers} == {200, 429}
    refused = [headers for status, _, headers in answers if status == 429]
    assert all(headers["Retry-After"] == "1" for headers in refused)


def test_time_limits(serve, tmp_path):
    add(tmp_path, "slow", models.slow())
    server = serve("--request-seconds", "1")
    count = tensor("count", numpy.array(10**7), "INT64")
    start = time.monotonic()
    with pytest.raises(InferenceServerException) as caught:
        server.client().infer("slow", [count])
    assert caught.value.status() == "504" and "longer than its 1.0 seconds" in caught.value.message()
    with pytest.raises(InferenceServerException) as caught:
        server.client().infer("slow", [count], timeout=200_000)
    assert "longer than its 0.2 seconds" in caught.value.message()
    assert time.monotonic() - start < 20
    # The runs have ended, too.
    assert server.client().infer("slow", [tensor("count", numpy.array(1), "INT64")])


def test_a_client_that_goes_away_ends_its_run(serve, tmp_path):
    add(tmp_path, "slow", models.slow())
    server = serve()
    body = json.dumps(
        {"inputs": [{"name": "count", "datatype": "INT64", "shape": [], "data": [10**7]}]})
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.sendall(
        f"POST /v2/models/slow/infer HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    time.sleep(0.5)
    connection.close()
    deadline = time.monotonic() + 20
    while not server.requests(status=499):
        assert time.monotonic() < deadline, server.log
        time.sleep(0.05)
    assert server.client().infer("slow", [tensor("count", numpy.array(1), "INT64")])
    assert 'outcome="cancelled"} 1' in ask(server, "GET", "/metrics")[1].decode()


def test_body_limits(serve, tmp_path):
    add(tmp_path, "x", models.identity(models.KINDS["UINT8"]))
    server = serve("--body-memory", "1", "--bodies-memory", "2")
    big = numpy.zeros((1, 2 << 20), numpy.uint8)
    with pytest.raises(InferenceServerException) as caught:
        server.client().infer("x", [tensor("x", big, "UINT8")])
    assert caught.value.status() == "413" and "at most 1048576 bytes" in caught.value.message()
    status, body, _ = ask(
        server, "POST", "/v2/models/x/infer", (b"a" * 65536 for _ in range(40)),
        {"Transfer-Encoding": "chunked"})
    assert status == 413, body
    # Bodies that are announced take their room until they are read.
    waiting = []
    for _ in range(2):
        connection = socket.create_connection(("127.0.0.1", server.port))
        connection.sendall(
            b"POST /v2/models/x/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n")
        waiting.append(connection)
    time.sleep(0.5)
    status, body, headers = ask(server, "POST", "/v2/models/x/infer", "{}")
    assert status == 503 and headers["Retry-After"] == "1", body
    for connection in waiting:
        connection.close()
    deadline = time.monotonic() + 10
    while ask(server, "POST", "/v2/models/x/infer", "{}")[0] != 400:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_ends_once_requests_are_answered(serve, tmp_path):
    add(tmp_path, "slow", models.slow())
    server = serve("--threads", "1")
    idle = server.client()
    assert idle.is_server_live()
    body = json.dumps(
        {"inputs": [{"name": "count", "datatype": "INT64", "shape": [], "data": [1000]}]})
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, server, "POST", "/v2/models/slow/infer", body)
        time.sleep(0.1)
        assert not answer.done()
        assert server.stop() == 0
        assert answer.result()[0] == 200
    assert server.log[-1]["message"] == "ended"
    with pytest.raises(OSError):
        ask(server, "GET", "/v2/health/live")


# Access, log, metrics

def test_token(serve, tmp_path):
    add(tmp_path, "digits", DIGITS)
    (tmp_path / "token").write_text("a secret\n".replace(" ", "-"))
    server = serve("--token-file", str(tmp_path / "token"))
    client = server.client()
    assert client.is_server_live() and client.is_server_ready()
    for token in None, "Bearer a-secreT", "Bearer a-secret-", "a-secret", "Bearer":
        headers = {"Authorization": token} if token else {}
        for path in "/v2", "/metrics", "/v2/models/digits":
            status, _, answered = ask(server, "GET", path, headers=headers)
            assert status == 401 and answered["WWW-Authenticate"] == "Bearer"
    headers = {"Authorization": "Bearer a-secret"}
    assert client.infer("digits", [tensor("image", images(1), "FP32")], headers=headers)
    assert "a-secret" not in json.dumps(server.log)


def test_tls(serve, tmp_path):
    folder = tmp_path / "repository"
    add(folder, "digits", DIGITS)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", tmp_path / "key.pem", "-out",
         tmp_path / "certificate.pem"], check=True, capture_output=True)
    server = serve(
        "--tls-certificate", str(tmp_path / "certificate.pem"), "--tls-key", str(tmp_path / "key.pem"),
        folder=folder)
    context = ssl.create_default_context(cafile=tmp_path / "certificate.pem")
    connection = http.client.HTTPSConnection("localhost", server.port, context=context)
    connection.request("GET", "/v2/models/digits/ready")
    assert connection.getresponse().status == 200


def test_log_and_metrics(serve, tmp_path):
    add(tmp_path, "digits", DIGITS)
    server = serve("--verify-every", "2")
    client = server.client()
    for _ in range(4):
        client.infer("digits", [tensor("image", images(2), "FP32")], request_id="a\"b")
    ask(server, "GET", "/v2/models/digits/infer")
    entries = server.requests(path="/v2/models/digits/infer", status=200)
    assert len(entries) == 4
    assert entries[0]["id"] == 'a"b' and entries[0]["version"] == 1 and entries[0]["client"] == "127.0.0.1"
    assert 0 < entries[0]["compute_milliseconds"] <= entries[0]["milliseconds"]
    (refused,) = server.requests(status=405)
    assert "expected POST, got GET" in refused["error"]
    page = ask(server, "GET", "/metrics")[1].decode()
    labels = 'model="digits",version="1"'
    for line in [
        "# TYPE sardonyx_compute_seconds histogram",
        f'sardonyx_requests_total{{{labels},outcome="answered"}} 4',
        f'sardonyx_compute_seconds_bucket{{{labels},le="60.0"}} 4',
        f'sardonyx_compute_seconds_bucket{{{labels},le="+Inf"}} 4',
        f"sardonyx_compute_seconds_count{{{labels}}} 4", f"sardonyx_queue_seconds_count{{{labels}}} 4",
        f'sardonyx_verified_runs_total{{{labels},verdict="agreed"}} 2',
        'sardonyx_http_responses_total{status="405"} 1',
    ]:
        assert line in page.splitlines(), page


def test_usage():
    for options, sentence in [
        (["--port", "70000"], "--port: expected 0 to 65535, got 70000"),
        (["--tls-key", "k"], "expected both of --tls-certificate and --tls-key, or none"),
    ]:
        said = subprocess.run([BINARY, "folder", *options], capture_output=True, text=True)
        assert said.returncode == 64 and sentence in said.stderr
    said = subprocess.run([BINARY, "/nowhere"], capture_output=True, text=True)
    assert said.returncode == 1 and "/nowhere: no such folder" in said.stderr


# Under load

def test_many_clients(serve, tmp_path):
    """Thirty-two clients at once: no answer is lost, and each is the command's."""
    seconds = float(os.environ.get("SARDONYX_LOAD_SECONDS", "60"))
    folder = tmp_path / "repository"
    add(folder, "digits", DIGITS, config=BATCHED)
    server = serve(folder=folder)
    array = images(64, seed=5)
    expected = by_command(array, tmp_path)
    end = time.monotonic() + seconds

    def work(number):
        client = server.client()
        generator = numpy.random.default_rng(number)
        count = worst = 0
        while time.monotonic() < end:
            rows = generator.integers(0, 64, generator.integers(1, 5))
            binary = bool(generator.integers(2))
            result = client.infer(
                "digits", [tensor("image", array[rows], "FP32", binary)],
                outputs=[output("probabilities", binary)])
            worst = max(worst, float(abs(result.as_numpy("probabilities") - expected[rows]).max()))
            count += 1
        return count, worst

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        counts = list(pool.map(work, range(32)))
    total = sum(count for count, _ in counts)
    print(f"{total} requests of 32 clients, {total / seconds:.0f} a second; "
          f"largest difference {max(worst for _, worst in counts):.3g}")
    assert all(count > 0 for count, _ in counts)
    assert max(worst for _, worst in counts) <= 1e-6
    deadline = time.monotonic() + 10
    while len(server.requests(model="digits", status=200)) < total and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(server.requests(model="digits", status=200)) == total
    (stats,) = server.client().get_inference_statistics("digits")["model_stats"]
    assert stats["inference_stats"]["success"]["count"] == total
    assert stats["inference_stats"]["fail"]["count"] == 0
    assert server.process.poll() is None
