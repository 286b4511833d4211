"""train.py in several processes: equal to one, and what is left when one of them is killed.

    python benchmarks/cluster_training.py            # each process killed, at several moments
    python benchmarks/cluster_training.py --processes 3 --ranks 2 --moments step

Everything runs on this machine in a network that has loopback only (`machines.py`), under JAX.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import machines
from machines import wait_for

# Small, but with all that a run has: a loss network, moving averages, validation.
RECIPE = {
    "loss-network": "distilled", "batch-size": 6, "patch-size": 64, "channels": 8, "blocks": 1,
    "start": "", "ema": 0.9, "warmup": 0,
}  # fmt: skip
MOMENTS = ("start", "step", "frozen", "validation")
PORT = 29791
SAMPLES = ROOT / "data" / "samples" / "HR"


class Group:
    """Processes that train together."""

    def __init__(self, out: Path, count: int, flags: list[str]) -> None:
        self.out = out
        self.logs = [out.with_name(f"{out.name}.{rank}.log") for rank in range(count)]
        self.processes: list[subprocess.Popen] = []
        for rank, log in enumerate(self.logs):
            place = ["--distributed", f"127.0.0.1:{PORT},{count},{rank}"] if count > 1 else []
            command = [sys.executable, str(ROOT / "train.py"), *flags, *place]
            environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_NUM_CPU_DEVICES": "1"}
            with log.open("w") as errors:
                process = subprocess.Popen(
                    command, env=environment, stdout=subprocess.DEVNULL, stderr=errors
                )
            self.processes.append(process)

    def last(self, rank: int) -> str:
        """Returns the last line that a process told people."""
        lines = self.logs[rank].read_text(errors="replace").replace("\r", "\n").splitlines()
        return next((line for line in reversed(lines) if line.strip()), "")

    def ends(self, ranks: list[int], seconds: float) -> list[tuple[int, float]]:
        """Waits for processes; returns the (status, seconds) of each."""
        began = time.monotonic()
        ended: dict[int, tuple[int, float]] = {}
        while len(ended) < len(ranks):
            for rank in ranks:
                status = self.processes[rank].poll()
                if status is not None and rank not in ended:
                    ended[rank] = (status, time.monotonic() - began)
            if time.monotonic() - began > seconds:
                raise TimeoutError(f"processes {ranks} after {seconds:g} s: {ended}")
            time.sleep(0.01)
        return [ended[rank] for rank in ranks]

    def kill(self) -> None:
        """Ends all."""
        for process in self.processes:
            process.kill()
            process.wait()


def history(out: Path) -> list[dict[str, float]]:
    """Returns the rows of a run's history."""
    path = out / "history.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def difference(run: Path, other: Path) -> float:
    """Returns the largest relative difference of two histories, times left out."""
    rows, others = history(run), history(other)
    assert [row["step"] for row in rows] == [row["step"] for row in others]
    return max(
        abs(row[name] - another[name]) / max(1e-12, abs(another[name]))
        for row, another in zip(rows, others, strict=True)
        for name in row.keys() - {"seconds"}
    )


def flags(data: Path, recipe: str, steps: int, epoch: int) -> list[str]:
    """Returns what train.py gets in each process."""
    numbers = {"recipe": recipe, **RECIPE, "steps": steps, "epoch-steps": epoch}
    return ["--data", str(data), *(f"--{name}={value}" for name, value in numbers.items())]


def killed(folder: Path, count: int, victim: int, moment: str, given: list[str]) -> Path:
    """Trains, kills one, waits for the others, and lets all go on to the end."""
    out = folder / f"{count}-{victim}-{moment}"
    group = Group(out, count, [*given, "--out", str(out)])
    after = {"start": 0, "step": 2, "frozen": 1, "validation": 1}[moment]
    wait_for(lambda: len(history(out)) >= after and (out / "recipe.json").exists(), 300, "epochs")
    if moment == "validation":  # in the midst of an epoch's end: its model is newer than its steps
        model = out / "model.keras"
        wait_for(model.exists, 60, "a model")
        before = model.stat().st_mtime_ns
        wait_for(lambda: model.stat().st_mtime_ns != before, 60, "another model")
    else:
        time.sleep(0.1)
    _, beyond = machines.listening()
    assert not beyond, f"expected none to listen beyond loopback, found {beyond}"
    how = signal.SIGSTOP if moment == "frozen" else signal.SIGKILL
    group.processes[victim].send_signal(how)
    others = [rank for rank in range(count) if rank != victim]
    ends = group.ends(others, 60)
    group.kill()
    told = [group.last(rank) for rank in others]
    done = len(history(out))
    again = [*given, "--out", str(out)]
    if (out / "recipe.json").exists():
        again = ["--resume", str(out)]
    statuses = [status for status, _ in Group(out, count, again).ends(list(range(count)), 200)]
    row = {
        "processes": count, "killed": victim, "moment": moment, "epochs": done,
        "statuses": [status for status, _ in ends],
        "seconds": [round(seconds, 1) for _, seconds in ends],
        "told": told, "resumed": statuses,
    }  # fmt: skip
    print(json.dumps(row), flush=True)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--processes", type=int, default=2, help="that train (%(default)s)")
    parser.add_argument("--ranks", nargs="+", type=int, help="which are killed (each)")
    parser.add_argument("--moments", nargs="*", choices=MOMENTS, default=MOMENTS, help="when (all)")
    parser.add_argument("--data", type=Path, default=SAMPLES, help="photographs (the samples)")
    parser.add_argument("--recipe", default="x4-feature", help="to begin with (%(default)s)")
    parser.add_argument("--steps", type=int, default=60, help="of a run (%(default)s)")
    parser.add_argument("--epoch", type=int, default=10, help="steps of an epoch (%(default)s)")
    parser.add_argument(
        "--killed-only", action="store_true", help="leave out the run that nobody kills"
    )
    arguments = parser.parse_args()
    machines.enter(parser)
    given = flags(arguments.data, arguments.recipe, arguments.steps, arguments.epoch)
    with tempfile.TemporaryDirectory(prefix="kp") as folder:
        try:
            _all(arguments, Path(folder), given)
        finally:
            machines.end()


def _end(group: Group, count: int) -> None:
    statuses = group.ends(list(range(count)), 600)
    assert not any(status for status, _ in statuses), group.last(0)


def _all(arguments: argparse.Namespace, folder: Path, given: list[str]) -> None:
    count = arguments.processes
    whole, together = folder / "whole", folder / "together"
    one = Group(whole, 1, [*given, "--out", str(whole)])
    if not arguments.killed_only:
        _end(Group(together, count, [*given, "--out", str(together)]), count)
        _end(one, 1)
        print(f"largest difference {difference(together, whole):.1e}", flush=True)
    for moment in arguments.moments:
        for rank in arguments.ranks or range(count):
            out = killed(folder, count, rank, moment, given)
            _end(one, 1)
            print(f"largest difference {difference(out, whole):.1e}", flush=True)


if __name__ == "__main__":
    main()
