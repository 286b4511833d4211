"""The page against UpscalerJS, in one browser: `python benchmarks/browser.py --help`.

Needs Node.js, Chromium and `npm ci --prefix tests/web`, and in a folder of its own
`npm install --legacy-peer-deps upscaler@1.0.0 @upscalerjs/esrgan-medium@1.0.0
@tensorflow/tfjs@4.11.0 @tensorflow/tfjs-backend-wasm@4.11.0`.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import statistics
import sys
import tempfile
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from keras_perceptual.evaluation.benchmark import judge
from keras_perceptual.evaluation.lpips import LPIPS
from keras_perceptual.export import page
from keras_perceptual.files import images
from tests.web.browsers import Browser, executable, serving

TILE = 128  # pixels a side
PEER = """<!doctype html><html data-ready="yes"><link rel="icon" href="data:,">
<script src="modules/@tensorflow/tfjs/dist/tf.min.js"></script>
<script src="modules/@tensorflow/tfjs-backend-wasm/dist/tf-backend-wasm.min.js"></script>
<script>var DefaultUpscalerJSModel = {};</script>
<script src="modules/upscaler/dist/browser/umd/upscaler.min.js"></script>
<script src="modules/@upscalerjs/esrgan-medium/dist/umd/models/esrgan-medium/src/x4/index.min.js">
</script></html>"""
# What a page of UpscalerJS loads, beside the script above.
LOADED = (
    "@tensorflow/tfjs/dist/tf.min.js",
    "@tensorflow/tfjs-backend-wasm/dist/tf-backend-wasm.min.js",
    "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm",
    "upscaler/dist/browser/umd/upscaler.min.js",
    "@upscalerjs/esrgan-medium/dist/umd/models/esrgan-medium/src/x4/index.min.js",
    "@upscalerjs/esrgan-medium/models/x4/model.json",
    "@upscalerjs/esrgan-medium/models/x4/group1-shard1of1.bin",
)
START_PEER = """(async () => {
  tf.wasm.setWasmPaths('modules/@tensorflow/tfjs-backend-wasm/dist/');
  await tf.setBackend('wasm'); await tf.ready();
  const path = 'modules/@upscalerjs/esrgan-medium/models/x4/model.json';
  window.upscaler = new Upscaler({ model: { ...ESRGANMedium4x, path } });
  window.work = async (pixels, width, height) => {
    const lr = tf.tensor3d(pixels, [height, width, 3]);
    const sr = await upscaler.upscale(lr, { output: 'tensor' });
    const levels = await sr.data(); lr.dispose(); sr.dispose(); return levels;
  };
})()"""
START_OURS = """(async () => {
  const worker = new Worker('bench.js');
  await new Promise((resolve) => { worker.onmessage = resolve; });
  window.work = (pixels, width, height) => new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => (data.error ? reject(data.error) : resolve(data));
    worker.postMessage({ pixels, width, height, int8: window.int8 });
  });
})()"""
WORKER = """
const parts = Promise.all(['engine/runtime.js', 'engine/models.js', 'engine/pass.js']
  .map((name) => import(`./${name}`)));
const opened = parts.then(async ([{ startRuntime }, { Models }]) => [
  await startRuntime(new URL('litert/', location.href)), await Models.open(location.href)]);
