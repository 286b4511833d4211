"""Averages the models of runs that began from one: python tools/average.py OUT RUN=WEIGHT...

Writes OUT/model.keras, and beside it the first run's recipe and history with what was averaged, so
that tools/ship.py takes OUT as a run. The mean of such models is often better than each. Weights
are shares; one below 0 leads away from that model, as from one trained on pixels alone.

Source: Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves
accuracy without increasing inference time", 2022.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from keras_perceptual.models.loading import load_file, save_generator


def _weighted(text: str) -> tuple[Path, float]:
    run, _, weight = text.rpartition("=")
    return Path(run), float(weight)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("runs", nargs="+", type=_weighted, metavar="RUN=WEIGHT")
    arguments = parser.parse_args()

    total = sum(weight for _, weight in arguments.runs)
    generators = [load_file(run / "model.keras") for run, _ in arguments.runs]
    averaged = [
        sum(share * each for (_, share), each in zip(arguments.runs, same, strict=True)) / total
        for same in zip(*(each.get_weights() for each in generators), strict=True)
    ]
    generators[0].set_weights(averaged)
    first, _ = arguments.runs[0]
    recipe = json.loads((first / "recipe.json").read_text("utf-8"))
    recipe["average"] = {str(run.resolve()): weight for run, weight in arguments.runs}
    arguments.out.mkdir(parents=True)
    save_generator(generators[0], arguments.out / "model.keras")
    (arguments.out / "recipe.json").write_text(json.dumps(recipe, indent=2) + "\n", "utf-8")
    shutil.copyfile(first / "history.csv", arguments.out / "history.csv")


if __name__ == "__main__":
    main()
