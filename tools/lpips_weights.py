"""Makes the weights that keras_perceptual.lpips reads, from the public `lpips` package.

    pip install lpips torch torchvision
    python tools/lpips_weights.py lpips_alex_v0.1.npz

The package brings the linear heads; it has torchvision download AlexNet, 233 MB, once.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from keras_perceptual.system.atomic import atomic_path

# AlexNet's convolutions, by lpips's slice and torchvision's index in it.
CONVOLUTIONS = "slice1.0", "slice2.3", "slice3.6", "slice4.8", "slice5.10"


def convert(state: Mapping) -> dict[str, np.ndarray]:
    """Names and lays out the weights of `lpips.LPIPS(net="alex")` as the .npz has them.

    Args:
        state: its `state_dict()`: `net.sliceN.I.weight` `[out, in, height, width]`,
            `net.sliceN.I.bias` `[out]` and the heads `linK.model.1.weight` `[1, in, 1, 1]`.

    Returns:
        `convN_kernel` `[height, width, in, out]` and `convN_bias` `[out]` for N in 1..5, and
        `linK` `[in]` for K in 0..4.
    """
    arrays = {}
    for i, name in enumerate(CONVOLUTIONS):
        kernel = np.asarray(state[f"net.{name}.weight"])
        arrays[f"conv{i + 1}_kernel"] = kernel.transpose(2, 3, 1, 0)
        arrays[f"conv{i + 1}_bias"] = np.asarray(state[f"net.{name}.bias"])
        arrays[f"lin{i}"] = np.ravel(state[f"lin{i}.model.1.weight"])
    return arrays


def _fail(reason: str) -> int:
    print(f"lpips_weights.py: {' '.join(reason.split())}", file=sys.stderr)
    return 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="the .npz to write")
    out = parser.parse_args().out
    if out.suffix != ".npz":
        parser.error(f"{out}: expected an ending of .npz")
    try:
        import lpips

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # lpips calls torchvision in its older way
            network = lpips.LPIPS(net="alex", version="0.1", verbose=False)
        out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(out) as beside:
            # NumPy's types take every name for its own `allow_pickle`.
            np.savez(beside, **convert(network.state_dict()))  # type: ignore[arg-type]
    except ImportError as error:
        return _fail(f"{error}; pip install lpips torch torchvision has it")
    # PyTorch raises nearly anything on a download that failed or a file that is broken.
    except Exception as error:
        return _fail(f"{type(error).__name__}: {error}")
    print(out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
