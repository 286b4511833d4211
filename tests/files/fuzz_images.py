"""Mutates valid image files and reads them: each must give a picture or an ImageError.

`python tests/files/fuzz_images.py --seeds 5000` tries 5000 mutations of every sample in processes
that may crash or hang, and names the seeds that do. `--keep FOLDER` writes their files.
"""

from __future__ import annotations

import argparse
import io
import re
import resource
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np

from keras_perceptual.errors import ImageError
from keras_perceptual.files import animations, formats
from keras_perceptual.files.sink import Sink
from keras_perceptual.files.source import Source, open_source
from tests.files.mutations import mutate
from tests.files.samples import samples
from tests.peak import peak

SECONDS = 20  # for one file, on a busy machine
MOST_PIXELS = 1_000_000
MEMORY = 2**26  # bytes that decoding one may take
MEGABYTES = 120  # that reading and writing one takes at most, in all
WRITTEN = ("png", "jpg", "tif", "webp", "gif", "avif", "png", "jp2")
NOISE = re.compile("CRITICAL|Traceback|Warning")
ANIMATED = ("gif", "png", "webp")


def read(name: str, data: bytes) -> str:
    """Reads a file in all ways; returns what came of it: a picture, or an error of one line."""
    outcome = "picture"
    try:
        with open_source(data, most_pixels=MOST_PIXELS, memory=MEMORY) as source:
            parts, rows = [], 0
            while rows < source.height:
                part = source.take(7)
                assert part.shape[1:] == (source.width, 3 + source.alpha), part.shape
                assert part.dtype == (np.uint16 if source.bits == 16 else np.uint8), part.dtype
                assert len(part) == min(7, source.height - rows), part.shape
                rows += len(part)
                parts.append(part)
    except ImageError as error:
        outcome = _checked(error)
    else:
        if source.width * source.height < 100_000:
            _write(source, parts, WRITTEN[zlib.crc32(data) % len(WRITTEN)])
    if name.split("-")[0] in ANIMATED:
        try:
            animation = animations.read_frames(data, most_pixels=MOST_PIXELS, memory=MEMORY)
            assert sum(frame.shape[2] == 4 for frame in animation) == len(animation)
        except ImageError as error:
            _checked(error)
    return outcome


def _write(source: Source, parts: list[np.ndarray], ending: str) -> None:
    """Writes what was read, with its metadata, however strange; that must always succeed."""
    try:
        form = formats.of(f"a.{ending}")
    except ImageError:  # a Pillow without AVIF
        return
    about = {"bits": source.bits, "gray": source.gray, "alpha": source.alpha}
    size = source.height, source.width
    with Sink(None, form, *size, **about, metadata=source.metadata) as sink:
        for part in parts:
            sink.append(part)
        file = io.BytesIO()
        sink.finish_into(file)
    with open_source(file.getvalue()) as written:
        assert (written.height, written.width) == size
        rows = written.take(written.height)
        if ending in ("png", "tif"):
            assert (written.bits, written.gray, written.alpha) == tuple(about.values())
            # A profile that PNG does not take is applied.
            if written.metadata.icc_profile == source.metadata.icc_profile:
                assert np.array_equal(rows, np.concatenate(parts))


def _checked(error: ImageError) -> str:
    message = str(error)
    assert message.startswith("stdin: "), message
    assert "\n" not in message, message
    return message


def work(names: list[str], seeds: range) -> None:
    """Reads mutations, saying before each which comes; the parent reads along."""
    for name in names:
        for seed in seeds:
            print(f"{name} {seed}", flush=True)
            signal.alarm(SECONDS)
            data, before = mutate(name, seed), _forget_peak()
            read(name, data)
            taken = peak() - before
            if taken > MEGABYTES:
                raise MemoryError(f"MemoryError: {taken} MB for a file of {len(data)} bytes")
    signal.alarm(0)
    print("done", flush=True)


def _forget_peak() -> int:
    """Makes Linux count the most memory anew; returns megabytes that are held now."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def run(names: list[str], seeds: range) -> list[str]:
    """Reads mutations in a process of its own, again after each that kills it.

    Returns:
        What failed: sample, seed and how.
    """
    failures = []
    left = [(name, seed) for name in names for seed in seeds]
    while left:
        spec = f"{','.join(names)}:{left[0][0]}:{left[0][1]}:{seeds.start}:{seeds.stop}"
        process = subprocess.run(
            [sys.executable, "-X", "faulthandler", __file__, "--worker", spec],
            capture_output=True,
            text=True,
        )
        *_, last = process.stdout.splitlines() or [""]
        told = process.stderr.splitlines()
        failures += [f"{names[0]}: {line}" for line in told if NOISE.search(line)][:1]
        if process.returncode == 0 and last == "done":
            break
        if not last:
            return [f"no worker: {process.stderr}"]
        name, seed = last.split()
        why = next((line for line in told if "rror" in line), "")
        how = "hangs" if process.returncode == -signal.SIGALRM else f"exit {process.returncode}"
        failures.append(f"{name} {seed}: {how}: {why}")
        left = left[left.index((name, int(seed))) + 1 :]
    return failures


def _work_from(spec: str) -> None:
    listed, first, seed, start, stop = spec.split(":")
    names = listed.split(",")
    at = names.index(first)
    work([first], range(int(seed), int(stop)))
    work(names[at + 1 :], range(int(start), int(stop)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=20, help="mutations of each sample (20)")
    parser.add_argument("--first", type=int, default=0, help="first seed (0)")
    parser.add_argument("--samples", nargs="+", default=list(samples()), metavar="NAME")
    parser.add_argument("--keep", type=Path, help="folder for the files that fail")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        _work_from(arguments.worker)
        return 0
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    began, failures = time.time(), []
    for name in arguments.samples:
        found = run([name], seeds)
        print(f"{name}: {len(seeds)} seeds, {len(found)} failures", *found, sep="\n  ", flush=True)
        failures += found
        if arguments.keep:
            arguments.keep.mkdir(parents=True, exist_ok=True)
            for failure in found:
                seed = failure.split()[1].rstrip(":")
                if seed.isdecimal():
                    (arguments.keep / f"{name}-{seed}").write_bytes(mutate(name, int(seed)))
    total = len(seeds) * len(arguments.samples)
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(
        f"{total} files, {len(failures)} failures, {time.time() - began:.0f} s, "
        f"at most {most} MB in memory"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
