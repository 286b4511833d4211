"""Perceptual super-resolution and fast style transfer in Keras."""

from keras_perceptual.inference import Upscaler
from keras_perceptual.stylizing import Stylizer

__version__ = "0.1.0"

__all__ = ["Stylizer", "Upscaler", "__version__"]
