"""A server for the client, photographs, and the client run on them."""

from __future__ import annotations

from subprocess import CompletedProcess
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.deploy.program import client
from tests.deploy.stand_in import Doubler, Serving, serve_rest


@pytest.fixture(scope="session")
def signature(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "x4-feature" / "1"
    model = Doubler()
    tf.saved_model.save(model, folder, signatures={"serve_bytes": model.serve_bytes})
    loaded = tf.saved_model.load(folder)
    function = loaded.signatures["serve_bytes"]
    function.owner = loaded  # lives as long as its function
    return function


@pytest.fixture
def server(request, signature):
    """Returns a running server with `flags` for the client, and its `serving` to be tampered with.

    An indirect parameter limits the bytes of requests.
    """
    serving = Serving(signature)
    serving.limit = getattr(request, "param", serving.limit)
    port, stop = serve_rest(serving)
    flags = ["--server", "127.0.0.1", "--port", port]
    yield SimpleNamespace(serving=serving, port=port, flags=flags)
    stop()


@pytest.fixture
def folder(tmp_path, rng):
    for name, size in (("a.png", (5, 7)), ("b.jpg", (16, 8)), ("c.bmp", (9, 9))):
        pixels = rng.integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    return tmp_path


@pytest.fixture
def run(folder, capsys, monkeypatch):
    """Returns a function that runs the client in this process, in the folder of photographs."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(client, "FIRST_WAIT", 0.02)

    def call(*arguments) -> CompletedProcess:
        try:
            status = client.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = stop.code
        return CompletedProcess(arguments, status, *capsys.readouterr())

    return call
