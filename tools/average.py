"""Averages models that began from one: python tools/average.py OUT RUN=WEIGHT...

RUN is a run's folder or the name of a shipped model. Writes OUT/model.keras, and beside it the
first folder's recipe and history with what was averaged, so that tools/ship.py takes OUT as a run.
The mean of such models is often better than each. Weights are shares; one below 0 leads away from
that model, as from one trained on pixels alone.

Source: Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves
accuracy without increasing inference time", 2022.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from keras_perceptual import zoo
from keras_perceptual.models.loading import load_generator, save_generator


def _weighted(text: str) -> tuple[str, float]:
    run, _, weight = text.rpartition("=")
    return run if run in zoo.names() else str(Path(run).resolve()), float(weight)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("runs", nargs="+", type=_weighted, metavar="RUN=WEIGHT")
    arguments = parser.parse_args()

    shares = dict(arguments.runs)
    folders = [Path(run) for run in shares if run not in zoo.names()]
    if not folders:
        parser.error("expected a run's folder, found names of shipped models only")
    generators = [
        load_generator(run if run in zoo.names() else str(Path(run) / "model.keras"))
        for run in shares
    ]
    averaged = [
        np.average(same, axis=0, weights=list(shares.values()))
        for same in zip(*(each.get_weights() for each in generators), strict=True)
    ]
    generators[0].set_weights(averaged)
    recipe = json.loads((folders[0] / "recipe.json").read_text("utf-8"))
    recipe["average"] = shares
    arguments.out.mkdir(parents=True)
    save_generator(generators[0], arguments.out / "model.keras")
    (arguments.out / "recipe.json").write_text(json.dumps(recipe, indent=2) + "\n", "utf-8")
    shutil.copyfile(folders[0] / "history.csv", arguments.out / "history.csv")


if __name__ == "__main__":
    main()
