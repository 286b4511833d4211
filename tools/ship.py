"""Makes a run of train.py a shipped model: python tools/ship.py RUN NAME --sets DIR... --lpips FILE
or, for styles, RUN NAME --photographs DIR --vgg-weights FILE

Writes model.tflite and card.json to keras_perceptual/zoo/weights/NAME, and NAME.keras to
checkpoints/; with --calibrate also model-int8.tflite, calibrated on photographs, for a generator
that enlarges and bears it, and with --finetune fine-tuned on others before. The card's numbers are
measured on the .tflite files as they ship. NAME without RUN converts the shipped NAME.keras again,
and measures again if there are --sets; the rest of its card stays.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import sys
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
CHECKPOINTS = ROOT / "checkpoints" / "keras_perceptual_checkpoints"
WEIGHTS = ROOT / "keras_perceptual" / "zoo" / "weights"
MEASURED = ("numbers", "numbers_matched", "numbers_int8", "difference_int8", "styles")
QUANTIZED = ("subpixel", "plain")  # generators whose pictures bear 8 bits

import numpy as np

from keras_perceptual import zoo
from keras_perceptual.errors import PerceptualError
from keras_perceptual.evaluation import judge
from keras_perceptual.evaluation.benchmark import Upscale, middles, pairs, sha256, style_losses
from keras_perceptual.evaluation.lpips import LPIPS
from keras_perceptual.export.ending import with_levels
from keras_perceptual.export.finetuning import PHOTOGRAPHS, STEPS, finetuned, read_photographs
from keras_perceptual.export.levels import level_tflite
from keras_perceptual.export.quantization import patches, quantized
from keras_perceptual.export.tflite import to_tflite
from keras_perceptual.files import images
from keras_perceptual.inference.engines import open_engine
from keras_perceptual.inference.stylizer import Stylizer
from keras_perceptual.inference.upscaler import Upscaler
from keras_perceptual.models.loading import load_file
from keras_perceptual.pixels.affine import IDENTITY, measured
from keras_perceptual.pixels.grain import GRAIN
from keras_perceptual.system.atomic import atomic_path
from keras_perceptual.training.prepare import Sources, build_loss
from keras_perceptual.training.recipe import Recipe
from keras_perceptual.training.recipes import get_recipe
from keras_perceptual.zoo.descriptor import ModelDescriptor, embed, read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "what", nargs="+", metavar="RUN NAME", help="or NAME alone, to convert and measure it again"
    )
    parser.add_argument("--sets", nargs="+", type=Path, default=(), help="folders with HR/")
    parser.add_argument("--lpips", help="LPIPS weights")
    parser.add_argument(
        "--calibrate",
        type=Path,
        metavar="DIR",
        help="photographs that an 8-bit file is calibrated on; without it there is none",
    )
    parser.add_argument(
        "--finetune",
        type=Path,
        metavar="DIR",
        help=f"photographs that an 8-bit file is fine-tuned on, {PHOTOGRAPHS} of them at the most",
    )
    parser.add_argument("--steps", type=int, default=STEPS, help="of the fine-tuning (%(default)s)")
    parser.add_argument(
        "--most",
        type=float,
        default=0.5,  # on test sets it is up to a third more
        metavar="LEVELS",
        help="mean difference on them, for which it leaves layers in float32 (%(default)s)",
    )
    parser.add_argument("--photographs", type=Path, help="folder that styles are judged on")
    parser.add_argument("--vgg-weights", help="VGG16's weights, that styles are judged by")
    parser.add_argument(
        "--data",
        default="BSDS500 train and test, T91, 100 COCO and 1000 ImageNet photographs",
        help="what the run was trained on, in words",
    )
    arguments = parser.parse_args()
    *run, name = arguments.what
    if len(run) > 1:
        parser.error(f"expected RUN NAME or NAME, received {' '.join(arguments.what)}")
    try:
        card = _shipped(Path(*run), name, arguments) if run else _again(name, arguments)
    except PerceptualError as error:
        sys.exit(f"{parser.prog}: {error}")
    with atomic_path(WEIGHTS / name / "card.json") as beside:
        beside.write_text(json.dumps(card, indent=2) + "\n", "utf-8")
    print(json.dumps({key: card[key] for key in MEASURED if key in card}, indent=2))


def _shipped(folder: Path, name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Makes a run's model a shipped one and returns its card."""
    run = _read(folder)
    stages = _stages(folder, run, name)
    about = Recipe(**run["recipe"]).descriptor(_sources(run).style_names)
    checkpoint = CHECKPOINTS / f"{name}.keras"
    with atomic_path(checkpoint) as beside:
        shutil.copyfile(folder / "model.keras", beside)
        if read(beside) is None:  # of a run made before there were any
            embed(beside, about)
    tflite = _converted(name, about, arguments)
    recipe = run["recipe"]
    styles = _styles(arguments, tflite, run, about) if about.styles else {}
    return {
        "name": name,
        "descriptor": about.to_dict(),
        "parameters": run["parameters"],
        **(styles or _scores(arguments, tflite, about)),
        "recipe": {**recipe, "start": _started(recipe["start"], name)},
        "data": {"what": arguments.data, **run["photographs"]},
        "loss_network": run["loss_network"],
        "steps": sum(stage["steps"] for stage in stages),
        "seconds": round(sum(stage["seconds"] for stage in stages), 1),
        "versions": run["versions"],
        "sha256": _digests(name),
        "date": date.today().isoformat(),
        "command": " && ".join(stage["command"] for stage in stages),
    }


