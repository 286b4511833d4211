"""What serves the page in a browser, or makes a folder of it: `keras-perceptual web`."""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
import webbrowser
from collections.abc import Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

from keras_perceptual.errors import PerceptualError, reason
from keras_perceptual.export import page

__all__ = ["Handler", "main"]

_HOST = "127.0.0.1"
_PORT = 8000


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder, compressed where it is, with the headers that threads in a page need.

    Args:
        isolated: whether to send these headers; without them the page's service worker does.
    """

    protocol_version = "HTTP/1.1"
    timeout = 60
    extensions_map = {  # noqa: RUF012  what a system says of endings may be wrong
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".wasm": "application/wasm",
        ".json": "application/json",
        ".webmanifest": "application/manifest+json",
        ".tflite": "application/octet-stream",
        ".svg": "image/svg+xml",
    }

    def __init__(self, *arguments: Any, isolated: bool = True, **named: Any) -> None:
        self._isolated = isolated
        self._encoding: str | None = None
        super().__init__(*arguments, **named)

    def send_head(self) -> io.BytesIO | BinaryIO | None:
        """Answers with the compressed file beside the one that is asked for, if there is one."""
        self._encoding = None
        path = Path(self.translate_path(self.path))
        beside = path.with_name(f"{path.name}.gz")
        if "gzip" in self.headers.get("Accept-Encoding", "") and beside.is_file():
            self._encoding, self._type = "gzip", self.guess_type(str(path))
            asked, self.path = self.path, f"{self.path.partition('?')[0]}.gz"
            try:
                return super().send_head()
            finally:
                self.path = asked
        return super().send_head()

    def guess_type(self, path: Any) -> str:
        """Returns the type of what is inside a compressed file."""
        return (
            self._type if self._encoding and str(path).endswith(".gz") else super().guess_type(path)
        )

    def end_headers(self) -> None:
        if self._encoding:
            self.send_header("Content-Encoding", self._encoding)
        self.send_header("Vary", "Accept-Encoding")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        if self._isolated:
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def list_directory(self, path: Any) -> None:
        """Shows no folders."""
        self.send_error(404)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing of what goes well."""

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):  # whoever asked has gone
            super().handle()


def main(argv: Sequence[str] | None = None, prog: str = "web") -> int:
    """Does what the arguments say; returns the exit status."""
    parser = _parser(prog)
    arguments = parser.parse_args(argv)
    if (arguments.action == "build") != bool(arguments.output):
        parser.error("expected build with -o FOLDER, which goes with build alone")
    try:
        if arguments.action == "build":
            size = page.build(arguments.output, arguments.packages)
            print(f"{arguments.output}: {size / 1e6:.0f} MB, for any web server")
            return 0
        return _serve(arguments, prog)
    except PerceptualError as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 1


def _serve(arguments: argparse.Namespace, prog: str) -> int:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "page")
        page.build(folder, arguments.packages)
        handler = partial(Handler, directory=folder, isolated=arguments.isolated)
        try:
            server = ThreadingHTTPServer((_HOST, arguments.port), handler)
        except OSError as error:
            raise PerceptualError(
                f"port {arguments.port} cannot be used: {reason(error)}; choose one by --port"
            ) from None
        with server:
            address = f"http://{_HOST}:{server.server_address[1]}/"
            print(f"{address} (Ctrl-C ends it)", flush=True)
            if arguments.open:
                webbrowser.open(address)
            with contextlib.suppress(KeyboardInterrupt):
                server.serve_forever()
    return 0


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port of 0 to 65535, received {text!r}")
    return int(text)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Serve a page on this machine that enlarges and paints photographs in the "
        "browser, or make a folder of it for any web server. npm fetches LiteRT.js, once.",
    )
    parser.add_argument("action", nargs="?", choices=("serve", "build"), default="serve")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="to build the page in")
    parser.add_argument(
        "--port", type=_port, default=_PORT, help="to serve at, 0 for any (%(default)s)"
    )
    parser.add_argument("--open", action="store_true", help="open it in a browser")
    parser.add_argument(
        "--no-isolation",
        dest="isolated",
        action="store_false",
        help="serve without the headers that threads need, as static hosts do",
    )
    parser.add_argument(
        "--packages",
        type=Path,
        metavar="FOLDER",
        help="with the archives of LiteRT.js, where npm cannot fetch them",
    )
    return parser
