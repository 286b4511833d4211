"""Models for other programs: LiteRT (TFLite). Needs TensorFlow."""

from __future__ import annotations

import tempfile

import keras

__all__ = ["to_tflite"]


def to_tflite(generator: keras.Model) -> bytes:
    """Converts a generator to a .tflite file of builtin operators, for any height and width.

    Args:
        generator: a functional model from `lr` to `sr`, float32.

    Returns:
        The file's bytes, with one signature `upscale` from `lr` `[N, H, W, 3]` to `sr`, float32.

    Raises:
        RuntimeError: if an operator has no builtin.
    """
    import tensorflow as tf

    spec = tf.TensorSpec([None, None, None, 3], tf.float32, "lr")
    archive = keras.export.ExportArchive()
    archive.track(generator)
    archive.add_endpoint("upscale", lambda lr: {"sr": generator(lr)}, [spec])
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["upscale"])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        return converter.convert()
