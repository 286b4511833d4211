"""Enlarges photographs on a TF Serving server: `python deploy/client.py photo.png`.

One file that needs Python 3.10 and nothing else. Image files travel as they are, by REST, to the
signature `serve_bytes`, and PNG files come back.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import json
import os
import random
import re
import socket
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None

SIGNATURE, INPUT, OUTPUT = "serve_bytes", "image_bytes", "sr_bytes"
ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}  # what the server decodes
FIRST_WAIT, LONGEST_WAIT = 0.5, 20.0  # seconds between tries
LIMITS = (("port", 1, 65535), ("version", 0, 2**62), ("retries", 0, 100), ("batch", 1, 1000))
NOISE = (
    r"Graph execution error:|Detected at node .*|<stack traces .*|\[\[\{\{.*?\}\}\]\]|\[Op:.*?\]"
)
PNG = b"\x89PNG\r\n\x1a\n"
MEANINGS = {  # of HTTP's statuses, and what helps; TF Serving says 400 for all that it refuses
    400: ("refused", "split"),
    404: ("no such model or version there", "stop"),
    408: ("no answer in time, see --timeout", "retry"),
    413: ("message too large; the server or its proxy has to allow more", "split"),
    429: ("out of memory or over a limit", "retry", "split"),
    502: ("cannot be reached or is too busy", "retry", "stop"),
}
MEANINGS |= {503: MEANINGS[502], 504: MEANINGS[408]}
Predict = Callable[[list[bytes]], list[bytes]]  # image files to PNG files, or ServingError


class ServingError(Exception):
    """A request that failed, the reason on one line.

    `helps` has "retry" if the same request may pass later, "split" if a part of its images may
    pass, and "stop" if no other request will pass either.
    """

    def __init__(self, reason: str, *helps: str) -> None:
        super().__init__(printable(" ".join(reason.split()))[:400])
        self.helps = helps


def printable(text: str) -> str:
    """Returns a text without what a server, or a file's name, could tell the terminal to do."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def failure(status: int, details: str) -> ServingError:
    """Tells from HTTP's status, and the server's own words, what can be done."""
    meaning, *helps = MEANINGS.get(status, (f"HTTP {status}",))
    return ServingError(f"{meaning}: {re.sub(NOISE, '', details)}", *helps)


def request_body(images: list[bytes]) -> bytes:
    """Returns the JSON body that asks for image files to be enlarged."""
    rows = [{INPUT: {"b64": base64.b64encode(image).decode()}} for image in images]
    return json.dumps({"signature_name": SIGNATURE, "instances": rows}).encode()


def files_in(body: bytes, count: int) -> list[bytes]:
    """Returns the `count` PNG files in a JSON answer.

    Rows are `{"b64": ...}`, or `{"sr_bytes": {"b64": ...}}` where a signature has more outputs.
    """
    try:
        rows = json.loads(body)["predictions"]
        files = [base64.b64decode(row.get(OUTPUT, row)["b64"], validate=True) for row in rows]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise ServingError(f"expected rows of PNG files, received {body[:80]!r}") from None
    if len(files) != count or not all(file.startswith(PNG) for file in files):
        raise ServingError(f"expected {count} PNG files, received {len(files)} strings")
    return files


class Deadline:
    """Ends a request when its time is over, however busily the server sends a byte a second.

    Args:
        seconds: from the beginning of the `with` block to its end.
    """

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def _end(self) -> None:
        self.over = True
        if self._socket:
            with contextlib.suppress(OSError):  # it is closed already
                self._socket.shutdown(socket.SHUT_RDWR)

    def opener(self) -> urllib.request.OpenerDirector:
        """Returns what opens URLs by connections that end with the time."""
        deadline = self

        class Connection(http.client.HTTPConnection):
            def connect(self) -> None:
                super().connect()
                deadline._socket = self.sock
                if deadline.over:
                    raise TimeoutError

        class Handler(urllib.request.HTTPHandler):
            def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
                return self.do_open(Connection, request)

        return urllib.request.build_opener(Handler)

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


def over_rest(address: str, model: str, version: int | None, timeout: float) -> Predict:
    """Returns what sends image files to a model; an answer may take `timeout` seconds in all."""
    chosen = "" if version is None else f"/versions/{version}"
    url = f"http://{address}/v1/models/{urllib.parse.quote(model, '')}{chosen}:predict"

    def predict(images: list[bytes]) -> list[bytes]:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, request_body(images), headers)
        with Deadline(timeout) as deadline:
            try:
                with deadline.opener().open(request, timeout=timeout) as answer:
                    body = answer.read()
                status, details = 200, ""
            except urllib.error.HTTPError as error:
                status, details = error.code, _details(error)
            except (OSError, http.client.HTTPException, ValueError) as error:
                reason = error.reason if isinstance(error, urllib.error.URLError) else error
                status, details = 408 if isinstance(reason, TimeoutError) else 503, str(reason)
        if deadline.over:
            status, details = 408, f"{timeout:g} seconds are over"
        if status != 200:
            raise failure(status, details)
        return files_in(body, len(images))

    return predict


def _details(error: urllib.error.HTTPError) -> str:
    try:
        with error:
            return str(json.loads(error.read(10_000))["error"])
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError, RecursionError):
        return str(error.reason)


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
    line = printable(line)
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
    add("--port", type=int, default=8501, help="of its REST (8501)")
    add("--model", default="x4-feature", help="its name there (x4-feature)")
    add("--version", type=int, help="of the model (newest)")
    add("--timeout", type=float, default=120.0, help="seconds that an answer may take (120)")
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
    where = f"{arguments.server}:{arguments.port}"
    predict = over_rest(where, arguments.model, arguments.version, arguments.timeout)
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
