"""Stores distances by PyTorch's lpips 0.1.4 in lpips.json, to test our LPIPS against.

In an environment with `pip install lpips torch torchvision`:

    python -m tests.golden.make_lpips lpips_alex_v0.1.npz

AlexNet's convolutions come from the file; the heads and all the arithmetic are the package's.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_perceptual.files import images
from keras_perceptual.pixels.resampling import imresize, to_uint8

SAMPLES = Path(__file__).parents[2] / "data" / "samples"


def pairs() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yields (name, sr, hr) with `[H, W, 3]` uint8 images, made from the samples."""
    hr = images.read(SAMPLES / "HR" / "chelsea.png").pixels
    yield "bicubic", to_uint8(imresize(imresize(hr, 1 / 4), 4)), hr
    hr = images.read(SAMPLES / "HR" / "rocket.png").pixels
    yield "noise", to_uint8(hr + np.random.default_rng(0).normal(0, 20, hr.shape)), hr


def main() -> None:
    import lpips
    import torch

    network = lpips.LPIPS(net="alex", pnet_rand=True)
    with np.load(sys.argv[1]) as arrays:
        ours = (arrays[f"conv{i}_{kind}"] for i in range(1, 6) for kind in ("kernel", "bias"))
        theirs = (torch.tensor(a.transpose(3, 2, 0, 1) if a.ndim == 4 else a) for a in ours)
        network.net.load_state_dict(dict(zip(network.net.state_dict(), theirs, strict=True)))

    def unit(image: np.ndarray) -> torch.Tensor:
        return torch.tensor(image.transpose(2, 0, 1)[None] / 127.5 - 1, dtype=torch.float32)

    distances = {name: network(unit(sr), unit(hr)).item() for name, sr, hr in pairs()}
    path = Path(__file__).with_name("lpips.json")
    path.write_text(json.dumps(distances, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
