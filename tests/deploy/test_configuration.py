"""What the server is configured with, and what docs/serving.md has people type."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import pytest
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)
from PIL import Image

from tests.conftest import ROOT
from tests.deploy.program import DEPLOY, client


def test_models_config():
    pytest.importorskip("tensorflow_serving", reason="tensorflow-serving-api is not installed")
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
def test_curl_as_documented(server, folder):
    documented = (ROOT / "docs" / "serving.md").read_text()
    block = re.search(r"<!-- serve_bytes -->\n```sh\n(.*?)```", documented, re.DOTALL)[1]
    (folder / "a.png").rename(folder / "photo.png")
    command = ["bash", "-e", "-c", block.replace("localhost:8501", f"127.0.0.1:{server.port}")]
    env = {**os.environ, "no_proxy": "127.0.0.1"}
    subprocess.run(command, cwd=folder, env=env, check=True, timeout=30)
    with Image.open(folder / "photo_sr.png") as image:
        assert image.size == (14, 10)
