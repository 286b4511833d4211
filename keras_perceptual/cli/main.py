"""`keras-perceptual COMMAND`, and what its commands have in common at their end."""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import os
import sys
from collections.abc import Sequence

import keras_perceptual
from keras_perceptual.system import memory
from keras_perceptual.system.quiet import standard_streams

__all__ = ["COMMANDS", "main", "run"]

COMMANDS = {
    "infer": "enlarge photographs, or paint them in a style",
    "train": "train a generator",
    "evaluate": "judge models on benchmark sets",
    "export": "export a model for servers and phones",
    "web": "enlarge and paint in a browser, on its own machine",
}
# Bytes of address space below which libraries crash while they are loaded.
LEAST = {
    **dict.fromkeys(COMMANDS, memory.WITH_TENSORFLOW),
    "infer": 640 * 10**6,
    "web": 640 * 10**6,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command that the first argument names; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="keras-perceptual",
        description="Perceptual super-resolution and fast style transfer.",
        epilog="keras-perceptual COMMAND --help says what a command takes.",
    )
    parser.add_argument("--version", action="version", version=keras_perceptual.__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, about in COMMANDS.items():
        commands.add_parser(name, help=about, add_help=False)
    known, rest = parser.parse_known_args(argv)
    return run(known.command, rest, f"keras-perceptual {known.command}")


def run(command: str, argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Runs a command.

    Args:
        command: a key of `COMMANDS`.
        argv: its arguments, by default those of the process.
        prog: what its messages begin with, by default the name of its script.

    Returns:
        The exit status: 0, 1 for work that failed, 130 where it was interrupted; bad usage exits
        with 2.
    """
    prog = prog or f"{command}.py"
    standard_streams()
    if sys.stderr is not None and not faulthandler.is_enabled():
        # A copy: the descriptor itself points nowhere while libraries are loaded.
        faulthandler.enable(os.dup(2), all_threads=False)
    try:
        memory.expect_address_space(LEAST[command])
        return importlib.import_module(f"keras_perceptual.cli.{command}").main(argv, prog)
    except KeyboardInterrupt:
        return 130
    except MemoryError as error:
        print(f"{prog}: {str(error) or 'not enough memory'}", file=sys.stderr)
        return 1
    except OSError as error:  # whoever read our lines has gone, or their disk is full
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # `| head` has seen enough
            print(f"{prog}: {error.strerror}", file=sys.stderr)
        return 1
