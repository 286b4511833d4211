"""The packages: what may import what, what loads Keras, how long modules and functions are."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "keras_perceptual"
# An import stays in its package or points to one further left.
ORDER = (
    "errors", "system", "pixels", "files", "zoo", "models", "losses", "inference", "evaluation",
    "training", "export", "cluster", "cli",
)  # fmt: skip
WITH_KERAS = ("models", "losses", "evaluation.lpips", "training", "export")
WITHOUT_KERAS = (
    "training.recipes",
    "training.membership",
    "training.degradations",
    "cli.train",
    "cli.export",
)
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py")
)


def _parts(module: str) -> tuple[str, ...]:
    """Returns what a module's name is made of, without `__init__`."""
    return tuple(part for part in module.split(".") if part != "__init__")


def imports(module: str, text: str) -> list[tuple[int, str]]:
    """Returns every import of the package in a module, lazy ones too: line, and what is imported.

    Names are below `keras_perceptual`; that of the package itself is empty.
    """
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            here = ["keras_perceptual", *_parts(module)]
            if module.rpartition(".")[2] != "__init__":
                here.pop()
            here = here[: len(here) - node.level + 1]
            names = [".".join([*here, *([node.module] if node.module else []), alias.name])
                     for alias in node.names]  # fmt: skip
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            first, _, rest = name.partition(".")
            if first == "keras_perceptual":
                found.append((node.lineno, rest))
    return found


def wrong(module: str, text: str) -> list[str]:
    """Returns the imports of a module that break the rule, a line each."""
    package = (_parts(module) or ("",))[0]
    if package in ("", "__main__"):  # the interface of all, and the command
        return []
    own = ORDER.index(package)
    lines = []
    for number, name in imports(module, text):
        target = name.partition(".")[0]
        if target in ("", "__version__"):
            continue
        if target not in ORDER or ORDER.index(target) > own:
            lines.append(f"{module}:{number} imports {name}")
    return lines


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_to_the_left(module):
    path = PACKAGE.joinpath(*module.split(".")).with_suffix(".py")
    broken = wrong(module, path.read_text("utf-8"))
    stub = path.with_suffix(".pyi")
    if stub.exists():
        broken += wrong(module, stub.read_text("utf-8"))
    assert not broken


@pytest.mark.parametrize(
    "text",
    [
        "from keras_perceptual.cli import jobs",
        "from keras_perceptual import training",
        "import keras_perceptual.export.exporter",
        "def f():\n    from keras_perceptual.training.run import train",
        "from ..training import run",
        "from .. import export",
        "from keras_perceptual.newroom import thing",
    ],
)
def test_the_rule_sees_what_breaks_it(text):
    assert wrong("inference.tiling", text)
    assert not wrong("inference.tiling", "from keras_perceptual.pixels import rows\nimport numpy")
    assert not wrong("inference.__init__", "from .upscaler import Upscaler")


def _loaded_by(*modules: str) -> set[str]:
    """Returns the top-level packages that importing modules loads, in a process of their own."""
    code = (
        f"import importlib, sys; [importlib.import_module(m) for m in {modules!r}]; "
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    return set(subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT).split())


def test_the_using_half_loads_no_keras():
    names = [".".join(_parts(module)) for module in MODULES if module != "__main__"]
    using = [
        f"keras_perceptual.{name}".rstrip(".")
        for name in names
        if not any(name == each or name.startswith(f"{each}.") for each in WITH_KERAS)
    ]
    using += [f"keras_perceptual.{name}" for name in (*WITHOUT_KERAS, *ORDER)]
    others = {"matplotlib", "skimage", "ray", "fsspec"}
    assert not _loaded_by(*using) & {"keras", "tensorflow", "jax", *others}


def test_losses_load_no_image_library():
    assert "pyvips" not in _loaded_by("keras_perceptual.losses.perceptual")


@pytest.mark.parametrize(
    "package", [name for name in ORDER if name not in ("errors", "zoo", "cli")]
)
def test_every_public_name_is_there(package):
    module = __import__(f"keras_perceptual.{package}", fromlist=["__all__"])
    assert module.__all__
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_modules_and_functions_are_short():
    """About 300 lines a module, about 60 a function, docstring and signature not counted."""
    long = []
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text("utf-8")
        if len(text.splitlines()) > 305:
            long.append(f"{path.name}: {len(text.splitlines())} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.body:
                documented = ast.get_docstring(node) is not None and len(node.body) > 1
                first = node.body[1 if documented else 0]
                if (node.end_lineno or 0) - first.lineno + 1 > 60:
                    long.append(f"{path.name}: {node.name}")
    assert not long


def test_tests_mirror_the_packages():
    folders = {path.name for path in (ROOT / "tests").iterdir() if (path / "__init__.py").exists()}
    assert set(ORDER) - {"errors"} <= folders
