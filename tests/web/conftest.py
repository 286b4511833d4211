"""The page in real browsers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from keras_perceptual.errors import ExportError
from keras_perceptual.export import page
from tests.conftest import ALL, LEFT_OUT
from tests.web.browsers import EXECUTABLES, HERE, Browser, download, executable, serving


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "both: always runs in Firefox too; others do so with all")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves out what the gate has no time for."""
    for item in items if not ALL else ():
        kind = getattr(item, "callspec", None) and item.callspec.params.get("browser")
        if kind == "firefox" and not item.get_closest_marker("both"):
            item.add_marker(LEFT_OUT)


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """The page, built."""
    if not shutil.which("node"):
        pytest.skip("Node.js, which fetches LiteRT.js and drives browsers, is not installed")
    target = tmp_path_factory.mktemp("web") / "page"
    try:
        page.build(target)
    except ExportError as error:
        pytest.skip(f"no LiteRT.js: {error}")
    return target


@pytest.fixture(scope="session", params=list(EXECUTABLES))
def browser(request, folder) -> Iterator[Browser]:
    """A browser of each kind, without a page."""
    program = executable(request.param)
    if program is None:
        pytest.skip(f"{request.param} is not installed")
    if not (HERE / "node_modules" / "puppeteer-core").is_dir():
        pytest.skip("npm ci --prefix tests/web has not installed what drives browsers")
    opened = Browser(request.param, program)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def address(folder) -> Iterator[str]:
    with serving(folder) as (url, _):
        yield url


@pytest.fixture
def site(browser, address) -> Iterator[Browser]:
    """The page without pictures and with its first settings; nothing may go wrong in it."""
    if browser.shown != address:
        browser.open(address)
        browser.wait_until("document.documentElement.dataset.warm")
    browser.evaluate(
        "document.getElementById('settings').reset();"
        "document.getElementById('settings').elements.scale.value = '4';"
        "document.getElementById('settings').dispatchEvent(new Event('input'))"
    )
    yield browser
    browser.clear()
    assert browser("faults") == []


@pytest.fixture
def result(site, tmp_path):
    """Returns a function from a file and settings to the PNG that the page makes of it."""

    def make(file: Path, **settings: object) -> Path:
        site.set(**settings)
        site("choose", files=[file])
        told = site.ended()
        assert told.startswith("Done"), told
        return download(site, tmp_path / "result.png")

    return make
