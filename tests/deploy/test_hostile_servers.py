"""Answers that drip, nest or talk to the terminal: each is one line, and in time."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time

import pytest

from tests.deploy.program import client, complaints


def _read_request(connection: socket.socket) -> None:
    """Reads all of it: what is left unread when a connection is closed resets the answer."""
    with connection.makefile("rb") as file:
        length = 0
        while line := file.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        file.read(length)


@pytest.fixture
def answers():
    """Returns a function that starts a server of raw answers, in pieces, and returns its port."""
    stop, sockets = threading.Event(), []

    def serve(*pieces: bytes, pause: float = 0.0) -> int:
        listening = socket.create_server(("127.0.0.1", 0))
        sockets.append(listening)

        def work():
            with contextlib.suppress(OSError):
                while not stop.is_set():
                    connection, _ = listening.accept()
                    with connection, contextlib.suppress(OSError):
                        _read_request(connection)
                        for piece in pieces:
                            connection.sendall(piece)
                            if stop.wait(pause):
                                return

        threading.Thread(target=work, daemon=True).start()
        return listening.getsockname()[1]

    yield serve
    stop.set()
    for each in sockets:
        each.close()


def _answer(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Long: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 400 Bad\r\nContent-Length: 1000\r\n\r\n",
    ],
)
def test_a_byte_now_and_then_is_not_waited_for(answers, folder, run, begin):
    port = answers(begin, *[b"a"] * 1000, pause=0.05)
    began = time.monotonic()
    result = run("a.png", "--port", port, "--server", "127.0.0.1", "--timeout", 0.5, "--retries", 0)
    assert time.monotonic() - began < 3
    assert result.returncode == 1
    (line,) = complaints(result)
    assert line == "client.py: a.png: no answer in time, see --timeout: 0.5 seconds are over"


def test_an_answer_that_takes_a_while_but_comes_in_time(answers, folder, run):
    body = json.dumps({"error": "too many"}).encode()
    whole = _answer(body, "400 Bad Request")
    port = answers(*[whole[i : i + 20] for i in range(0, len(whole), 20)], pause=0.05)
    result = run("a.png", "--port", port, "--server", "127.0.0.1", "--timeout", 10)
    (line,) = complaints(result)
    assert line == "client.py: a.png: refused: too many"


@pytest.mark.parametrize(("status", "said"), [("200 OK", "expected rows"), ("400 No", "refused")])
def test_deeply_nested_json(answers, folder, run, status, said):
    port = answers(_answer(b"[" * 200_000, status))
    result = run("a.png", "--port", port, "--server", "127.0.0.1")
    assert result.returncode == 1
    (line,) = complaints(result)
    assert f"a.png: {said}" in line


def test_what_a_server_says_does_not_reach_the_terminal_as_it_is(answers, folder, run):
    said = "\x1b]0;title\x07\x1b[2J\x9b31m \u202egnp.exe\r\n\x08 done"
    body = json.dumps({"error": said}).encode()
    port = answers(_answer(body, "400 Bad Request"))
    result = run("a.png", "--port", port, "--server", "127.0.0.1")
    (line,) = complaints(result)
    assert line.isprintable()
    assert line.endswith(r"refused: \x1b]0;title\x07\x1b[2J\x9b31m \u202egnp.exe \x08 done")


def test_a_reason_in_the_status_line_neither(answers, folder, run):
    port = answers(_answer(b"", "500 \x1b[2Jgone"))
    result = run("a.png", "--port", port, "--server", "127.0.0.1")
    (line,) = complaints(result)
    assert line.endswith(r"HTTP 500: \x1b[2Jgone")


def test_nor_does_the_name_of_a_file(folder, run):
    (folder / "a\x1b[2J.png").mkdir()
    result = run("a\x1b[2J.png", "--retries", 0)
    (line,) = complaints(result)
    assert line == r"client.py: a\x1b[2J.png: expected images in this folder, found none"


def test_printable_leaves_text_alone():
    assert client.printable("fotografía 写真 42 %") == "fotografía 写真 42 %"
