"""The messages of deploy/client.py."""

from __future__ import annotations

import base64
import json

import pytest

from tests.deploy.program import client, png


def test_request():
    images = [b"\x00\xff one", b"", "fotografía".encode()]
    request = json.loads(client.request_body(images))
    assert request["signature_name"] == "serve_bytes"
    rows = [row.pop("image_bytes") for row in request["instances"]]
    assert not any(request["instances"])
    assert [base64.b64decode(row["b64"], validate=True) for row in rows] == images
    assert all(list(row) == ["b64"] for row in rows)


def test_answer_with_one_output_and_with_several():
    files = [png(), png((1, 1))]
    rows = [{"b64": base64.b64encode(file).decode()} for file in files]
    body = json.dumps({"predictions": rows}).encode()
    assert client.files_in(body, 2) == files
    body = json.dumps({"predictions": [{"sr_bytes": row, "other": 1} for row in rows]}).encode()
    assert client.files_in(body, 2) == files


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
        b"[" * 100_000,
        b'{"predictions": ' + b"[" * 100_000,
    ],
)
def test_answer_that_is_none(body):
    with pytest.raises(client.ServingError, match="expected"):
        client.files_in(body, 1)
