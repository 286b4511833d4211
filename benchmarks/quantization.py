"""What each quantisation of the .tflite file costs in quality:

    python benchmarks/quantization.py --sets SET5 --lpips FILE

prints a Markdown table of size, PSNR, SSIM and LPIPS without histogram matching.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from keras_perceptual import Upscaler
from keras_perceptual.evaluation import judge
from keras_perceptual.evaluation.lpips import LPIPS
from keras_perceptual.export import QUANTIZATIONS, Exporter
from keras_perceptual.files import images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["x4-feature", "x4-pixel"])
    parser.add_argument("--sets", nargs="+", type=Path, required=True, help="folders with HR/")
    parser.add_argument("--lpips", help="LPIPS weights")
    parser.add_argument(
        "--photographs",
        type=Path,
        default=ROOT / "data" / "samples" / "LRx4",
        help="folder of LR images to calibrate int8 on",
    )
    arguments = parser.parse_args()
    photographs = [images.read(path).pixels for path in images.list_images(arguments.photographs)]
    lpips = LPIPS(arguments.lpips) if arguments.lpips else None
    print("| model | quantisation | MB | set | PSNR | SSIM | LPIPS | |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for model in arguments.models:
            exporter = Exporter(model, Path(folder), photographs)
            exact: dict[str, float] = {}
            for quantize in QUANTIZATIONS:
                path, size, _ = exporter.tflite(quantize)
                upscaler = Upscaler(path, histogram_match="none")
                for each in arguments.sets:
                    row = judge(upscaler.upscale, each, exporter.descriptor.scale, lpips)
                    lost = exact.setdefault(each.name, row["psnr_y"]) - row["psnr_y"]
                    warning = f"loses {lost:.2f} dB" if lost > 0.1 else ""
                    print(
                        f"| {model} | {quantize} | {size / 1e6:.2f} | {each.name} | "
                        f"{row['psnr_y']:.2f} | {row['ssim_y']:.4f} | "
                        f"{row.get('lpips', float('nan')):.4f} | {warning} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
