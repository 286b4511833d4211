"""Trains a generator: `python train.py --help`."""

import sys

from keras_perceptual.cli.train import main

if __name__ == "__main__":
    sys.exit(main())
