"""Browsers that tests and measurements drive, and the server of what they open."""

from __future__ import annotations

import json
import selectors
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_perceptual.cli.web import Handler

HERE = Path(__file__).parent
EXECUTABLES = {"chromium": ("chromium", "google-chrome"), "firefox": ("firefox-esr", "firefox")}
# What makes them use a GPU, and in Chromium one that the processor imitates.
WEBGPU = {
    "chromium": ("--enable-unsafe-webgpu", "--enable-features=Vulkan"),
    "firefox": ("dom.webgpu.enabled", "dom.webgpu.workers.enabled", "gfx.webgpu.ignore-blocklist"),
}
SOFTWARE = "--use-webgpu-adapter=swiftshader"
ANSWER = 300  # seconds that a command may take on a busy machine
ENDED = "/^(Done|Not done|Cancelled|The result)/"


def executable(kind: str) -> str | None:
    """Returns the program of a kind of browser, or None where there is none."""
    return next(filter(None, map(shutil.which, EXECUTABLES[kind])), None)


class Browser:
    """A browser, driven by `driver.mjs`."""

    def __init__(self, kind: str, executable: str, *switches: str) -> None:
        self.kind = kind
        self.shown: object = None
        command: list = ["node", HERE / "driver.mjs", HERE, kind, executable, *switches]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin
        assert self._process.stdout
        self._to, self._from = self._process.stdin, self._process.stdout

    def __call__(self, command: str, **named: object) -> Any:
        """Runs a command of `driver.mjs` and returns its answer."""
        self._to.write(json.dumps({"command": command, **named}, default=str) + "\n")
        self._to.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(self._from, selectors.EVENT_READ)
            if not selector.select(ANSWER):
                raise TimeoutError(f"{command}: no answer in {ANSWER} s")
        line = self._from.readline()
        assert line, f"{command}: the browser has ended"
        answer = json.loads(line)
        if "error" in answer:
            raise AssertionError(f"{command}: {answer['error']}")
        return answer["value"]

    def open(self, url: str, **window: object) -> None:
        """Opens the page in a new tab, and closes the one before."""
        self.shown = (url, *window.items()) if window else url
        self("open", url=url, **window)

    def evaluate(self, code: str) -> Any:
        return self("evaluate", code=code)

    def text(self, selector: str) -> str:
        return self.evaluate(f"document.querySelector({selector!r}).textContent")

    def set(self, **settings: object) -> None:
        """Sets fields of the form by their names."""
        for name, value in settings.items():
            field = f"document.getElementById('settings').elements[{name!r}]"
            kind = "checked" if isinstance(value, bool) else "value"
            self.evaluate(
                f"{field}.{kind} = {json.dumps(value)}; document.getElementById('settings')"
                ".dispatchEvent(new Event('input'))"
            )

    def wait_until(self, code: str, timeout: float = 120) -> None:
        self("wait", code=code, timeout=timeout)

    def ended(self) -> str:
        """Waits for all pictures to be done or refused; returns what is said of the last."""
        states = "[...document.querySelectorAll('#items .state')].map((e) => e.textContent)"
        try:
            self.wait_until(f"{states}.length && {states}.every((s) => {ENDED}.test(s))")
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.evaluate(states)}") from None
        return self.evaluate(f"{states}.at(-1)")

    def clear(self) -> None:
        """Removes all pictures."""
        self.evaluate(
            "document.querySelectorAll('#items .cancel:not([hidden])').forEach((e) => e.click());"
            "document.querySelectorAll('#items .remove').forEach((e) => e.click())"
        )

    def close(self) -> None:
        self._to.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._from.close()


@contextmanager
def serving(folder: Path, isolated: bool = True) -> Iterator[tuple[str, Callable[[], None]]]:
    """Serves a folder; gives its address, and what ends the server."""
    handler = partial(Handler, directory=folder, isolated=isolated)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()

    def end() -> None:
        server.shutdown()
        server.server_close()

    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", end
    finally:
        end()
        thread.join()


def open_trial(browser: Browser, folder: Path, url: str) -> Callable[..., Any]:
    """Opens a page whose worker is `gpu_trial.js`; returns what asks it."""
    for path in HERE.glob("gpu_*.js"):
        shutil.copy(path, folder)
    (folder / "trial.html").write_text(
        '<!doctype html><html data-ready="yes"><link rel="icon" href="icon.svg">'
    )
    browser.open(f"{url}trial.html")
    browser.evaluate("window.worker = new Worker('gpu_trial.js'); 0")

    def ask(**message: object) -> Any:
        answer = browser.evaluate(
            "new Promise((resolve) => { worker.onmessage = ({ data }) => resolve(data);"
            f"worker.postMessage({json.dumps(message)}) }})"
        )
        assert "error" not in answer, answer["error"]
        return answer

    return ask


def download(browser: Browser, path: Path, format: str = "png") -> Path:
    """Saves what the page downloads."""
    browser.evaluate(
        "window.make ??= URL.createObjectURL;"
        "URL.createObjectURL = (blob) => make.call(URL, (window.last = blob));"
        "window.saved = new Promise((resolve) => { HTMLAnchorElement.prototype.click ="
        "  function () { resolve([window.last, this.download]) } });"
        f"document.getElementById('format').value = {format!r};"
        "document.getElementById('save').click()"
    )
    browser("fetch", code="window.saved.then(([blob]) => blob)", path=path)
    return path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def cpu_of(pid: int) -> float:
    """Returns the seconds of processor time that a process and those below it have had."""
    import psutil

    total = 0.0
    process = psutil.Process(pid)
    for each in (process, *process.children(recursive=True)):
        try:
            total += sum(each.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
    return total


def idle_cpu(pid: int, seconds: float) -> float:
    """Returns the processor time that processes take in some seconds."""
    before = cpu_of(pid)
    time.sleep(seconds)
    return cpu_of(pid) - before
