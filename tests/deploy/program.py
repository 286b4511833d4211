"""The program under test, deploy/client.py: as a module, as a process, and what it leaves."""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from PIL import Image

from tests.conftest import ROOT

DEPLOY = ROOT / "deploy"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("client", DEPLOY / "client.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


client = _load()


def run_process(folder: Path, *arguments, python=(), **env) -> subprocess.CompletedProcess:
    """Runs the program in a process of its own, in a folder."""
    return subprocess.run(
        [sys.executable, *python, DEPLOY / "client.py", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "no_proxy": "127.0.0.1", **env},
        capture_output=True,
        text=True,
        timeout=60,
    )


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def complaints(result: subprocess.CompletedProcess) -> list[str]:
    assert "Traceback" not in result.stderr
    return [line for line in result.stderr.splitlines() if line.startswith("client.py:")]


def png(size=(2, 3)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size).save(file, "PNG")
    return file.getvalue()
