"""What --fidelity trades, by blended weights and by blended outputs:

    python benchmarks/fidelity.py --sets SET5 SET14 --lpips FILE --out docs/fidelity.png

prints a Markdown table and draws LPIPS against PSNR, without histogram matching.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keras_perceptual import Upscaler, zoo
from keras_perceptual.evaluation import judge
from keras_perceptual.evaluation.lpips import LPIPS
from keras_perceptual.system.atomic import atomic_path

SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="x4-feature", choices=zoo.names())
    parser.add_argument("--sets", nargs="+", type=Path, required=True, help="folders with HR/")
    parser.add_argument("--lpips", help="LPIPS weights")
    parser.add_argument("--out", type=Path, help="PNG to draw")
    arguments = parser.parse_args()
    lpips = LPIPS(arguments.lpips)
    sharp, faithful = (
        Upscaler(arguments.model, precision="float32", histogram_match="none", fidelity=share)
        for share in (0.0, 1.0)
    )

    figure = Figure(figsize=(5 * len(arguments.sets), 4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(arguments.sets), squeeze=False)[0]
    print("| set | F | weights: PSNR | LPIPS | outputs: PSNR | LPIPS |")
    print("| --- | --- | --- | --- | --- | --- |")
    for folder, axes in zip(arguments.sets, panels, strict=True):
        curves: dict[str, list[tuple[float, float]]] = {"weights": [], "outputs": []}
        for share in SHARES:

            def outputs(lr: np.ndarray, share: float = share) -> np.ndarray:
                pair = [u.upscale(lr).astype(np.float32) for u in (sharp, faithful)]
                return (1 - share) * pair[0] + share * pair[1]

            weights = Upscaler(
                arguments.model, precision="float32", histogram_match="none", fidelity=share
            ).upscale
            cells = []
            for name, upscale in (("weights", weights), ("outputs", outputs)):
                row = judge(upscale, folder, int(sharp.scale), lpips)
                curves[name].append((row["psnr_y"], row["lpips"]))
                cells.append(f"{row['psnr_y']:.2f} | {row['lpips']:.4f}")
            print(f"| {folder.name} | {share:g} | {' | '.join(cells)} |", flush=True)
        for name, points in curves.items():
            axes.plot(*zip(*points, strict=True), ".-", label=name)
        axes.set(title=folder.name, xlabel="PSNR on luma, dB")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("LPIPS")
    panels[0].legend()
    if arguments.out:
        with atomic_path(arguments.out) as beside:
            figure.savefig(beside)


if __name__ == "__main__":
    main()
