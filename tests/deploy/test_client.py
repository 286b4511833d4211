"""deploy/client.py: its messages by the real protos, its manners against servers of two kinds.

The servers here answer as TF Serving does (statuses, JSON, messages), with a real SavedModel that
doubles images.
"""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)
from PIL import Image

from tests.conftest import ROOT
from tests.deploy.stand_in import NEEDS_GRPC, Doubler, Serving, serve_grpc, serve_rest

DEPLOY = ROOT / "deploy"
PROTOCOLS = ("rest", "grpc")


def _load():
    spec = importlib.util.spec_from_file_location("client", DEPLOY / "client.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


client = _load()


@pytest.fixture(scope="module")
def signature(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "x4-feature" / "1"
    model = Doubler()
    tf.saved_model.save(model, folder, signatures={"serve_bytes": model.serve_bytes})
    loaded = tf.saved_model.load(folder)
    function = loaded.signatures["serve_bytes"]
    function.owner = loaded  # lives as long as its function
    return function


@pytest.fixture(params=PROTOCOLS)
def server(request, signature):
    """Returns a running server with `flags` for the client, and its `serving` to be tampered with.

    An indirect parameter (protocol, bytes) limits the size of requests.
    """
    protocol, limit = request.param if isinstance(request.param, tuple) else (request.param, None)
    serving = Serving(signature)
    serving.limit = limit or min(serving.limit, 2**31 - 1)
    port, stop = (serve_rest if protocol == "rest" else serve_grpc)(serving)
    flags = ["--server", "127.0.0.1", "--port", port, "--protocol", protocol]
    yield SimpleNamespace(serving=serving, port=port, protocol=protocol, flags=flags)
    stop()


@pytest.fixture
def folder(tmp_path, rng):
    for name, size in (("a.png", (5, 7)), ("b.jpg", (16, 8)), ("c.webp", (9, 9))):
        pixels = rng.integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "c.webp").rename(tmp_path / "c.gif")
    Image.open(tmp_path / "c.gif").convert("P").save(tmp_path / "c.gif", "GIF")
    return tmp_path


def _run(folder, *arguments, python=(), **env):
    outside = {"no_proxy": "127.0.0.1", **env}
    return subprocess.run(
        [sys.executable, *python, DEPLOY / "client.py", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **outside},
        capture_output=True,
        text=True,
        timeout=60,
    )


def _files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def _complaints(result):
    assert "Traceback" not in result.stderr
    return [line for line in result.stderr.splitlines() if line.startswith("client.py:")]


def _png(size=(2, 3)):
    file = io.BytesIO()
    Image.new("RGB", size).save(file, "PNG")
    return file.getvalue()


# Messages.


def test_rest_request():
    images = [b"\x00\xff one", b"", "fotografía".encode()]
    request = json.loads(client.rest_request(images))
    assert request["signature_name"] == "serve_bytes"
    rows = [row.pop("image_bytes") for row in request["instances"]]
    assert not any(request["instances"])
    assert [base64.b64decode(row["b64"], validate=True) for row in rows] == images
    assert all(list(row) == ["b64"] for row in rows)


def test_rest_response_with_one_output_and_with_several():
    files = [_png(), _png((1, 1))]
    rows = [{"b64": base64.b64encode(file).decode()} for file in files]
    body = json.dumps({"predictions": rows}).encode()
    assert client.rest_response(body, 2) == files
    body = json.dumps({"predictions": [{"sr_bytes": row, "other": 1} for row in rows]}).encode()
    assert client.rest_response(body, 2) == files


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"predictions": 1}',
        b'{"predictions": [1]}',
        b'{"predictions": [{"b64": 1}]}',
        b'{"predictions": [{"b64": "a"}]}',
        b'{"predictions": [{"b64": "bm8gcG5n"}]}',
        b'{"predictions": []}',
    ],
)
def test_rest_response_that_is_none(body):
    with pytest.raises(client.ServingError, match="expected"):
        client.rest_response(body, 1)


@pytest.mark.parametrize("version", [None, 3])
def test_grpc_request(version):
    pytest.importorskip("tensorflow_serving", reason=NEEDS_GRPC)
    from tensorflow_serving.apis import predict_pb2

    images = [b"\x00\xff one", b"", b"x" * 100_000]
    sent = client.grpc_request("x4-feature", version, images).SerializeToString()
    request = predict_pb2.PredictRequest.FromString(sent)
    assert request.model_spec.name == "x4-feature"
    assert request.model_spec.signature_name == "serve_bytes"
    assert request.model_spec.HasField("version") == (version is not None)
    assert request.model_spec.version.value == (version or 0)
    assert list(request.inputs) == ["image_bytes"]
    array = tf.make_ndarray(request.inputs["image_bytes"])
    assert array.shape == (3,)
    assert list(array) == images


