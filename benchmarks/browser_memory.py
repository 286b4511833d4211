"""Memory that the page takes for a picture: `python benchmarks/browser_memory.py FILE`.

Needs Node.js, Chromium and `npm ci --prefix tests/web`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from keras_perceptual.export import page
from tests.web.browsers import Browser, executable, serving

STATE = "document.querySelector('#items .state')?.textContent ?? ''"


class Watch(threading.Thread):
    """Keeps the most memory that each process below one has had, in bytes, by its kind."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.process, self.over = psutil.Process(pid), threading.Event()
        self.most: dict[tuple[str, int], int] = {}

    def run(self) -> None:
        while not self.over.wait(0.5):
            for each in (self.process, *self.process.children(recursive=True)):
                try:
                    kinds = [a for a in each.cmdline() if a.startswith("--type=")]
                    kind = kinds[0].partition("=")[2] if kinds else "browser"
                    seen = max(self.most.get((kind, each.pid), 0), each.memory_info().rss)
                    self.most[kind, each.pid] = seen
                except psutil.NoSuchProcess:
                    continue


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="photograph")
    parser.add_argument("--scale", default="4", help="size of the result (%(default)s)")
    arguments = parser.parse_args()
    program = executable("chromium")
    if program is None:
        parser.error("expected Chromium, which is not installed")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "page")
        page.build(folder)
        browser = Browser("chromium", program)
        with serving(folder) as (address, _):
            browser.open(address)
            browser.set(scale=arguments.scale)
            watch = Watch(browser("pid"))
            watch.start()
            began = time.monotonic()
            browser("choose", files=[arguments.file.absolute()])
            told = browser.ended()
            if told.startswith("The result"):
                browser("click", selector="#items .confirm")
            while not told.startswith(("Done", "Not done")):
                time.sleep(2)
                told = browser.evaluate(STATE)
            print(f"{told}; {time.monotonic() - began:.0f} s")
            print(browser.text("#details"))
            watch.over.set()
            for (kind, _), most in sorted(watch.most.items(), key=lambda each: -each[1])[:2]:
                print(f"{kind}: {most / 1e9:.2f} GB at most")
        browser.close()


if __name__ == "__main__":
    main()
