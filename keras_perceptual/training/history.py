"""The history of a run: a table and its curves."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import keras

from keras_perceptual.errors import TrainingError, reason
from keras_perceptual.evaluation import figures
from keras_perceptual.system.atomic import atomic_path

__all__ = ["History"]


class History(keras.callbacks.Callback):
    """Keeps history.csv, a row an epoch, and draws curves.png from it.

    Args:
        path: of the CSV; rows beyond the step `keep` are those of a run that was cut off
            before its checkpoint, and are dropped.
        keep: step that the run goes on from.

    Raises:
        TrainingError: if the CSV is not one of a run.
    """

    def __init__(self, path: Path, keep: int = 0) -> None:
        super().__init__()
        self.path = path
        self.rows: list[dict] = []
        self.started = time.monotonic()
        if path.exists() and keep:
            try:
                self.rows = [row for row in _read(path) if row["step"] <= keep]
            except Exception as error:  # a file may hold anything
                raise TrainingError(
                    f"{path}: expected the history of a run: {reason(error)}"
                ) from error
        if self.rows:
            self.started -= self.rows[-1]["seconds"]

    def on_epoch_end(self, epoch, logs=None):
        seconds = round(time.monotonic() - self.started, 1)
        numbers = {k: v if isinstance(v, int) else float(v) for k, v in logs.items()}
        self.rows.append({"step": self.model.step, "seconds": seconds, **numbers})
        self.write()
        figures.curves(self.rows, self.path.with_name("curves.png"))

    def write(self) -> None:
        """Writes the rows; those from before a column was there have nothing in it."""
        with (
            atomic_path(self.path) as beside,
            beside.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, fieldnames=self.rows[-1])
            writer.writeheader()
            writer.writerows(self.rows)


def _read(path: Path) -> list[dict]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{k: _number(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    if missing := [number for number, row in enumerate(rows) if not {"step", "seconds"} <= {*row}]:
        raise ValueError(f"row {missing[0] + 1} lacks its step or its seconds")
    return rows


def _number(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() and "." not in text else number