def test_grpc_response():
    pytest.importorskip("tensorflow_serving", reason=NEEDS_GRPC)
    from tensorflow_serving.apis import predict_pb2

    files = [_png(), _png((1, 1))]
    response = predict_pb2.PredictResponse()
    with pytest.raises(client.ServingError, match="expected the output sr_bytes"):
        client.grpc_response(response, 2)
    response.outputs["sr_bytes"].CopyFrom(tf.make_tensor_proto(files))
    received = predict_pb2.PredictResponse.FromString(response.SerializeToString())
    assert client.grpc_response(received, 2) == files
    with pytest.raises(client.ServingError, match="expected 3 PNG files, received 2"):
        client.grpc_response(received, 3)


# Tries.


def _sender(*codes):
    """Returns a `predict` that fails with these codes in turn, and the images of its requests."""
    left, requests = list(codes), []

    def predict(images):
        requests.append(images)
        if left:
            raise client.failure(left.pop(0), "said the\nserver")
        return images

    return predict, requests


@pytest.mark.parametrize("code", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"])
def test_tries_wait_longer_and_longer_and_end(monkeypatch, code):
    pauses = []
    monkeypatch.setattr(client.time, "sleep", pauses.append)
    monkeypatch.setattr(client.random, "uniform", random.Random(0).uniform)
    predict, requests = _sender(*[code] * 8)
    assert client.send(predict, [b"a"], 8, "server") == [b"a"]
    assert len(requests) == 9
    ceilings = [0.5, 1, 2, 4, 8, 16, 20, 20]
    assert all(c / 2 <= p <= c for p, c in zip(pauses, ceilings, strict=True))
    assert len({p / c for p, c in zip(pauses, ceilings, strict=True)}) == 8
    predict, requests = _sender(*[code] * 8)
    with pytest.raises(client.ServingError, match="said the server"):
        client.send(predict, [b"a"], 2, "server")
    assert len(requests) == 3


@pytest.mark.parametrize(
    "code", ["INVALID_ARGUMENT", "FAILED_PRECONDITION", "NOT_FOUND", "INTERNAL", "HTTP 500"]
)
def test_what_is_refused_is_sent_once(code):
    predict, requests = _sender(code)
    with pytest.raises(client.ServingError):
        client.send(predict, [b"a"], 5, "server")
    assert len(requests) == 1


def test_images_refused_together_go_one_by_one():
    predict, requests = _sender("INVALID_ARGUMENT", "INVALID_ARGUMENT")
    bad, *good = client.enlarge(predict, [b"a", b"b", b"c"], 5, "server")
    assert isinstance(bad, client.ServingError)
    assert good == [b"b", b"c"]
    assert requests == [[b"a", b"b", b"c"], [b"a"], [b"b"], [b"c"]]


# Servers.


def test_files_and_folders(server, folder):
    (folder / "photos" / "inside").mkdir(parents=True)
    for name in ("photos/d.PNG", "photos/inside/e.png", "photos/.hidden.png"):
        (folder / name).write_bytes((folder / "a.png").read_bytes())
    (folder / "photos" / "notes.txt").write_text("not an image")
    before = _files(folder)
    result = _run(
        folder, "a.png", "b.jpg", "c.gif", "photos", "--batch", 2, "--version", 1, *server.flags
    )
    assert result.returncode == 0, result.stderr
    assert _complaints(result) == []
    written = ["a_sr.png", "b_sr.png", "c_sr.png", "photos_sr/d_sr.png"]
    written.append("photos_sr/inside/e_sr.png")
    assert sorted(set(_files(folder)) - set(before)) == written
    assert [line.replace("\\", "/") for line in result.stdout.split()] == written
    assert server.serving.batches == [2, 2, 1]
    with Image.open(folder / "a.png") as lr, Image.open(folder / "a_sr.png") as sr:
        assert np.array_equal(np.asarray(sr), np.asarray(lr).repeat(2, 0).repeat(2, 1))
    with Image.open(folder / "c_sr.png") as sr:
        assert sr.size == (18, 18)


def test_output_file_and_folder(server, folder):
    assert _run(folder, "a.png", "-o", "new/big.png", *server.flags).returncode == 0
    assert _run(folder, "a.png", "b.jpg", "-o", "out", *server.flags).returncode == 0
    made = ["new/big.png", "out/a_sr.png", "out/b_sr.png"]
    assert _files(folder) == ["a.png", "b.jpg", "c.gif", *made]


def test_broken_files_do_not_lose_the_others(server, folder):
    (folder / "broken.png").write_bytes(b"not an image")
    names = ["a.png", "broken.png", "missing.png", "b.jpg"]
    result = _run(folder, *names, *server.flags)
    assert result.returncode == 1
    missing, broken = _complaints(result)
    assert "missing.png: cannot be read" in missing
    assert "broken.png: refused: Unknown image file format" in broken
    assert not re.search(r"\[|error|node", broken)
    assert _files(folder) == ["a.png", "a_sr.png", "b.jpg", "b_sr.png", "broken.png", "c.gif"]
    assert server.serving.batches == [3, 1, 1, 1]


def test_a_busy_server_is_asked_again(server, folder):
    server.serving.refusals = ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]
    result = _run(folder, "a.png", *server.flags)
    assert result.returncode == 0, result.stderr
    assert server.serving.batches == [1, 1, 1]
    assert len(_complaints(result)) == 2
    assert "next try in" in _complaints(result)[0]
    assert "queue is full" in _complaints(result)[0]
    assert (folder / "a_sr.png").exists()


