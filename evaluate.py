"""Judges models on benchmark sets: `python evaluate.py --help`."""

import sys

from keras_perceptual.cli.main import run

if __name__ == "__main__":
    sys.exit(run("evaluate"))
