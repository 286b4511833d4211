"""Perceptual super-resolution and fast style transfer in Keras."""

from keras_perceptual.inference import Upscaler

__version__ = "0.1.0"

__all__ = ["Upscaler", "__version__"]
