"""Exports a model for servers and phones: `python export.py --help`."""

import sys

from keras_perceptual.cli.export import main

if __name__ == "__main__":
    sys.exit(main())
