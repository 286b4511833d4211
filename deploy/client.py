"""Enlarges photographs on a TF Serving server: `python deploy/client.py photo.png`.

One file that needs Python 3.10 and nothing else; `--protocol grpc` also needs
`pip install tensorflow-serving-api`. Image files travel as they are to the signature
`serve_bytes`, and PNG files come back.
"""

from __future__ import annotations

import argparse
import base64
import functools
import http.client
import importlib.util
import json
import os
import random
import re
import sys
import time
import types
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None

SIGNATURE, INPUT, OUTPUT = "serve_bytes", "image_bytes", "sr_bytes"
ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".gif"}  # what the server decodes
PORTS = {"rest": 8501, "grpc": 8500}
FIRST_WAIT, LONGEST_WAIT = 0.5, 20.0  # seconds between tries
LIMITS = (("port", 1, 65535), ("version", 0, 2**62), ("retries", 0, 100), ("batch", 1, 1000))
DT_STRING = 7  # of tensorflow.DataType
NOISE = (
    r"Graph execution error:|Detected at node .*|<stack traces .*|\[\[\{\{.*?\}\}\]\]|\[Op:.*?\]"
)
PNG = b"\x89PNG\r\n\x1a\n"
MEANINGS = {  # of gRPC status codes, and what helps
    "INVALID_ARGUMENT": ("refused", "split"),
    "FAILED_PRECONDITION": ("refused", "split"),
    "OUT_OF_RANGE": ("refused", "split"),
    "NOT_FOUND": ("no such model or version there", "stop"),
    "UNAVAILABLE": ("cannot be reached or is too busy", "retry", "stop"),
    "DEADLINE_EXCEEDED": ("no answer in time, see --timeout", "retry"),
    "RESOURCE_EXHAUSTED": ("out of memory or over a limit", "retry", "split"),
    "TOO_LARGE": ("message too large; the server or its proxy has to allow more", "split"),
}
STATUSES = {  # of HTTP, as gRPC calls them; TF Serving says 400 for all that it refuses
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    413: "TOO_LARGE",
    429: "RESOURCE_EXHAUSTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
Predict = Callable[[list[bytes]], list[bytes]]  # image files to PNG files, or ServingError


class ServingError(Exception):
    """A request that failed, the reason on one line.

    `helps` has "retry" if the same request may pass later, "split" if a part of its images may
    pass, and "stop" if no other request will pass either.
    """

    def __init__(self, reason: str, *helps: str) -> None:
        super().__init__(" ".join(reason.split())[:400])
        self.helps = helps


def failure(code: str, details: str) -> ServingError:
    """Tells from a status code, and the server's own words, what can be done."""
    if code == "RESOURCE_EXHAUSTED" and "larger than max" in details:
        code = "TOO_LARGE"
    meaning, *helps = MEANINGS.get(code, (code,))
    return ServingError(f"{meaning}: {re.sub(NOISE, '', details)}", *helps)


def rest_request(images: list[bytes]) -> bytes:
    """Returns the JSON body that asks for image files to be enlarged."""
    rows = [{INPUT: {"b64": base64.b64encode(image).decode()}} for image in images]
    return json.dumps({"signature_name": SIGNATURE, "instances": rows}).encode()


def rest_response(body: bytes, count: int) -> list[bytes]:
    """Returns the `count` PNG files in a JSON answer.

    Rows are `{"b64": ...}`, or `{"sr_bytes": {"b64": ...}}` where a signature has more outputs.
    """
    try:
        rows = json.loads(body)["predictions"]
        files = [base64.b64decode(row.get(OUTPUT, row)["b64"], validate=True) for row in rows]
    except (ValueError, LookupError, TypeError, AttributeError):
        raise ServingError(f"expected rows of PNG files, received {body[:80]!r}") from None
    return _checked(files, count)


def grpc_request(model: str, version: int | None, images: list[bytes]) -> PredictRequest:
    """Returns the message that asks for image files to be enlarged."""
    request = _messages().PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = SIGNATURE
    if version is not None:
        request.model_spec.version.value = version
    tensor = request.inputs[INPUT]
    tensor.dtype = DT_STRING
    tensor.tensor_shape.dim.add(size=len(images))
    tensor.string_val.extend(images)
    return request


def grpc_response(response: PredictResponse, count: int) -> list[bytes]:
    """Returns the `count` PNG files in an answer."""
    if OUTPUT not in response.outputs:
        raise ServingError(f"expected the output {OUTPUT}, received {sorted(response.outputs)}")
    return _checked(list(response.outputs[OUTPUT].string_val), count)


def _checked(files: list[bytes], count: int) -> list[bytes]:
    if len(files) != count or not all(file.startswith(PNG) for file in files):
        raise ServingError(f"expected {count} PNG files, received {len(files)} strings")
    return files


@functools.cache
def _messages() -> Any:
    """Imports the gRPC messages, but not TensorFlow, in whose folder some of them lie.

    An empty package with that folder takes TensorFlow's place meanwhile, so that the client
    starts in a fraction of a second.
    """
    stand_in = None
    spec = importlib.util.find_spec("tensorflow") if "tensorflow" not in sys.modules else None
    if spec and spec.submodule_search_locations:
        stand_in = types.ModuleType("tensorflow")
        stand_in.__path__ = list(spec.submodule_search_locations)
        sys.modules["tensorflow"] = stand_in
    try:
        from tensorflow_serving.apis import predict_pb2
    finally:
        if stand_in:
            del sys.modules["tensorflow"]
    return predict_pb2


def over_rest(address: str, model: str, version: int | None, timeout: float) -> Predict:
    """Returns what sends image files to a model by REST; `timeout` in seconds."""
    chosen = "" if version is None else f"/versions/{version}"
    url = f"http://{address}/v1/models/{urllib.parse.quote(model, '')}{chosen}:predict"

    def predict(images: list[bytes]) -> list[bytes]:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, rest_request(images), headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                body = answer.read()
        except urllib.error.HTTPError as error:
            status = STATUSES.get(error.code, f"HTTP {error.code}")
            raise failure(status, _reason(error)) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            late = isinstance(reason, TimeoutError)
            raise failure("DEADLINE_EXCEEDED" if late else "UNAVAILABLE", str(reason)) from None
        return rest_response(body, len(images))

    return predict


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        with error:
            return str(json.loads(error.read(10_000))["error"])
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
        return str(error.reason)


def over_grpc(address: str, model: str, version: int | None, timeout: float) -> Predict:
    """Returns what sends image files to a model by gRPC; `timeout` in seconds.

    Raises:
        ImportError: if gRPC or its messages are not installed.
    """
    import grpc

    # Without these an answer ends at 4 MiB, less than a photograph.
    lengths = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
    call = grpc.insecure_channel(address, lengths).unary_unary(
        "/tensorflow.serving.PredictionService/Predict",
        request_serializer=_messages().PredictRequest.SerializeToString,
        response_deserializer=_messages().PredictResponse.FromString,
    )

    def predict(images: list[bytes]) -> list[bytes]:
        try:
            response = call(grpc_request(model, version, images), timeout=timeout)
        except grpc.RpcError as error:
            raise failure(error.code().name, error.details() or "") from None
        return grpc_response(response, len(images))

    return predict


def send(predict: Predict, images: list[bytes], retries: int, where: str) -> list[bytes]:
    """Sends one request, again and again while that may help, at growing random intervals.

    Raises:
        ServingError: if it failed for good.
    """
    wait = FIRST_WAIT
    while True:
        try:
            return predict(images)
        except ServingError as error:
            if "retry" not in error.helps or retries == 0:
                raise
            pause = wait * random.uniform(0.5, 1.0)
            _complain(f"{where}: {error}; next try in {pause:.1f} s")
        time.sleep(pause)
        retries, wait = retries - 1, min(2 * wait, LONGEST_WAIT)


def enlarge(
    predict: Predict, images: list[bytes], retries: int, where: str
) -> list[bytes | ServingError]:
    """Returns the enlarged file, or what is wrong with it, for each image file.

    Where images are refused together, each is sent by itself, to find the culprit.

    Raises:
        ServingError: if there is no use in sending anything else.
    """
    try:
        return list(send(predict, images, retries, where))
    except ServingError as error:
        if "stop" in error.helps:
            raise
        if "split" not in error.helps or len(images) == 1:
            return [error] * len(images)
    return [enlarge(predict, [image], retries, where)[0] for image in images]


def write(path: Path, data: bytes) -> None:
    """Writes a file, all of it or nothing: beside its place, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{os.getpid()}.{path.name[-100:]}")
    try:
        beside.write_bytes(data)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _jobs(source: Path, output: Path | None) -> Iterator[tuple[Path, Path]]:
    """Yields (source, target) for a file, or for each image file in a folder."""
    if source.is_dir():
        root = output or source.with_name(f"{source.resolve().name}_sr")
        for path in sorted(source.rglob("*")):
            inside = path.relative_to(source)
            hidden = any(part.startswith(".") for part in inside.parts)
            if path.suffix.lower() in ENDINGS and path.is_file() and not hidden:
                yield path, root / inside.with_name(f"{path.stem}_sr.png")
    elif output and output.suffix.lower() == ".png" and not output.is_dir():
        yield source, output
    else:
        yield source, (output or source.parent) / f"{source.stem}_sr.png"


def _clash(jobs: list[tuple[Path, Path]]) -> str | None:
    sources = {source.resolve() for source, _ in jobs}
    targets: dict[Path, Path] = {}
    for source, target in jobs:
        if target.resolve() in sources:
            return f"{target}: is an input; name another output with -o"
        other = targets.setdefault(target.resolve(), source)
        if other is not source:
            return f"{other} and {source} would both be written to {target}"
    return None


def _print(line: str, file: TextIO | None = None) -> None:
    print(line, file=file, flush=True) if tqdm is None else tqdm.write(line, file)


def _complain(line: str) -> None:
    _print(f"client.py: {line}", sys.stderr)


def _run(
    jobs: list[tuple[Path, Path]], predict: Predict, batch: int, retries: int, where: str
) -> int:
    """Does the jobs, `batch` at a time, and returns how many of them succeeded."""
    done = 0
    bar = tqdm(total=len(jobs), unit="image", disable=len(jobs) < 2) if tqdm else None
    for first in range(0, len(jobs), batch):
        read: dict[tuple[Path, Path], bytes] = {}
        for source, target in jobs[first : first + batch]:
            try:
                read[source, target] = source.read_bytes()
            except OSError as error:
                _complain(f"{source}: cannot be read: {error.strerror}")
        try:
            results = enlarge(predict, list(read.values()), retries, where) if read else []
        except ServingError as error:
            left = len(read) + len(jobs[first + batch :])
            _complain(f"{where}: {error} ({left} of {len(jobs)} images not done)")
            break
        for (source, target), result in zip(read, results, strict=True):
            if isinstance(result, ServingError):
                _complain(f"{source}: {result}")
                continue
            try:
                write(target, result)
            except OSError as error:
                _complain(f"{target}: cannot be written: {error.strerror}")
                continue
            done += 1
            _print(str(target))
        if bar is not None:
            bar.update(len(jobs[first : first + batch]))
    if bar is not None:
        bar.close()
    return done


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="client.py",
        description="Enlarge photographs on a TF Serving server. photo.jpg becomes photo_sr.png "
        "beside it, a folder becomes folder_sr.",
    )
    add = parser.add_argument
    add("inputs", nargs="+", type=Path, help="image files and folders of them")
    add("-o", "--output", type=Path, help=".png file, or folder, to write to")
    add("--server", default="localhost", help="its name or address (localhost)")
    add("--port", type=int, help="8501 for REST, 8500 for gRPC")
    add("--protocol", choices=PORTS, default="rest")
    add("--model", default="x4-feature", help="its name there (x4-feature)")
    add("--version", type=int, help="of the model (newest)")
    add("--timeout", type=float, default=120.0, help="seconds to wait for an answer (120)")
    add("--retries", type=int, default=4, help="further tries where one may help (4)")
    add("--batch", type=int, default=4, help="images in one request (4)")
    return parser


def main(argv: list[str] | None = None) -> int:
    parser = _parser()
    arguments = parser.parse_args(argv)
    for name, least, most in (*LIMITS, ("timeout", 0.001, 86_400)):
        value = getattr(arguments, name)
        if value is not None and not least <= value <= most:
            parser.error(f"argument --{name}: expected {least} to {most}, received {value}")
    if not arguments.server or set(arguments.server) & set("/@? "):
        parser.error(f"argument --server: expected a name, received {arguments.server!r}")
    where = f"{arguments.server}:{arguments.port or PORTS[arguments.protocol]}"
    protocol = over_grpc if arguments.protocol == "grpc" else over_rest
    try:
        predict = protocol(where, arguments.model, arguments.version, arguments.timeout)
    except Exception as error:  # a protobuf of the wrong age raises a kind of its own
        parser.error(f"--protocol grpc: {error}; try: pip install tensorflow-serving-api")
    jobs: list[tuple[Path, Path]] = []
    empty = 0
    for given in arguments.inputs:
        try:
            found = list(_jobs(given, arguments.output))
        except OSError as error:
            parser.error(f"{given}: {error.strerror}")
        if not found:
            _complain(f"{given}: expected images in this folder, found none")
            empty += 1
        jobs += found
    if wrong := _clash(jobs):
        parser.error(wrong)
    done = _run(jobs, predict, arguments.batch, arguments.retries, where)
    return 1 if empty or done < len(jobs) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
