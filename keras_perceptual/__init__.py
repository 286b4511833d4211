"""Perceptual super-resolution and fast style transfer in Keras.

What is named in the `__init__.pyi` of a package is its interface, and is imported when it is first
asked for; the rest is private.
"""

import lazy_loader

__docformat__ = "google"
__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
