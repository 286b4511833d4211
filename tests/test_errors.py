from __future__ import annotations

import ast
import builtins
import inspect
import struct
from pathlib import Path
from types import ModuleType

import pytest
import pyvips

from keras_perceptual import errors
from keras_perceptual.errors import Cancelled, ImageError, PerceptualError, image_errors
from tests.conftest import ROOT

PACKAGE = ROOT / "keras_perceptual"


def _exceptions(module: ModuleType) -> dict[str, type]:
    classes = {name: each for name, each in vars(module).items() if inspect.isclass(each)}
    return {name: each for name, each in classes.items() if issubclass(each, BaseException)}


KNOWN = {*_exceptions(builtins), *_exceptions(errors)}


def _defined(path: Path) -> set[str]:
    """Returns the names of the exception classes that a file defines."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef):
            bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
            if bases & KNOWN or any(base.endswith(("Error", "Exception")) for base in bases):
                found.add(node.name)
    return found


def test_all_exceptions_are_in_one_module_and_have_one_base():
    found = {path: _defined(path) for path in PACKAGE.rglob("*.py")}
    assert found.pop(PACKAGE / "errors.py") == set(_exceptions(errors))
    assert {path: names for path, names in found.items() if names} == {}
    assert not issubclass(Cancelled, Exception)
    for each in set(_exceptions(errors).values()) - {Cancelled}:
        assert issubclass(each, PerceptualError), each


def _our_own_fault() -> None:
    len(7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("two\nlines"), "a.png: cannot be read: two"),
        *(
            (error, "a.png: cannot be read: it breaks off or is damaged")
            for error in (
                RuntimeError(),
                IndexError("index out of range"),
                struct.error("unpack requires"),
                OverflowError("cannot fit 'int' into an offset-sized integer"),
                OSError("decoder error -2"),
                SyntaxError("broken data stream when reading"),
                UnicodeDecodeError("utf-8", b"\xed", 0, 1, "invalid"),
                TypeError("len(7)"),
            )
        ),
        (MemoryError(), "a.png: cannot be read: not enough memory"),
        (PermissionError(13, "Permission denied"), "a.png: cannot be read: Permission denied"),
        (FileNotFoundError(), "a.png: no such file"),
        (IsADirectoryError(), "a.png: is a folder, expected an image file"),
    ],
)
def test_what_a_codec_raises_becomes_one_line_and_is_its_cause(error, message):
    with pytest.raises(ImageError) as caught, image_errors("a.png", "cannot be read"):
        raise error
    assert str(caught.value) == message
    assert caught.value.__cause__ is error


def test_a_folder_that_cannot_be_made():
    with (
        pytest.raises(ImageError, match=r"^a\.png: cannot be written: no such folder$"),
        image_errors("a.png", "cannot be written"),
    ):
        raise FileNotFoundError(2, "No such file or directory")


def test_of_what_libvips_says_the_last_line_that_says_something():
    detail = "source: bad seek to 9\nheif: Unexpected end: box\n (2.100)\n"
    with (
        pytest.raises(ImageError, match=r"^a\.png: cannot be read: Unexpected end: box$"),
        image_errors("a.png", "cannot be read"),
    ):
        raise pyvips.Error("unable to fetch", detail)


def test_the_cause_says_where_a_fault_of_our_own_is():
    with pytest.raises(ImageError) as caught, image_errors("a.png", "cannot be read"):
        _our_own_fault()
    cause = caught.value.__cause__
    assert isinstance(cause, TypeError)
    assert "\n" not in str(caught.value)
    frame = cause.__traceback__
    while frame.tb_next:
        frame = frame.tb_next
    assert frame.tb_frame.f_code is _our_own_fault.__code__


@pytest.mark.parametrize("kind", [ImageError, Cancelled, KeyboardInterrupt])
def test_what_passes_as_it_is(kind):
    error = kind("told")
    with pytest.raises(kind) as caught, image_errors("a.png", "cannot be read"):
        raise error
    assert caught.value is error
    assert error.__cause__ is None
