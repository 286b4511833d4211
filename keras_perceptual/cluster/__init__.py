"""Several machines: the same work on many files, by Ray, in folders and buckets, by fsspec."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
