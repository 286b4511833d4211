"""`keras-perceptual web`: what its server answers, and how it refuses."""

from __future__ import annotations

import gzip
import threading
import urllib.error
import urllib.request
from functools import partial
from http.server import ThreadingHTTPServer

import pytest

from keras_perceptual.cli import web
from keras_perceptual.cli.main import main

TEXT = b"let a = 1;\n" * 200


@pytest.fixture
def ask(tmp_path):
    """Returns a function that asks a server for a path."""
    folder = tmp_path / "page"
    (folder / "sub").mkdir(parents=True)
    (folder / "index.html").write_bytes(b"<!doctype html>")
    (folder / "a.js").write_bytes(TEXT)
    (folder / "a.js.gz").write_bytes(gzip.compress(TEXT))
    (tmp_path / "secret.txt").write_text("secret")
    servers = []

    def get(path, encoding="gzip", isolated=True):
        handler = partial(web.Handler, directory=folder, isolated=isolated)
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}{path}"
        request = urllib.request.Request(url, headers={"Accept-Encoding": encoding})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read(), answer.headers

    yield get
    for server in servers:
        server.shutdown()
        server.server_close()


def test_files_come_compressed_to_those_who_take_it(ask):
    content, headers = ask("/a.js?v=1")
    assert gzip.decompress(content) == TEXT
    assert headers["Content-Encoding"] == "gzip"
    assert headers["Content-Type"].startswith("text/javascript")
    content, headers = ask("/a.js", encoding="identity")
    assert content == TEXT
    assert headers["Content-Encoding"] is None


@pytest.mark.parametrize("isolated", [True, False])
def test_the_headers_that_threads_need(ask, isolated):
    content, headers = ask("/", isolated=isolated)
    assert content == b"<!doctype html>"
    expected = ("same-origin", "require-corp") if isolated else (None, None)
    names = ("Cross-Origin-Opener-Policy", "Cross-Origin-Embedder-Policy")
    assert tuple(headers[name] for name in names) == expected


@pytest.mark.parametrize("path", ["/missing.js", "/sub/", "/../secret.txt", "/%2e%2e/secret.txt"])
def test_nothing_but_the_page_is_served(ask, path):
    with pytest.raises(urllib.error.HTTPError, match="404"):
        ask(path)


def test_a_port_that_is_taken_is_an_error_of_one_line(capsys, monkeypatch):
    monkeypatch.setattr(web.page, "build", lambda *_: 0)
    with ThreadingHTTPServer(("127.0.0.1", 0), web.Handler) as taken:
        port = taken.server_address[1]
        assert main(["web", "--port", str(port)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"keras-perceptual web: port {port} cannot be used: ")
    assert line.endswith("; choose one by --port")


@pytest.mark.parametrize(
    "arguments", [["build"], ["-o", "page"], ["--port", "70000"], ["--port", "x"], ["open"]]
)
def test_bad_usage(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["web", *arguments])
    assert ended.value.code == 2
    assert "expected" in capsys.readouterr().err or arguments == ["open"]
