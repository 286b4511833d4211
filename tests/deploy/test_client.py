"""deploy/client.py and its manners.

The server here answers as TF Serving does (statuses, JSON, messages), with a real SavedModel that
doubles images.
"""

from __future__ import annotations

import re
import socket

import numpy as np
import pytest
from PIL import Image

from tests.deploy.program import complaints, files, png, run_process


def test_files_and_folders(server, folder):
    (folder / "photos" / "inside").mkdir(parents=True)
    for name in ("photos/d.PNG", "photos/inside/e.png", "photos/.hidden.png"):
        (folder / name).write_bytes((folder / "a.png").read_bytes())
    (folder / "photos" / "notes.txt").write_text("not an image")
    before = files(folder)
    result = run_process(
        folder, "a.png", "b.jpg", "c.bmp", "photos", "--batch", 2, "--version", 1, *server.flags
    )
    assert result.returncode == 0, result.stderr
    assert complaints(result) == []
    written = ["a_sr.png", "b_sr.png", "c_sr.png", "photos_sr/d_sr.png"]
    written.append("photos_sr/inside/e_sr.png")
    assert sorted(set(files(folder)) - set(before)) == written
    assert [line.replace("\\", "/") for line in result.stdout.split()] == written
    assert server.serving.batches == [2, 2, 1]
    with Image.open(folder / "a.png") as lr, Image.open(folder / "a_sr.png") as sr:
        assert np.array_equal(np.asarray(sr), np.asarray(lr).repeat(2, 0).repeat(2, 1))
    with Image.open(folder / "c_sr.png") as sr:
        assert sr.size == (18, 18)


def test_output_file_and_folder(server, folder, run):
    assert run("a.png", "-o", "new/big.png", *server.flags).returncode == 0
    assert run("a.png", "b.jpg", "-o", "out", *server.flags).returncode == 0
    made = ["new/big.png", "out/a_sr.png", "out/b_sr.png"]
    assert files(folder) == ["a.png", "b.jpg", "c.bmp", *made]


def test_broken_files_do_not_lose_the_others(server, folder, run):
    (folder / "broken.png").write_bytes(b"not an image")
    names = ["a.png", "broken.png", "missing.png", "b.jpg"]
    result = run(*names, *server.flags)
    assert result.returncode == 1
    missing, broken = complaints(result)
    assert "missing.png: cannot be read" in missing
    assert "broken.png: refused: Unknown image file format" in broken
    assert not re.search(r"\[|error|node", broken)
    assert files(folder) == ["a.png", "a_sr.png", "b.jpg", "b_sr.png", "broken.png", "c.bmp"]
    assert server.serving.batches == [3, 1, 1, 1]


def test_a_busy_server_is_asked_again(server, folder, run):
    server.serving.refusals = [503, 429]
    result = run("a.png", *server.flags)
    assert result.returncode == 0, result.stderr
    assert server.serving.batches == [1, 1, 1]
    assert len(complaints(result)) == 2
    assert "next try in" in complaints(result)[0]
    assert "queue is full" in complaints(result)[0]
    assert (folder / "a_sr.png").exists()


@pytest.mark.parametrize(
    ("flags", "servable"),
    [(["--model", "x9"], "Latest(x9)"), (["--version", 7], "Specific(x4-feature, 7)")],
)
def test_a_model_that_is_not_there(server, folder, flags, servable, run):
    result = run("a.png", "b.jpg", "--batch", 1, *server.flags, *flags)
    assert result.returncode == 1
    (line,) = complaints(result)
    assert "no such model or version there" in line
    assert servable in line
    assert "2 of 2 images not done" in line
    assert server.serving.batches == [1]


def test_no_answer_in_time(server, folder, run):
    server.serving.delay = 1.5
    flags = [*server.flags, "--timeout", 0.4, "--retries", 1]
    result = run("a.png", *flags)
    assert result.returncode == 1
    again, line = complaints(result)
    assert "next try in" in again
    assert "a.png: no answer in time" in line
    assert files(folder) == ["a.png", "b.jpg", "c.bmp"]


def test_no_server(folder, run):
    with socket.socket() as taken:  # bound and deaf, so that nobody else listens there
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        flags = ["--server", "127.0.0.1", "--port", port]
        result = run("a.png", "--retries", 1, *flags)
    assert result.returncode == 1
    _, line = complaints(result)
    assert f"127.0.0.1:{port}: cannot be reached" in line
    assert "1 of 1 images not done" in line


@pytest.mark.parametrize("server", [30_000], indirect=True)
def test_requests_larger_than_the_server_takes(server, folder, run):
    for name, padding in (("d.png", 15_000), ("e.png", 15_000), ("f.png", 50_000)):
        (folder / name).write_bytes(png() + bytes(padding))
    result = run("d.png", "e.png", "f.png", *server.flags)
    assert result.returncode == 1
    (line,) = complaints(result)
    assert "f.png: message too large" in line
    assert (folder / "d_sr.png").exists()
    assert (folder / "e_sr.png").exists()
    assert server.serving.batches == [1, 1]


def test_it_needs_the_standard_library_only(server, folder):
    result = run_process(folder, "a.png", "b.jpg", *server.flags, python=["-I", "-S"])
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["a_sr.png", "b_sr.png"]
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required"),
        (["a.png", "--port", "0"], "expected 1 to 65535"),
        (["a.png", "--batch", "0"], "expected 1 to"),
        (["a.png", "--retries", "-1"], "expected 0 to"),
        (["a.png", "--timeout", "nan"], "--timeout: expected"),
        (["a.png", "--server", "http://localhost"], "expected a name"),
        (["a.png", "-o", "a.png"], "is an input"),
        (["a.png", "./a.png"], "would both be written"),
        (["a.png", "b.jpg", "-o", "out.png"], "would both be written"),
    ],
)
def test_bad_usage(folder, arguments, message, run):
    result = run(*arguments)
    assert result.returncode == 2
    assert message in result.stderr.splitlines()[-1]
    assert files(folder) == ["a.png", "b.jpg", "c.bmp"]


def test_an_output_that_cannot_be_written(server, folder, run):
    (folder / "a_sr.png").mkdir()
    result = run("a.png", "b.jpg", *server.flags)
    assert result.returncode == 1
    (line,) = complaints(result)
    assert "a_sr.png: cannot be written" in line
    assert files(folder) == ["a.png", "b.jpg", "b_sr.png", "c.bmp"]


def test_an_empty_folder(folder, run):
    (folder / "empty").mkdir()
    result = run("empty")
    assert result.returncode == 1
    assert "found none" in result.stderr
