"""`python -m keras_perceptual`, the same as the command `keras-perceptual`."""

import sys

from keras_perceptual.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
