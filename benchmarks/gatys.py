"""A style network against the optimisation that it replaces:

    python benchmarks/gatys.py --style NAME --painting FILE --vgg-weights FILE --photographs DIR

minimises the style's loss over the image itself by L-BFGS, as Gatys et al. 2016 do, and prints
when it comes as far as the network does, and how much longer that takes, at several sizes: the
paper's figure 5 and table 1. The curves are of the first size; the others are timed.
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from pathlib import Path
from timeit import repeat

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
import tensorflow as tf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from scipy.optimize import minimize
from tqdm.auto import tqdm

from keras_perceptual import training, zoo
from keras_perceptual.files import images
from keras_perceptual.inference.stylizer import Stylizer
from keras_perceptual.losses.perceptual import PerceptualLoss
from keras_perceptual.system.atomic import atomic_path
from keras_perceptual.training.recipe import Recipe

PAPERS = (100, 300, 500)  # iterations that the paper counts
TIMED = 3  # iterations that are timed at sizes that are not run to the end


class Objective:
    """The loss of an image and its gradient, as SciPy takes them."""

    def __init__(self, loss: PerceptualLoss, photograph: np.ndarray) -> None:
        self.loss, self.photograph = loss, tf.constant(photograph[None], tf.float32)
        self.values: list[float] = []
        self.times: list[float] = []
        self._step = tf.function(self._value_and_gradient)

    def _value_and_gradient(self, image):
        with tf.GradientTape() as tape:
            tape.watch(image)
            total = self.loss.total(self.loss(self.photograph, image))
        return total, tape.gradient(total, image)

    def value(self, image: np.ndarray) -> float:
        return float(self._step(tf.constant(image[None], tf.float32))[0])

    def __call__(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        image = flat.reshape(self.photograph.shape).astype(np.float32)
        begun = time.perf_counter()
        total, gradient = self._step(tf.constant(image))
        gradient = gradient.numpy().ravel().astype(np.float64)
        self.times.append(time.perf_counter() - begun)
        self.values.append(float(total))
        # L-BFGS-B stops at gradients below 1e-5 of whatever unit: those of pixels are smaller.
        return 1e4 * self.values[-1], 1e4 * gradient

    def minimise(self, iterations: int) -> None:
        """Runs L-BFGS from noise, as the paper does, within 0..255."""
        noise = np.random.default_rng(0).uniform(0, 255, self.photograph.shape).ravel()
        with tqdm(total=iterations, unit="iteration") as bar:
            minimize(
                self,
                noise,
                jac=True,
                method="L-BFGS-B",
                bounds=[(0, 255)] * noise.size,
                callback=lambda _: bar.update(),
                options={"maxiter": iterations, "maxfun": 2 * iterations, "ftol": 0, "gtol": 0},
            )


def _square(path: Path, side: int) -> np.ndarray:
    """Returns the middle square of a photograph at a size."""
    pixels = images.read(path).pixels
    square = Image.fromarray(images.middle(pixels, min(pixels.shape[:2])))
    return np.asarray(square.resize((side, side), Image.Resampling.LANCZOS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--style", required=True, choices=sorted(zoo.styles()))
    parser.add_argument("--painting", required=True, help="the style image")
    parser.add_argument("--vgg-weights", required=True)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--sizes", nargs="+", type=int, default=[256, 512, 1024])
    parser.add_argument("--count", type=int, default=3, help="photographs that are optimised")
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--out", type=Path, help="PNG to draw")
    arguments = parser.parse_args()

    recipe = Recipe(**zoo.card(zoo.styles()[arguments.style][0])["recipe"])
    sources = training.Sources("", "vgg16", arguments.vgg_weights, styles=(arguments.painting,))
    loss = training.build_loss(recipe, sources)
    stylize = Stylizer(arguments.style).stylize
    paths = images.list_images(arguments.photographs)[: arguments.count]

    figure = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    reached = []
    for path in paths:
        photograph = _square(path, arguments.sizes[0])
        objective = Objective(loss, photograph)
        network = objective.value(stylize(photograph))
        objective.minimise(arguments.iterations)
        best = np.minimum.accumulate(objective.values)
        beyond = np.flatnonzero(best <= network)
        reached.append(int(beyond[0]) + 1 if beyond.size else len(best))
        (line,) = axes.plot(best, label=path.stem)
        axes.axhline(network, color=line.get_color(), linestyle=":")
        print(f"{path.stem}: network {network:.3f}, {reached[-1]} iterations", flush=True)
    axes.set(
        title=f"{arguments.style}, {arguments.sizes[0]} pixels: optimisation, and network (dotted)",
        xlabel="evaluations of the loss",
        ylabel="loss",
        yscale="log",
    )
    axes.grid(alpha=0.3)
    axes.legend()
    if arguments.out:
        with atomic_path(arguments.out) as beside:
            figure.savefig(beside)

    print(f"\n{np.mean(reached):.0f} evaluations in the mean reach the network's loss.\n")
    counts = (round(float(np.mean(reached))), *PAPERS)
    ratios = " | ".join(f"ratio at {count}" for count in counts)
    print(f"| side | network, s | one evaluation, s | {ratios} |")
    print(f"|{' --- |' * (3 + len(counts))}")
    for side in arguments.sizes:
        photograph = _square(paths[0], side)
        seconds = min(repeat(partial(stylize, photograph), number=1, repeat=5))
        objective = Objective(loss, photograph)
        objective.minimise(TIMED)
        step = min(objective.times)
        cells = " | ".join(f"{step * count / seconds:.0f}" for count in counts)
        print(f"| {side} | {seconds:.3f} | {step:.2f} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
