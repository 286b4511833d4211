"""What `pip install` gives: a wheel, built and used in an empty environment."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile

import pytest
from PIL import Image

import keras_perceptual
from keras_perceptual import zoo
from tests.conftest import ROOT, SAMPLES

PACKAGED = ("keras_perceptual", "web", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from what git has, so that leftovers of other builds are not in it."""
    folder = tmp_path_factory.mktemp("wheel")
    tracked = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")
    for name in filter(None, tracked):
        if name.partition("/")[0] in PACKAGED:
            target = folder / "source" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    _pip("wheel", "--no-deps", "-w", folder, folder / "source")
    (path,) = folder.glob("*.whl")
    return path


def _pip(*arguments, python=sys.executable):
    command = [python, "-m", "pip", *map(str, arguments), "-q", "--disable-pip-version-check"]
    subprocess.run(command, check=True, timeout=600)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Returns a function that runs a command of an environment that has the wheel alone."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    bin_ = folder / ("Scripts" if sys.platform == "win32" else "bin")
    _pip("install", wheel, python=bin_ / "python")

    def run(command, *arguments):
        return subprocess.run(
            [bin_ / command, *map(str, arguments)],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def test_the_wheel_holds_what_using_the_models_takes(wheel):
    with zipfile.ZipFile(wheel) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    assert keras_perceptual.__version__ in wheel.name
    models = {n: s for n, s in sizes.items() if n.startswith("keras_perceptual/zoo/weights/")}
    assert {str(zoo.file(name).relative_to(ROOT)) for name in zoo.names()} <= {*models}
    assert sum(models.values()) < 25e6
    assert not [name for name in sizes if name.endswith(".keras")]
    page = [path for path in (ROOT / "web").rglob("*") if path.is_file()]
    assert {f"keras_perceptual/{path.relative_to(ROOT)}" for path in page} <= {*sizes}
    modules = {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "keras_perceptual").rglob("*.py")
    }
    assert modules <= {*sizes}
    assert {"keras_perceptual/py.typed", "keras_perceptual/inference/__init__.pyi"} <= {*sizes}
    outside = {name.partition("/")[0] for name in sizes}
    assert {name for name in outside if not name.endswith(".dist-info")} == {"keras_perceptual"}


def test_it_enlarges_in_an_empty_environment(installed, tmp_path):
    target = tmp_path / "large.png"
    result = installed(
        "keras-perceptual", "infer", SAMPLES / "LRx4" / "chelsea.png", "--scale", 4, "-o", target
    )
    assert result.returncode == 0, result.stderr
    with Image.open(SAMPLES / "LRx4" / "chelsea.png") as lr, Image.open(target) as sr:
        assert sr.size == tuple(4 * side for side in lr.size)
    assert installed("python", "-c", "import keras").returncode != 0


def test_its_commands_say_what_they_are(installed):
    version = installed("python", "-m", "keras_perceptual", "--version")
    assert version.stdout.strip() == keras_perceptual.__version__
    usage = installed("keras-perceptual", "--help").stdout
    assert all(command in usage for command in ("infer", "train", "evaluate", "export", "web"))
    models = installed("keras-perceptual", "infer", "--list-models").stdout
    assert all(name in models for name in zoo.names())


def test_the_page_is_there(installed, tmp_path):
    result = installed("keras-perceptual", "web", "build", "-o", "page", "--packages", tmp_path)
    assert result.returncode in (0, 1)  # 0 where LiteRT.js was fetched before
    if result.returncode:
        assert "expected LiteRT.js: No such file or directory" in result.stderr


@pytest.mark.parametrize("command", ["train", "export"])
def test_what_needs_keras_says_so(installed, command, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    flag = {"train": "--data", "export": "--photographs"}[command]
    result = installed("keras-perceptual", command, flag, tmp_path)
    assert result.returncode == 1
    expected = "No module named 'keras'; pip install -r requirements.txt has it"
    assert result.stderr.splitlines() == [f"keras-perceptual {command}: {expected}"]


def test_bad_usage_names_the_command(installed):
    result = installed("keras-perceptual", "infer", "none.png", "--scale", "99")
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("keras-perceptual infer: error: ")
    assert installed("keras-perceptual", "enlarge").returncode == 2
