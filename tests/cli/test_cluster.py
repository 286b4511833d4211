"""infer.py --cluster: what it refuses before anything is started."""

from __future__ import annotations

import shutil
import sys

import pytest

from keras_perceptual.cli.infer import main
from tests.conftest import SAMPLES


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder that has photographs in `in`."""
    (tmp_path / "in").mkdir()
    shutil.copy(SAMPLES / "LRx4" / "rocket.png", tmp_path / "in" / "a.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _said(capsys, *arguments):
    """Returns the status of a command, and the last line of what it said."""
    try:
        status = main([*arguments], "infer.py")
    except SystemExit as error:
        status = error.code
    return status, capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["s3://bucket/in"], "s3://bucket/in: is opened with --cluster"),
        (["in", "-o", "s3://bucket/out"], "s3://bucket/out: is opened with --cluster"),
        (["-", "--cluster", "local"], "takes files, folders and URLs, not -"),
        (["s3://bucket/in", "--cluster", "local"], "expected -o FOLDER or URL"),
        (["in", "--cluster", "local", "-o", "in/a.png"], "received the file in/a.png"),
        (
            ["s3://b/in", "-o", "out", "--keep-times", "--cluster", "local"],
            "--keep-times is of folders",
        ),
        (["in", "--cluster", "local", "--scale", "99"], "a number from 1 to 16"),
    ],
)
def test_bad_usage_is_one_line(folder, capsys, arguments, message):
    status, line = _said(capsys, *arguments)
    assert status == 2
    assert line.startswith("infer.py: error: ")
    assert message in line
    assert [path.name for path in folder.iterdir()] == ["in"]


def test_two_files_that_would_be_one(folder, capsys):
    shutil.copy(folder / "in" / "a.png", folder / "in" / "a.bmp")
    status, line = _said(capsys, "in", "--format", "png", "--cluster", "local", "-o", "out")
    assert status == 2
    assert line.endswith("in/a.bmp and in/a.png would both be written to out/a_x4.png")


def test_an_input_is_not_written_over(folder, capsys):
    """Also where the output is the input's folder by another name."""
    shutil.copy(folder / "in" / "a.png", folder / "in" / "a_x4.png")
    (folder / "same").symlink_to(folder / "in")
    status, line = _said(capsys, "in", "--cluster", "local", "-o", "same")
    assert status == 2
    assert line.endswith("same/a_x4.png: is an input; name another output with -o")


def test_a_folder_without_images(folder, capsys):
    (folder / "empty").mkdir()
    status, line = _said(capsys, "empty", "--cluster", "local")
    assert status == 1
    assert line == (
        "infer.py: empty: expected images in this folder, found none; --recursive looks in those "
        "inside it"
    )


def test_without_ray_it_says_what_to_install(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, "")
    status, line = _said(capsys, "in", "--cluster", "local", "-o", "out")
    assert status == 1
    assert line.startswith(
        "infer.py: --cluster needs packages of its own: pip install 'ray[data]' s3fs ("
    )


def test_other_options_do_not_go_on_beside_the_outputs(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, "")
    flags = ["in", "--cluster", "local", "-o", "out"]
    assert _said(capsys, *flags)[0] == 1
    status, line = _said(capsys, *flags, "--quality", "50")
    assert status == 2
    assert "out: was begun with quality 95, received 50" in line
    assert _said(capsys, *flags, "--quality", "50", "--force")[0] == 1  # no Ray, and no complaint


def test_what_is_there_is_left(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    (folder / "out").mkdir()
    (folder / "out" / "a_x4.png").write_bytes(b"there already")
    assert main(["in", "--cluster", "local", "-o", "out", "--skip-existing"], "infer.py") == 0
    assert capsys.readouterr().out == "out/a_x4.png is there already\n"
    assert (folder / "out" / "a_x4.png").read_bytes() == b"there already"


def test_the_same_options_go_on(folder, capsys, monkeypatch):
    """Also those that are not what JSON gives back."""
    monkeypatch.setitem(sys.modules, "ray", None)
    (folder / "out").mkdir()
    (folder / "out" / "a_x4.png").write_bytes(b"there already")
    flags = ["in", "--cluster", "local", "-o", "out", "--skip-existing", "--crop", "0,0,8,8"]
    for _ in range(2):
        assert main(flags, "infer.py") == 0
    assert _said(capsys, *flags[:-1], "0,0,8,9")[0] == 2
