"""The segments of a film that is being made, in a hidden folder beside it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_perceptual.errors import FilmError, reason
from keras_perceptual.system.atomic import atomic_path, check_target, locked

__all__ = ["Part", "Parts", "open_parts"]

_PLAN = "plan.json"


class Part(NamedTuple):
    """A finished segment.

    Args:
        path: its file.
        times: (pts, duration) of each frame in ticks, in the order in which they are shown.
        state: what the next one goes on from.
    """

    path: Path
    times: list[tuple[int, int]]
    state: dict[str, np.ndarray]


class Parts:
    """Finished segments, and where the next one goes.

    A segment counts once its times are there, which are written last; whatever else lies in the
    folder is half of something.

    Args:
        folder: the hidden one.
        plan: what the film is made of and how; only segments of the same plan fit together.
    """

    def __init__(self, folder: Path, plan: dict[str, Any]) -> None:
        self.folder, self.plan = folder, plan
        self.finished: list[Part] = []

    def load(self, name: str) -> None:
        """Takes the segments that are there.

        Raises:
            FilmError: if they are of another plan.
        """
        try:
            found = json.loads((self.folder / _PLAN).read_text("utf-8"))
        except (OSError, ValueError):
            return
        told = found.get("told", {})
        if {**found, "told": 0} != {**self.plan, "told": 0}:
            raise FilmError(
                f"{name}: was begun from another film or with other settings; without --resume "
                "it begins anew"
            )
        self.plan["told"] = told
        while (part := self._read(len(self.finished))) is not None:
            self.finished.append(part)

    def _read(self, number: int) -> Part | None:
        path = self._path(number)
        try:
            times = json.loads(path.with_suffix(".json").read_text("utf-8"))
            state: dict[str, np.ndarray] = {}
            with suppress(FileNotFoundError), np.load(path.with_suffix(".npz")) as stored:
                state = dict(stored)
            path.stat()
            return Part(path, [(int(pts), int(duration)) for pts, duration in times], state)
        except (OSError, ValueError, TypeError):
            return None

    def begin(self, told: dict[str, Any]) -> None:
        """Removes what is left of others and writes the plan.

        Args:
            told: what was decided for the whole film.
        """
        kept = {each.path.stem for each in self.finished}
        for entry in self.folder.iterdir():
            if entry.stem not in kept and entry.name != "lock":
                entry.unlink()
        self.plan["told"] = told
        with atomic_path(self.folder / _PLAN) as beside:
            beside.write_text(json.dumps(self.plan) + "\n", "utf-8")

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.mkv"

    @property
    def next_path(self) -> Path:
        """Where the next segment goes."""
        return self._path(len(self.finished))

    def finish(self, times: list[tuple[int, int]], state: dict[str, np.ndarray]) -> None:
        """Says that the next segment is whole."""
        path = self.next_path
        with path.open("rb") as file:
            os.fsync(file.fileno())
        if state:
            with path.with_suffix(".npz").open("wb") as file:
                np.savez(file, **state)  # type: ignore[arg-type]
        with atomic_path(path.with_suffix(".json")) as beside:
            beside.write_text(json.dumps(times), "utf-8")
        if self.finished:  # its state is not needed any more, and may be large
            self.finished[-1].path.with_suffix(".npz").unlink(missing_ok=True)
        self.finished.append(Part(path, times, {}))

    @property
    def last(self) -> int | None:
        """When the last finished frame is shown, in ticks."""
        return self.finished[-1].times[-1][0] if self.finished else None


@contextmanager
def open_parts(target: Path, plan: dict[str, Any], resume: bool) -> Iterator[Parts]:
    """Opens the hidden folder of a film, which is removed once the film is there.

    Args:
        target: the film that is written.
        plan: what it is made of and how, of what JSON has.
        resume: whether to go on with what is there; else it is removed.

    Raises:
        FilmError: if another process writes the film now, or `target` cannot be written.
    """
    try:
        target = check_target(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = target.with_name(f".{target.name[-200:]}.parts")
        folder.mkdir(exist_ok=True)
        with locked(folder / "lock") as alone:
            if not alone:
                raise FilmError(f"{target}: is being written by another process")
            parts = Parts(folder, plan)
            if resume:
                parts.load(str(target))
            yield parts
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise FilmError(f"{target}: cannot be written: {reason(error)}") from error
