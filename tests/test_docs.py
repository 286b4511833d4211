"""The documentation: its links lead somewhere, its example and its commands run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest

from tests.conftest import ROOT

PAGES = sorted(
    path.relative_to(ROOT)
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/*.md"))
)


def _anchors(text: str) -> set[str]:
    """Returns what links to headings of a page say behind the `#`."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text("utf-8")
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        if not path.exists() or (anchor and anchor not in _anchors(path.read_text("utf-8"))):
            broken.append(target)
    assert not broken


def test_the_loss_in_ones_own_fit(tmp_path):
    text = (ROOT / "docs" / "python.md").read_text("utf-8")
    (example,) = re.findall(r"## The loss in your own fit.*?```python\n(.*?)```", text, re.S)
    (tmp_path / "data").symlink_to(ROOT / "data")
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{example}"
    code = code.replace("steps_per_epoch=20, epochs=2", "steps_per_epoch=2")
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    losses = [float(each) for each in re.findall(r"loss: ([\d.e+]+)", result.stdout)]
    assert losses
    assert losses[-1] > 0
    assert (tmp_path / "mine.keras").exists()


def test_the_reference_is_made_by_the_documented_command(tmp_path):
    text = (ROOT / "docs" / "README.md").read_text("utf-8")
    (command,) = re.findall(r"^python (-m pdoc .*) -o \S+$", text, re.M)
    command = f"{shlex.quote(sys.executable)} -W ignore {command} -o {shlex.quote(str(tmp_path))}"
    subprocess.run(command, shell=True, cwd=ROOT, check=True, capture_output=True, timeout=300)
    for page, name in (("inference", "Upscaler"), ("losses", "PerceptualLoss"), ("zoo", "card")):
        assert f'id="{name}"' in (tmp_path / "keras_perceptual" / f"{page}.html").read_text("utf-8")
