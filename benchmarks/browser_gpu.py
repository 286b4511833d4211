"""Networks on a GPU in a browser against the processor: `python benchmarks/browser_gpu.py --help`.

Needs Node.js, a browser and `npm ci --prefix tests/web`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from keras_perceptual.export import page
from tests.web.browsers import SOFTWARE, WEBGPU, Browser, executable, open_trial, serving

MODELS = ("x2-feature", "x4-feature", "x4-photo", "x8-feature", "styles")
ADAPTER = """navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' })
  .then((adapter) => adapter && [adapter.info.vendor, adapter.info.architecture,
    adapter.info.description, adapter.info.isFallbackAdapter && 'imitated']
    .filter(Boolean).join(' '))"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--browser", choices=WEBGPU, default="chromium")
    parser.add_argument("--software", action="store_true", help="Chromium's imitation of a GPU")
    parser.add_argument("--size", type=int, default=312, help="pixels a side (%(default)s)")
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="NAME")
    arguments = parser.parse_args()
    program = executable(arguments.browser)
    if program is None:
        parser.error(f"expected {arguments.browser}, which is not installed")
    switches = [*WEBGPU[arguments.browser]]
    if arguments.software and arguments.browser == "chromium":
        switches.append(SOFTWARE)
    browser = Browser(arguments.browser, program, *switches)
    try:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary, "page")
            page.build(folder)
            with serving(folder) as (url, _):
                ask = open_trial(browser, folder, url)
                adapter = browser.evaluate(ADAPTER)
                if not adapter:
                    sys.exit("this browser has no GPU")
                print(f"{browser('version')}, {adapter}, {arguments.size}x{arguments.size} pixels")
                print("| | ms on the processor | ms on the GPU (first) | greatest difference |")
                print("| --- | --- | --- | --- |")
                for name in arguments.models:
                    found = ask(networks=[name], size=arguments.size)
                    for row in found["rows"]:
                        taken = f"{row['processor']:.0f} | {row['gpu']:.0f} ({row['first']:.0f})"
                        print(f"| {name} | {taken} | {row['difference']:.5f} |", flush=True)
                    if "failed" in found:
                        silent = "no answer" in found["failed"]
                        print(f"| {name} | | {'no answer' if silent else 'not taken'} | |")
    finally:
        browser.close()


if __name__ == "__main__":
    main()