def _again(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Converts a shipped model anew and returns its card with new numbers and digests.

    Numbers of styles stay: they need the paintings, which the card only names.
    """
    about = zoo.descriptor(name)
    tflite = _converted(name, about, arguments)
    scores = {} if about.styles or not arguments.sets else _scores(arguments, tflite, about)
    kept = {key: value for key, value in zoo.card(name).items() if not key.endswith("_int8")}
    return {**kept, **scores, "sha256": _digests(name)}


def _converted(name: str, about: ModelDescriptor, arguments: argparse.Namespace) -> Path:
    """Writes a shipped model's .tflite files and returns the path of the one with all its bits."""
    tflite = WEIGHTS / name / "model.tflite"
    tflite.parent.mkdir(parents=True, exist_ok=True)
    generator = load_file(CHECKPOINTS / f"{name}.keras")
    given = ("none", GRAIN) if about.styles else ("affine", 0.0)
    # Neither strokes nor photographs show float16: a quarter of a level at the most.
    contents = {tflite: to_tflite(generator, *given, "float16")}
    if arguments.calibrate and about.generator in QUANTIZED:
        photographs = [images.read(path).pixels for path in images.list_images(arguments.calibrate)]
        if about.generator == "plain":
            eight = level_tflite(generator, photographs)
        else:
            batches, ranges = list(patches(photographs)), None
            if arguments.finetune:
                many = read_photographs(arguments.finetune)
                generator, ranges = finetuned(generator, many, arguments.steps)
            exact = to_tflite(generator, *given)
            eight = quantized(exact, batches, most=arguments.most, ranges=ranges)
            eight = with_levels(eight, batches)
        contents[_int8(tflite)] = eight
    _int8(tflite).unlink(missing_ok=True)
    for path, content in contents.items():
        with atomic_path(path) as beside:
            beside.write_bytes(content)
            embed(beside, about)
    return tflite


def _int8(tflite: Path) -> Path:
    return tflite.with_name("model-int8.tflite")


def _digests(name: str) -> dict[str, str]:
    files = CHECKPOINTS / f"{name}.keras", *sorted((WEIGHTS / name).glob("*.tflite"))
    return {f"{path.stem.replace(name, 'model')}{path.suffix}": sha256(path) for path in files}


def _scores(arguments: argparse.Namespace, model: Path, about: ModelDescriptor) -> dict[str, Any]:
    """Returns what the card of a model that enlarges says of it."""
    lpips = LPIPS(arguments.lpips) if arguments.lpips else None
    plain = Upscaler(model, histogram_match="none").upscale
    upscales = {"numbers": plain}
    if measured(open_engine(model).run) is not IDENTITY:
        upscales["numbers_matched"] = Upscaler(model, histogram_match="affine").upscale
    scores: dict[str, Any] = {}
    if _int8(model).exists():
        eight = Upscaler(_int8(model), histogram_match="none").upscale
        upscales["numbers_int8"] = eight
        scores["difference_int8"] = {
            each.name: _difference(plain, eight, each, about.scale) for each in arguments.sets
        }
        if arguments.finetune and about.generator != "plain":
            scores["finetuning_int8"] = {"steps": arguments.steps}
    for key, upscale in upscales.items():
        scores[key] = {
            each.name: judge(upscale, each, about.scale, lpips) for each in arguments.sets
        }
    return {"numbers_matched": scores["numbers"], **scores}  # the same where nothing shifts


def _difference(first: Upscale, second: Upscale, folder: Path, scale: int) -> dict[str, float]:
    """Returns by how many levels two differ on a set: in the mean of images, and at the most."""
    off = [
        np.abs(np.subtract(first(lr), second(lr), dtype=int)) for _, lr, _ in pairs(folder, scale)
    ]
    return {
        "mean": float(np.mean([x.mean() for x in off])),
        "largest": int(max(x.max() for x in off)),
    }


def _styles(
    arguments: argparse.Namespace, model: Path, run: dict, about: ModelDescriptor
) -> dict[str, Any]:
    """Returns what the card of a model that paints says of its styles."""
    paintings = _sources(run).styles
    sources = Sources("", "vgg16", arguments.vgg_weights, styles=paintings)
    loss = build_loss(Recipe(**run["recipe"]), sources)
    photographs = middles(arguments.photographs)
    styles = {}
    for number, (style, painting) in enumerate(zip(about.styles, paintings, strict=True)):
        stylize = Stylizer(f"{model}#{number + 1}").stylize
        styles[style] = {
            "painting": Path(painting).name,
            "losses": style_losses(stylize, photographs, loss, number),
        }
    return {"styles": styles}


def _sources(run: dict) -> Sources:
    stored = run["sources"]
    return Sources(**{**stored, "styles": tuple(stored.get("styles", ()))})


def _read(run: Path) -> dict:
    return json.loads((run / "recipe.json").read_text("utf-8"))


def _stages(folder: Path, run: dict, name: str) -> list[dict]:
    """Returns steps, seconds and command of the run, after those of the runs it went on from."""
    if "average" in run:
        return _averaged(run["average"], name)
    start = run["recipe"]["start"]
    before: list[dict] = []
    if start.endswith(".keras"):
        before = _stages(Path(start).parent, _read(Path(start).parent), name)
    elif start == name:
        before = [zoo.card(name)]
    with (folder / "history.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    steps, seconds = int(float(last["step"])), float(last["seconds"])
    command = _command(run, name)
    if steps < run["recipe"]["steps"]:
        command += f" (stopped at step {steps})"
    return [*before, {"steps": steps, "seconds": seconds, "command": command}]


def _averaged(runs: dict[str, float], name: str) -> list[dict]:
    """Returns what the runs of an average have in common, each one's own, and how it was made.

    A shipped model in it has a card of its own, but for the one that is now replaced.
    """
    stages: list[dict] = [zoo.card(name)] if name in runs else []
    folders = [run for run in runs if run not in zoo.names()]
    for run in folders:
        stages += [
            each for each in _stages(Path(run), _read(Path(run)), name) if each not in stages
        ]
    called = {name: "PREVIOUS", **{run: f"RUN{i}" for i, run in enumerate(folders, 1)}}
    shares = " ".join(f"{called.get(run, run)}={share:g}" for run, share in runs.items())
    command = f"python tools/average.py AVERAGE {shares} (the last {len(folders)} runs)"
    return [*stages, {"steps": 0, "seconds": 0.0, "command": command}]


def _started(start: str, name: str) -> str:
    """Returns what a run started from, in words that hold on any machine."""
    return "PREVIOUS/model.keras" if start == name or start.endswith(".keras") else start


def _command(run: dict, name: str) -> str:
    """Returns the command that makes such a run, with what differs from the named recipe."""
    recipe = run["recipe"]
    styles = run["sources"].get("styles", ())
    words = ["python train.py", "--recipe", recipe["name"], "--data", "PHOTOGRAPHS"]
    words += ["--style", *(Path(p).name for p in styles)] if styles else []
    if run["loss_network"]:
        words += ["--vgg-weights", "FILE"]
    for field, usual in get_recipe(recipe["name"]).to_dict().items():
        value = recipe.get(field, usual)  # runs made before there was such a field
        if value != usual:
            if isinstance(value, dict):
                value = ",".join(f"{key}={number:g}" for key, number in value.items())
            elif field == "start":
                value = _started(value, name)
            words.append(f"--{field.replace('_', '-')}")
            if not isinstance(value, bool):
                words.append(str(value))
    return " ".join(words)


if __name__ == "__main__":
    main()