@pytest.mark.parametrize(
    ("flags", "servable"),
    [(["--model", "x9"], "Latest(x9)"), (["--version", 7], "Specific(x4-feature, 7)")],
)
def test_a_model_that_is_not_there(server, folder, flags, servable):
    result = _run(folder, "a.png", "b.jpg", "--batch", 1, *server.flags, *flags)
    assert result.returncode == 1
    (line,) = _complaints(result)
    assert "no such model or version there" in line
    assert servable in line
    assert "2 of 2 images not done" in line
    assert server.serving.batches == [1]


def test_no_answer_in_time(server, folder):
    server.serving.delay = 1.5
    flags = [*server.flags, "--timeout", 0.4, "--retries", 1]
    result = _run(folder, "a.png", *flags)
    assert result.returncode == 1
    again, line = _complaints(result)
    assert "next try in" in again
    assert "a.png: no answer in time" in line
    assert _files(folder) == ["a.png", "b.jpg", "c.gif"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_server(folder, protocol):
    if protocol == "grpc":
        pytest.importorskip("tensorflow_serving", reason=NEEDS_GRPC)
    with socket.socket() as taken:  # bound and deaf, so that nobody else listens there
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        flags = ["--server", "127.0.0.1", "--port", port, "--protocol", protocol]
        result = _run(folder, "a.png", "--retries", 1, *flags)
    assert result.returncode == 1
    _, line = _complaints(result)
    assert f"127.0.0.1:{port}: cannot be reached" in line
    assert "1 of 1 images not done" in line


@pytest.mark.parametrize("server", ["grpc"], indirect=True)
def test_answers_larger_than_grpc_takes_by_default(server, folder):
    large = _png() + bytes(5 * 2**20)
    server.serving.signature = lambda image_bytes: {"sr_bytes": tf.constant([large])}
    result = _run(folder, "a.png", *server.flags)
    assert result.returncode == 0, result.stderr
    assert (folder / "a_sr.png").read_bytes() == large


@pytest.mark.parametrize("server", [(p, 30_000) for p in PROTOCOLS], indirect=True)
def test_requests_larger_than_the_server_takes(server, folder):
    for name, padding in (("d.png", 15_000), ("e.png", 15_000), ("f.png", 50_000)):
        (folder / name).write_bytes(_png() + bytes(padding))
    result = _run(folder, "d.png", "e.png", "f.png", *server.flags)
    assert result.returncode == 1
    (line,) = _complaints(result)
    assert "f.png: message too large" in line
    assert (folder / "d_sr.png").exists()
    assert (folder / "e_sr.png").exists()
    assert server.serving.batches == [1, 1]


@pytest.mark.parametrize("server", ["rest"], indirect=True)
def test_rest_needs_the_standard_library_only(server, folder):
    result = _run(folder, "a.png", "b.jpg", *server.flags, python=["-I", "-S"])
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["a_sr.png", "b_sr.png"]
    assert result.stderr == ""


@pytest.mark.parametrize("module", ["grpc", "tensorflow_serving"])
def test_grpc_says_what_to_install(folder, module):
    (folder / f"{module}.py").write_text(f"raise ImportError('No module named {module}')")
    result = _run(folder, "a.png", "--protocol", "grpc", PYTHONPATH=str(folder))
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].endswith("try: pip install tensorflow-serving-api")


