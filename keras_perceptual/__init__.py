"""Perceptual super-resolution and fast style transfer in Keras."""

from keras_perceptual.inference.stylizer import Stylizer
from keras_perceptual.inference.upscaler import Upscaler

__version__ = "0.1.0"

__all__ = ["Stylizer", "Upscaler", "__version__"]
