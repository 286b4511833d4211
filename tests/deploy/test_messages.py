"""The messages of deploy/client.py: JSON, and gRPC's by the real protos."""

from __future__ import annotations

import base64
import json

import pytest
import tensorflow as tf

from tests.deploy.program import client, png
from tests.deploy.stand_in import NEEDS_GRPC


def test_rest_request():
    images = [b"\x00\xff one", b"", "fotografía".encode()]
    request = json.loads(client.rest_request(images))
    assert request["signature_name"] == "serve_bytes"
    rows = [row.pop("image_bytes") for row in request["instances"]]
    assert not any(request["instances"])
    assert [base64.b64decode(row["b64"], validate=True) for row in rows] == images
    assert all(list(row) == ["b64"] for row in rows)


def test_rest_response_with_one_output_and_with_several():
    files = [png(), png((1, 1))]
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

    files = [png(), png((1, 1))]
    response = predict_pb2.PredictResponse()
    with pytest.raises(client.ServingError, match="expected the output sr_bytes"):
        client.grpc_response(response, 2)
    response.outputs["sr_bytes"].CopyFrom(tf.make_tensor_proto(files))
    received = predict_pb2.PredictResponse.FromString(response.SerializeToString())
    assert client.grpc_response(received, 2) == files
    with pytest.raises(client.ServingError, match="expected 3 PNG files, received 2"):
        client.grpc_response(received, 3)
