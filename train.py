"""Trains a generator: `python train.py --help`."""

import sys

from keras_perceptual.cli.main import run

if __name__ == "__main__":
    sys.exit(run("train"))
