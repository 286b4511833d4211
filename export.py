"""Exports a model for servers and phones: `python export.py --help`."""

import sys

from keras_perceptual.cli.main import run

if __name__ == "__main__":
    sys.exit(run("export"))
