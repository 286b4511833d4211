"""SavedModels of somebody else: those that do more than to compute are not loaded."""

from __future__ import annotations

import pytest
import tensorflow as tf

from keras_perceptual import Upscaler
from keras_perceptual.errors import EngineError
from keras_perceptual.export.saved_model import save_serving
from keras_perceptual.inference.saved_models import OPERATORS, check
from keras_perceptual.models import generators
from keras_perceptual.zoo.descriptor import ModelDescriptor

LR = tf.TensorSpec([None, None, None, 3], tf.float32, name="lr")


def _doubled(lr):
    return tf.repeat(tf.repeat(lr, 2, axis=1), 2, axis=2)


def _saved(folder, upscale, **more):
    """Writes a SavedModel that doubles images and does what `upscale` does beside that."""
    module = tf.Module()
    module.upscale = tf.function(
        lambda lr: {"sr": _doubled(lr) + 0 * upscale(lr)}, input_signature=[LR]
    )
    for name, value in more.items():
        setattr(module, name, value)
    tf.saved_model.save(module, str(folder), signatures={"upscale": module.upscale})
    return folder


def _write(path):
    def write(lr):
        with tf.control_dependencies([tf.io.write_file(str(path), "written")]):
            return tf.reduce_sum(lr)

    return write


def _read(lr):
    return tf.cast(tf.strings.length(tf.io.read_file("/etc/passwd")), tf.float32)


def _python(lr):
    return tf.py_function(tf.reduce_sum, [lr], tf.float32)


def _numpy(lr):
    return tf.numpy_function(lambda x: x.sum(), [lr], tf.float32, stateful=False)


def _print(lr):
    tf.print("told")
    return tf.reduce_sum(lr)


def _in_a_branch_of_a_loop(lr):
    return tf.while_loop(
        lambda i: i < 2.0,
        lambda i: i + tf.cond(i > 0.0, lambda: _read(lr), lambda: 1.0),
        [0.0],
    )[0]


def _restore(lr):
    return tf.raw_ops.RestoreV2(
        prefix="/tmp/checkpoint", tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32]
    )[0]


@pytest.mark.parametrize(
    ("does", "operator"),
    [
        (_read, "ReadFile"),
        (_python, "EagerPyFunc"),
        (_numpy, "PyFuncStateless"),
        (_print, "PrintV2"),
        (_in_a_branch_of_a_loop, "ReadFile"),
        (_restore, "RestoreV2"),
    ],
)
def test_what_does_more_than_to_compute(does, operator, tmp_path):
    folder = _saved(tmp_path / "model", does)
    with pytest.raises(
        EngineError, match=rf"^{folder}: expected a SavedModel .*: .*\b{operator}\b"
    ):
        Upscaler(folder)


def test_a_file_is_not_written_whatever_opens_it(tmp_path):
    """As `infer.py --model FOLDER` and `--engine auto` take a folder by themselves."""
    folder = _saved(tmp_path / "model", _write(tmp_path / "written"))
    with pytest.raises(EngineError, match="WriteFile"):
        Upscaler(folder).upscale_file("missing.png", "out.png")
    assert not (tmp_path / "written").exists()


def test_what_only_loading_would_run(tmp_path):
    """A table's file is read while a SavedModel is loaded, before any signature is called."""
    (tmp_path / "words").write_text("a\nb\n")
    table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(tmp_path / "words"), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        ),
        -1,
    )  # fmt: skip
    folder = _saved(tmp_path / "model", tf.reduce_sum, table=table)
    with pytest.raises(EngineError, match="HashTableV2, InitializeTableFromTextFileV2"):
        Upscaler(folder)


def test_one_of_tensorflow_1(tmp_path):
    folder = _saved(tmp_path / "model", tf.reduce_sum)
    from tensorflow.core.protobuf import saved_model_pb2

    file = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    model.meta_graphs[0].ClearField("object_graph_def")
    file.write_bytes(model.SerializeToString())
    with pytest.raises(EngineError, match="TensorFlow 1"):
        Upscaler(folder)


def test_what_computes_is_let_in(tmp_path):
    assert Upscaler(_saved(tmp_path / "model", tf.reduce_sum)).scale == 2


@pytest.mark.parametrize(
    ("about", "match"),
    [
        (ModelDescriptor("upscale", 2, (), "subpixel", 4, 1), "paper"),
        (ModelDescriptor("upscale", 4, (), "johnson", 4, 1), "affine"),
        (ModelDescriptor("upscale", 4, (), "srcnn"), "none"),
        (ModelDescriptor("style", 1, ("one",), "style", 4, 1, "instance"), "none"),
        (ModelDescriptor("style", 1, ("one",), "style", 4, 1, "batch"), "none"),
    ],
)
def test_exports_are_let_in(about, match, tmp_path):
    generator = generators.build(about)
    grain = 4.0 if about.task == "style" else 0.0
    check(save_serving(generator, about.scale, tmp_path / "model", match, grain))


def test_no_operator_of_files_processes_or_python_is_in_the_list():
    for word in ("File", "Py", "Save", "Restore", "Print", "Host", "Dataset", "Debug", "Xla"):
        assert not [name for name in OPERATORS if word in name], word
