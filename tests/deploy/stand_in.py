"""A stand-in for TF Serving: its statuses, JSON and messages."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import tensorflow as tf


class Doubler(tf.Module):
    """A model with the signature that the client asks for."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def serve_bytes(self, image_bytes):
        return {"sr_bytes": tf.map_fn(self._double, image_bytes, fn_output_signature=tf.string)}

    @staticmethod
    def _double(file):
        image = tf.io.decode_image(file, channels=3, expand_animations=False)
        sr = tf.image.resize(image[None], 2 * tf.shape(image)[:2], "nearest")[0]
        return tf.io.encode_png(sr)


class Serving:
    """What TF Serving answers to a request, whatever it came by."""

    def __init__(self, signature) -> None:
        self.signature = signature
        self.batches: list[int] = []
        self.refusals: list[int] = []  # statuses of the next answers
        self.delay = 0.0  # seconds
        self.limit = 2**31  # bytes of a request

    def answer(self, model, version, signature, images):
        """Returns (200, PNG files), or another status and a message."""
        self.batches.append(len(images))
        time.sleep(self.delay)
        if self.refusals:
            return self.refusals.pop(0), "The batch scheduling queue is full"
        if model != "x4-feature" or version not in (None, 1):
            servable = f"Latest({model})" if version is None else f"Specific({model}, {version})"
            return 404, f"Servable not found for request: {servable}"
        if signature != "serve_bytes":
            return 400, f'Serving signature key "{signature}" not found.'
        try:
            return 200, self.signature(image_bytes=tf.constant(images))["sr_bytes"].numpy()
        except tf.errors.InvalidArgumentError as error:
            return 400, error.message


class RestHandler(BaseHTTPRequestHandler):
    serving: Serving

    def do_GET(self):
        known = self.path == "/v1/models/x4-feature"
        state = {"model_version_status": [{"version": "1", "state": "AVAILABLE"}]}
        self._send(200 if known else 404, state if known else {"error": "not found"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if len(body) > self.serving.limit:
            self.send_error(413)
            return
        path = re.fullmatch(r"/v1/models/([^/:]+)(?:/versions/(\d+))?:predict", self.path)
        request = json.loads(body)
        rows = [row.get("image_bytes", row)["b64"] for row in request["instances"]]
        status, result = self.serving.answer(
            path[1],
            int(path[2]) if path[2] else None,
            request["signature_name"],
            [base64.b64decode(row, validate=True) for row in rows],
        )
        if status == 200:
            rows = [{"b64": base64.b64encode(file).decode()} for file in result]
            self._send(200, {"predictions": rows})
        else:
            self._send(status, {"error": result})

    def _send(self, status, answer):
        body = json.dumps(answer, indent=4).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):  # the client may wait no longer
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def serve_rest(serving):
    handler = type("Handler", (RestHandler,), {"serving": serving})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def stop():
        server.shutdown()
        server.server_close()

    return server.server_address[1], stop