const made = {};
opened.then(() => postMessage('ready'));
onmessage = async ({ data: { pixels, width, height, int8 } }) => {
  const [[, , { Generator }], [runtime, models]] = [await parts, await opened];
  made[int8] ??= new Generator(
    runtime, [await models.network('x4-feature', { int8, fidelity: 0 })], 4, 0);
  postMessage(await made[int8].run(pixels, { width, height }));
};
"""
RUN = """(async () => {{
  const pixels = Float32Array.from(atob({data!r}), (c) => c.charCodeAt(0));
  const began = performance.now();
  window.levels = await work(pixels, {width}, {height});
  return performance.now() - began;
}})()"""
LEVELS = "new Blob([Uint8Array.from(levels, (v) => Math.min(Math.max(v + 0.5, 0), 255))])"


def run(browser: Browser, target: Path, lr: np.ndarray) -> np.ndarray:
    """Enlarges `[H, W, 3]` uint8 in the browser, by way of a file."""
    timed(browser, lr)
    browser("fetch", code=LEVELS, path=target)
    return np.fromfile(target, np.uint8).reshape(4 * lr.shape[0], 4 * lr.shape[1], 3)


def timed(browser: Browser, lr: np.ndarray) -> float:
    """Enlarges an image in the browser; returns the milliseconds it takes."""
    data = base64.b64encode(lr.tobytes()).decode()
    return browser.evaluate(RUN.format(data=data, width=lr.shape[1], height=lr.shape[0]))


def packed(paths: list[Path]) -> float:
    """Returns the megabytes that files have on their way, compressed."""
    return sum(len(gzip.compress(path.read_bytes(), 9)) for path in paths) / 1e6


def candidates(folder: Path, modules: Path) -> dict[str, tuple[str, str, list[Path]]]:
    """Returns the page of each, what starts it there, and the files that are loaded."""
    build = "litert_wasm_threaded_internal"
    ours = [path for path in folder.glob("*/*.js") if path.parent.name not in ("litert", "modules")]
    ours += [folder / "models.json", *(folder / "litert").glob("*.js")]
    ours += [folder / "litert" / "wasm" / f"{build}.{ending}" for ending in ("js", "wasm")]
    models = {"x4-feature, 8 bits": "-int8", "x4-feature, float32": ""}
    found = {
        name: ("", START_OURS, [*ours, folder / "models" / f"x4-feature{suffix}.tflite"])
        for name, suffix in models.items()
    }
    found["UpscalerJS, esrgan-medium"] = ("peer.html", START_PEER, [modules / f for f in LOADED])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", type=Path, help="folder with node_modules of UpscalerJS")
    parser.add_argument("--set", type=Path, required=True, help="with HR and LRx4, such as Set5")
    parser.add_argument("--lpips", type=Path, required=True, help="weights of LPIPS")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (%(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="of a tile in a turn (%(default)s)")
    arguments = parser.parse_args()
    program = executable("chromium")
    if program is None:
        parser.error("expected Chromium, which is not installed")
    lpips = LPIPS(arguments.lpips)
    tile = images.read(next((arguments.set / "LRx4").glob("*"))).pixels[:TILE, :TILE, :3]
    times: dict[str, list[float]] = defaultdict(list)
    scores: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "page")
        page.build(folder)
        (folder / "bench.js").write_text(WORKER)
        (folder / "peer.html").write_text(PEER)
        modules = (arguments.peer / "node_modules").absolute()
        (folder / "modules").symlink_to(modules)
        found = candidates(folder, modules)
        browser = Browser("chromium", program)
        upscale = partial(run, browser, Path(temporary, "levels"))
        # At addresses of their own: the page's service worker answers for all of its own.
        with serving(folder) as (ours, _), serving(folder) as (theirs, _):
            for _ in range(arguments.rounds):
                for name, (place, start, _) in found.items():
                    browser.open(theirs + place if place else ours)
                    browser.evaluate(f"window.int8 = {json.dumps('8 bits' in name)}")
                    browser.evaluate(start)
                    timed(browser, tile)
                    times[name] += [timed(browser, tile) for _ in range(arguments.runs)]
                    if name not in scores:
                        scores[name] = judge(upscale, arguments.set, 4, lpips)
        sizes = {name: packed(files) for name, (*_, files) in found.items()}
        browser.close()
    print(f"| | ms a tile of {TILE}x{TILE}, median (least) | MB to load | PSNR | SSIM | LPIPS |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, each in scores.items():
        taken = f"{statistics.median(times[name]):.0f} ({min(times[name]):.0f})"
        numbers = f"{each['psnr_y']:.2f} | {each['ssim_y']:.4f} | {each['lpips']:.4f}"
        print(f"| {name} | {taken} | {sizes[name]:.1f} | {numbers} |")


if __name__ == "__main__":
    main()
