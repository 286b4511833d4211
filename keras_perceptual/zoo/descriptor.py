"""`ModelDescriptor`: what a model is, as its card and its own file say it."""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

from keras_perceptual.zoo.fields import check_fields

__all__ = ["ModelDescriptor", "embed", "read"]

TASKS = ("upscale", "style")
_NAME = "descriptor.json"
_SAVED_MODEL = Path("assets.extra", _NAME)
_MOST_BYTES = 2**16
_DATE = (1980, 1, 1, 0, 0, 0)  # equal models are equal files


@dataclass(frozen=True)
class ModelDescriptor:
    """What a model is, so that nobody has to guess it from the model's layers or name.

    Args:
        task: `upscale` or `style`.
        scale: output size over input size; 1 of a style generator.
        styles: names of the styles that it paints, in their order.
        generator: name of the architecture, a key of `models.GENERATORS`; empty if it is not known.
        channels: filters of the generator's inner convolutions; 0 if they are not known.
        blocks: its residual blocks; 0 if they are not known.
        normalization: of a style generator, `instance` or `batch`.

    Raises:
        ValueError: for a field of another type, another task, a scale below 1, or styles of a model
            that enlarges.
    """

    task: str
    scale: int = 1
    styles: tuple[str, ...] = ()
    generator: str = ""
    channels: int = 0
    blocks: int = 0
    normalization: str = ""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.task not in TASKS:
            raise ValueError(f"expected a task of {', '.join(TASKS)}, received {self.task!r}")
        if self.scale < 1 or (self.task == "style") != (self.scale == 1):
            raise ValueError(f"expected a scale that fits {self.task}, received {self.scale}")
        if bool(self.styles) != (self.task == "style"):
            raise ValueError(f"expected styles that fit {self.task}, received {self.styles}")

    def to_dict(self) -> dict:
        """Returns the fields as a dict that JSON takes, without those that say nothing."""
        return {name: value for name, value in asdict(self).items() if value}


def embed(path: Path, descriptor: ModelDescriptor) -> None:
    """Writes a descriptor into a model's file.

    A .keras file is a zip, and gets an entry; a .tflite file gets a zip behind its end, as other
    tools put labels there; readers of either pass over it. A SavedModel's folder gets a file.

    Args:
        path: of the model, which has no descriptor yet.
        descriptor: what it is.
    """
    text = json.dumps(descriptor.to_dict(), indent=2) + "\n"
    if path.is_dir():
        file = path / _SAVED_MODEL
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")
        return
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(_NAME, _DATE), text)


def read(path: Path) -> ModelDescriptor | None:
    """Reads the descriptor in a model's file, or in a SavedModel's folder.

    Returns:
        None where there is none, as in files of others.
    """
    try:
        if path.is_dir():
            text = (path / _SAVED_MODEL).read_text("utf-8")
        else:
            with zipfile.ZipFile(path) as archive:
                if archive.getinfo(_NAME).file_size > _MOST_BYTES:
                    return None
                text = archive.read(_NAME).decode()
        return ModelDescriptor(**json.loads(text))
    except Exception:  # what is no such file may be anything, and so may what it raises
        return None
