"""Several machines on one: a network that has loopback only, with Ray nodes and an S3 server in it.

As a script it runs a command in such a network: `python benchmarks/machines.py COMMAND ...`.
Linux only, and only where users may make network namespaces (`unshare -rn true`).
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["Machines", "end", "enter", "isolated", "listening", "named", "refused", "wait_for"]

ROOT = Path(__file__).parents[1]
KEYS = ("AKIALOOPBACK", "loopback-only-secret")
_LISTEN = "0A"
_MARK = "KERAS_PERCEPTUAL_IN_NETWORK"


def isolated(command: Sequence[str | Path]) -> list[str]:
    """Returns the command that runs another in a network of its own."""
    inside = [sys.executable, __file__, *map(str, command)]
    return ["unshare", "--map-root-user", "--net", *inside]


def refused() -> str | None:
    """Returns why there can be no network of its own here, or None."""
    if not shutil.which("unshare"):
        return "unshare is not installed"
    tried = subprocess.run(
        ["unshare", "--map-root-user", "--net", "true"], capture_output=True, text=True
    )
    return tried.stderr.strip() or "unshare failed" if tried.returncode else None


def enter(parser: argparse.ArgumentParser) -> None:
    """Begins the script anew in a network of its own, unless it is in one; says where none can be.

    Args:
        parser: of the script, for messages.
    """
    if _MARK in os.environ:
        return
    if why := refused():
        parser.error(f"expected that a network namespace may be made here: {why}")
    command = isolated([sys.executable, *sys.argv])
    os.execvpe(command[0], command, {**os.environ, _MARK: "1"})


def _raise_loopback() -> None:
    with socket.socket() as control:  # SIOCSIFFLAGS, IFF_UP | IFF_RUNNING
        fcntl.ioctl(control, 0x8914, struct.pack("16sh", b"lo", 0x41))


def wait_for(there: Callable[[], bool], seconds: float, what: str) -> None:
    """Waits until something is so, or raises a TimeoutError."""
    end = time.monotonic() + seconds
    while not there():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.02)


def listening() -> tuple[list[str], list[str]]:
    """Returns the kernel's list of TCP sockets that listen here: on loopback, and beyond."""
    inside: list[str] = []
    beyond: list[str] = []
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            address = local.partition(":")[0]
            if state == _LISTEN:
                lists = inside if _on_loopback(address) else beyond
                lists.append(local)
    return inside, beyond


def _on_loopback(address: str) -> bool:
    """Says whether an address of /proc/net/tcp, in words of this machine's order, is loopback."""
    if len(address) == 8:
        return address.endswith("7F")
    mapped = address[:24] == "0000000000000000FFFF0000" and address.endswith("7F")
    return mapped or address == "0" * 24 + "01000000"


def named(pattern: str) -> list[int]:
    """Returns the processes of this network whose command lines a pattern is found in."""
    ours = os.readlink("/proc/self/ns/net")
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if not entry.name.isdecimal() or os.readlink(entry / "ns/net") != ours:
                continue
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if re.search(pattern, command) and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return sorted(found)


def end() -> None:
    """Ends all that runs in this network but this process."""
    for process in named(""):
        with contextlib.suppress(OSError):
            os.kill(process, signal.SIGKILL)


class Machines:
    """An S3 server and Ray nodes of one core each, to be used in a `with` statement.

    Args:
        folder: for the bucket, logs and Ray's files.
        hook: Python that each process of a node runs first.

    Attributes:
        bucket: the folder that `s3://bucket` is.
        environment: of the programs that use them.
    """

    PORT, S3_PORT = 6399, 5556

    def __init__(self, folder: Path, hook: str = "") -> None:
        self.folder, self.bucket = folder, folder / "s3" / "bucket"
        self.address = f"127.0.0.1:{self.PORT}"
        self._nodes: list[subprocess.Popen] = []
        for each in (self.bucket, folder / "ray", folder / "hook", folder / "tmp"):
            each.mkdir(parents=True, exist_ok=True)
        (folder / "hook" / "sitecustomize.py").write_text(hook)
        self.environment = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": KEYS[0],
            "AWS_SECRET_ACCESS_KEY": KEYS[1],
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.S3_PORT}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": "0123456789abcdef" * 4,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_TMPDIR": str(folder / "ray"),
            "TMPDIR": str(folder / "tmp"),
        }

    def __enter__(self) -> Machines:
        self._start(
            "s3", self._tool("rclone"), "serve", "s3", "--auth-key", ",".join(KEYS),
            "--addr", f"127.0.0.1:{self.S3_PORT}", self.bucket.parent,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        end()

    def node(self) -> subprocess.Popen:
        """Starts the head, or one node more, and waits until it has joined."""
        place = ["--address", self.address]
        if not self._nodes:
            place = ["--head", "--port", str(self.PORT), "--include-dashboard=false"]
        name = f"node{len(self._nodes)}"
        process = self._start(
            name, self._tool("ray"), "start", *place, "--node-ip-address=127.0.0.1",
            "--num-cpus=1", "--object-store-memory=100000000", "--block",
            hook=True,
        )  # fmt: skip
        cores = sorted(os.sched_getaffinity(0))  # all that it starts stays on the one it gets
        os.sched_setaffinity(process.pid, {cores[len(self._nodes) % len(cores)]})
        log = self.folder / f"{name}.log"
        wait_for(lambda: "Ray runtime started" in log.read_text(), 60, f"Ray, see {log}")
        self._nodes.append(process)
        return process

    def _start(self, name: str, *command: str | Path, hook: bool = False) -> subprocess.Popen:
        environment = dict(self.environment)
        if hook:
            environment["PYTHONPATH"] = os.pathsep.join([str(self.folder / "hook"), str(ROOT)])
        with (self.folder / f"{name}.log").open("w") as log:
            return subprocess.Popen(
                [*map(str, command)], env=environment, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    @staticmethod
    def _tool(name: str) -> Path:
        """Returns a command of the environment that Python runs in."""
        return Path(sys.executable).with_name(name)


if __name__ == "__main__":
    _raise_loopback()
    os.execvp(sys.argv[1], sys.argv[1:])
