"""Runs one signature of a SavedModel through TensorFlow's C API, as TF Serving's loader does.

    python c_api.py LIBRARY FOLDER INPUT_TENSOR OUTPUT_TENSOR in.npy out.npy

Imports neither TensorFlow's Python package, Keras nor this project. Tensors are uint8, float32,
or one string given as a uint8 array of its bytes (`string` as a seventh argument).
"""

from __future__ import annotations

import ctypes as c
import sys

import numpy as np

DTYPES = {np.dtype(np.float32): 1, np.dtype(np.uint8): 4}
STRING, STRING_BYTES = 7, 24


class Output(c.Structure):
    _fields_ = [("operation", c.c_void_p), ("index", c.c_int)]


class Library:
    """The functions needed, with their types."""

    def __init__(self, path: str) -> None:
        self.library = c.CDLL(path)
        self.status = self("TF_NewStatus", c.c_void_p)

    def __call__(self, name: str, result, *arguments):
        function = getattr(self.library, name)
        function.restype = result
        return function(*(c.c_void_p(a) if isinstance(a, int) else a for a in arguments))

    def check(self) -> None:
        if self("TF_GetCode", c.c_int, self.status):
            raise SystemExit(self("TF_Message", c.c_char_p, self.status).decode())


def output(tf: Library, graph: int, name: str) -> Output:
    operation, _, index = name.partition(":")
    found = tf("TF_GraphOperationByName", c.c_void_p, graph, operation.encode())
    if not found:
        raise SystemExit(f"no operation {operation}")
    return Output(found, int(index))


def to_tensor(tf: Library, array: np.ndarray, is_string: bool) -> int:
    shape = (1,) if is_string else array.shape
    code = STRING if is_string else DTYPES[array.dtype]
    size = STRING_BYTES if is_string else array.nbytes
    dims = (c.c_int64 * len(shape))(*shape)
    tensor = tf(
        "TF_AllocateTensor", c.c_void_p, c.c_int(code), dims, c.c_int(len(shape)), c.c_size_t(size)
    )
    data = tf("TF_TensorData", c.c_void_p, tensor)
    if is_string:
        tf("TF_StringInit", None, data)
        tf("TF_StringCopy", None, data, array.tobytes(), c.c_size_t(array.nbytes))
    else:
        c.memmove(data, array.tobytes(), array.nbytes)
    return tensor


def to_array(tf: Library, tensor: int) -> np.ndarray:
    data = tf("TF_TensorData", c.c_void_p, tensor)
    code = tf("TF_TensorType", c.c_int, tensor)
    if code == STRING:
        size = tf("TF_StringGetSize", c.c_size_t, data)
        pointer = tf("TF_StringGetDataPointer", c.c_void_p, data)
        return np.frombuffer(c.string_at(pointer, size), np.uint8)
    rank = tf("TF_NumDims", c.c_int, tensor)
    shape = [tf("TF_Dim", c.c_int64, tensor, c.c_int(i)) for i in range(rank)]
    dtype = {code: dtype for dtype, code in DTYPES.items()}[code]
    size = tf("TF_TensorByteSize", c.c_size_t, tensor)
    return np.frombuffer(c.string_at(data, size), dtype).reshape(shape)


def main() -> None:
    path, folder, input_name, output_name, source, target, *kind = sys.argv[1:]
    tf = Library(path)
    graph = tf("TF_NewGraph", c.c_void_p)
    session = tf(
        "TF_LoadSessionFromSavedModel",
        c.c_void_p,
        tf("TF_NewSessionOptions", c.c_void_p),
        None,
        folder.encode(),
        (c.c_char_p * 1)(b"serve"),
        c.c_int(1),
        graph,
        None,
        tf.status,
    )
    tf.check()
    results = (c.c_void_p * 1)()
    tf(
        "TF_SessionRun",
        None,
        session,
        None,
        (Output * 1)(output(tf, graph, input_name)),
        (c.c_void_p * 1)(to_tensor(tf, np.load(source), "string" in kind)),
        c.c_int(1),
        (Output * 1)(output(tf, graph, output_name)),
        results,
        c.c_int(1),
        None,
        c.c_int(0),
        None,
        tf.status,
    )
    tf.check()
    np.save(target, to_array(tf, results[0]))
    loaded = {"tensorflow", "keras", "keras_perceptual"} & set(sys.modules)
    assert not loaded, loaded


if __name__ == "__main__":
    main()