def test_grpc_does_without_tensorflow():
    pytest.importorskip("tensorflow_serving", reason=NEEDS_GRPC)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import client\n"
        "client.over_grpc('127.0.0.1:1', 'x', None, 1)\n"
        "assert 'tensorflow' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, DEPLOY], check=True, timeout=60)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required"),
        (["a.png", "--port", "0"], "expected 1 to 65535"),
        (["a.png", "--batch", "0"], "expected 1 to"),
        (["a.png", "--retries", "-1"], "expected 0 to"),
        (["a.png", "--timeout", "nan"], "--timeout: expected"),
        (["a.png", "--server", "http://localhost"], "expected a name"),
        (["a.png", "--protocol", "soap"], "invalid choice"),
        (["a.png", "-o", "a.png"], "is an input"),
        (["a.png", "./a.png"], "would both be written"),
        (["a.png", "b.jpg", "-o", "out.png"], "would both be written"),
    ],
)
def test_bad_usage(folder, arguments, message):
    result = _run(folder, *arguments)
    assert result.returncode == 2
    assert message in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert _files(folder) == ["a.png", "b.jpg", "c.gif"]


def test_an_output_that_cannot_be_written(server, folder):
    (folder / "a_sr.png").mkdir()
    result = _run(folder, "a.png", "b.jpg", *server.flags)
    assert result.returncode == 1
    (line,) = _complaints(result)
    assert "a_sr.png: cannot be written" in line
    assert _files(folder) == ["a.png", "b.jpg", "b_sr.png", "c.gif"]


def test_an_empty_folder(folder):
    (folder / "empty").mkdir()
    result = _run(folder, "empty")
    assert result.returncode == 1
    assert "found none" in result.stderr


# What the server is configured with.


def test_models_config():
    pytest.importorskip("tensorflow_serving", reason=NEEDS_GRPC)
    from tensorflow_serving.config import model_server_config_pb2

    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((DEPLOY / "models.config").read_text(), config)
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path) == ("x4-feature", "/models/x4-feature")
    assert model.model_platform == "tensorflow"
    assert model.model_version_policy.latest.num_versions == 2


def test_batching_config():
    # The package has no BatchingParameters; these are its first fields.
    names = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
    file = descriptor_pb2.FileDescriptorProto(name="batching.proto", syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    message = file.message_type.add(name="BatchingParameters")
    for number, name in enumerate(names, 1):
        wrapped = ".google.protobuf.Int64Value"
        message.field.add(name=name, number=number, label=1, type=11, type_name=wrapped)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName("BatchingParameters"))
    parameters = text_format.Parse((DEPLOY / "batching.config").read_text(), kind())
    assert all(getattr(parameters, name).value > 0 for name in names)
    defaults = client._parser().parse_args(["a.png"])
    assert defaults.batch <= parameters.max_batch_size.value


@pytest.mark.parametrize("server", ["rest"], indirect=True)
def test_healthcheck(server):
    compose = (DEPLOY / "docker-compose.yml").read_text()
    check = json.loads(re.search(r"test: (\[.*\])", compose)[1])
    assert check.pop(0) == "CMD"
    for port, status in ((server.port, 0), (1, 1)):
        command = [part.replace("8501", str(port)) for part in check]
        assert subprocess.run(command, capture_output=True, timeout=20).returncode == status
    unknown = [part.replace("8501", str(server.port)).replace("x4-f", "x9-f") for part in check]
    assert subprocess.run(unknown, capture_output=True, timeout=20).returncode == 1


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
@pytest.mark.parametrize("server", ["rest"], indirect=True)
def test_curl_as_documented(server, folder):
    documented = (ROOT / "docs" / "serving.md").read_text()
    block = re.search(r"<!-- serve_bytes -->\n```sh\n(.*?)```", documented, re.DOTALL)[1]
    (folder / "a.png").rename(folder / "photo.png")
    command = ["bash", "-e", "-c", block.replace("localhost:8501", f"127.0.0.1:{server.port}")]
    env = {**os.environ, "no_proxy": "127.0.0.1"}
    subprocess.run(command, cwd=folder, env=env, check=True, timeout=30)
    with Image.open(folder / "photo_sr.png") as image:
        assert image.size == (14, 10)
