from __future__ import annotations

import shutil
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_perceptual import zoo
from keras_perceptual.errors import EngineError, ExportError
from keras_perceptual.export import verification
from keras_perceptual.export.exporter import Exporter
from keras_perceptual.inference.upscaler import Upscaler
from keras_perceptual.models.loading import load_generator, save_generator
from keras_perceptual.pixels.resampling import to_uint8
from keras_perceptual.zoo.descriptor import read
from tests.graphics import drawn

pytestmark = [
    # TensorFlow's own, on its way out: the interpreter is not used here, only named.
    pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning"),
]


@pytest.fixture(scope="module")
def generator():
    return load_generator("x4-feature")


def test_tflite_agrees_and_has_builtins_only(exported):
    from ai_edge_litert.interpreter import Interpreter

    _, tflite = exported
    assert tflite.agreement.largest <= 1
    assert tflite.agreement.psnr > 60
    interpreter = Interpreter(str(tflite.path))
    assert set(interpreter.get_signature_list()) == {"serving_default", "upscale"}
    assert "DEPTH_TO_SPACE" in _builtins(interpreter)


def _builtins(interpreter):
    """Returns the names of a file's operators, all of which a phone has."""
    operators = {d["op_name"] for d in interpreter._get_ops_details()}
    assert not {o for o in operators if o.startswith("Flex") or o == "CUSTOM"}
    return operators


@pytest.mark.parametrize("histogram_match", ["affine", "paper", "none"])
def test_each_post_process_agrees_and_is_of_builtins(
    tmp_path, photographs, generator, histogram_match
):
    from ai_edge_litert.interpreter import Interpreter

    shift = keras.layers.Rescaling(1.05, 5 - 0.05 * 128)
    planted = tmp_path / "planted.keras"
    save_generator(keras.Model(generator.input, shift(generator.output)), planted)
    exporter = Exporter(str(planted), tmp_path, photographs[:1], histogram_match=histogram_match)
    path, _, agreement = exporter.tflite()
    assert agreement.largest <= 1
    matched = {"UNSORTED_SEGMENT_SUM", "CUMSUM", "GATHER"} <= _builtins(Interpreter(str(path)))
    assert matched == (histogram_match == "paper")
    artefact = verification.open_tflite(path.read_bytes())
    graphics = drawn()
    for name in ("text", "frame", "disc"):
        lr = graphics[name]
        sr = artefact.serving_default(lr[None])[0].astype(int)
        if histogram_match == "affine":
            plain = to_uint8(np.asarray(generator(lr[None].astype(np.float32)))[0]).astype(int)
            assert np.abs(sr - plain).max() <= 1, name
            assert np.abs(sr.mean((0, 1)) - plain.mean((0, 1))).max() < 0.3, name
        if histogram_match != "paper":  # where the borders, which infer.py mirrors, count
            enlarged = Upscaler(planted, histogram_match=histogram_match).upscale(lr)
            assert np.abs(sr - enlarged)[64:-64, 64:-64].max() <= 1, name


def test_refuses_another_post_process(tiny, tmp_path, photographs):
    with pytest.raises(ValueError, match=r"expected histogram_match .* received True"):
        Exporter(str(tiny), tmp_path, photographs, histogram_match=True)


def test_each_says_what_it_is(exported):
    for artefact in exported:
        assert read(artefact.path) == zoo.descriptor("x4-feature")
        assert (
            sum(
                file.stat().st_size
                for file in (artefact.path, *artefact.path.rglob("*"))
                if file.is_file()
            )
            == artefact.size
        )


def test_signatures_share_their_weights(exported, generator):
    assert exported[1].size < 1.2 * 4 * generator.count_params()


def test_tflite_runs_without_tensorflow_at_any_size(exported):
    program = f"""
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
run = Interpreter({str(exported[1].path)!r}).get_signature_runner("serving_default")
rng = np.random.default_rng(0)
for shape in ((1, 1, 1), (2, 17, 23), (1, 1, 500), (1, 500, 1), (1, 90, 160)):
    lr = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    sr = run(lr=lr)["sr"]
    assert sr.dtype == np.uint8 and sr.shape == (shape[0], 4 * shape[1], 4 * shape[2], 3)
    assert abs(sr.mean() - lr.mean()) < 3, shape
assert not {{"tensorflow", "keras", "keras_perceptual"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


@pytest.fixture(scope="module")
def exporter(tmp_path_factory, photographs):
    return Exporter("x4-feature", tmp_path_factory.mktemp("quantised"), photographs)


@pytest.mark.parametrize(
    ("quantize", "smaller", "psnr"),
    [("float16", 0.6, 50), ("dynamic", 0.4, 35), ("int8-full", 0.45, 30)],
)
def test_quantised_files_are_smaller_and_close(exported, exporter, quantize, smaller, psnr):
    path, size, agreement = exporter.tflite(quantize)
    assert path.name == f"x4-feature-{quantize}.tflite"
    assert size < smaller * exported[1].size
    assert agreement.psnr > psnr


def test_fixed_size(tiny, tmp_path, photographs):
    from ai_edge_litert.interpreter import Interpreter

    exporter = Exporter(str(tiny), tmp_path, photographs, histogram_match="none")
    path, _, agreement = exporter.tflite(fixed_size=(40, 60))
    assert path.name == "tiny-40x60.tflite"
    assert agreement.largest <= 1
    details = Interpreter(str(path)).get_signature_runner("upscale").get_input_details()
    assert details["lr"]["shape_signature"].tolist() == [1, 40, 60, 3]


def test_a_polling_reader_never_sees_half(tiny, tmp_path, photographs):
    exporter = Exporter(str(tiny), tmp_path, photographs[:1])
    folder = tmp_path / "tiny"
    folder.mkdir()
    seen, incomplete, stop = set(), [], threading.Event()

    def look() -> None:
        for path in folder.iterdir():
            seen.add(path.name.isdecimal())
            whole = (path / "saved_model.pb", path / "variables" / "variables.index")
            if path.name.isdecimal() and not all(part.exists() for part in whole):
                incomplete.append(path)

    def poll() -> None:
        while not stop.wait(0.001):
            look()
        look()

    reader = threading.Thread(target=poll)
    reader.start()
    try:
        path = exporter.saved_model().path
    finally:
        stop.set()
        reader.join()
    assert seen == {False, True}  # the hidden folder while it was written, and the version
    assert not incomplete
    assert list(folder.iterdir()) == [path]


def test_what_differs_is_not_kept(tiny, tmp_path, photographs, monkeypatch):
    exporter = Exporter(str(tiny), tmp_path, photographs[:1])
    (tmp_path / "tiny.tflite").write_bytes(b"the old one")
    wrong = verification.Agreement(2, 0.1, 50.0, 0.1)
    monkeypatch.setattr(verification, "compare", lambda *arguments: wrong)
    for export in (exporter.saved_model, exporter.tflite):
        with pytest.raises(ExportError, match="differs from the Keras model by 2 levels"):
            export()
    assert (tmp_path / "tiny.tflite").read_bytes() == b"the old one"
    assert not list((tmp_path / "tiny").iterdir())


def test_compare_sees_a_wrong_artefact(generator, photographs):
    def wrong(lr):
        return np.clip(lr.repeat(4, 1).repeat(4, 2), 0, 255)

    agreement = verification.compare(
        verification.Signatures(wrong, wrong), generator, photographs[:1]
    )
    assert agreement.largest > 20
    assert agreement.psnr < 40


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("keras_perceptual.export.warmup.write", OSError(28, "No space left on device")),
        (
            "tensorflow.saved_model.save",
            tf.errors.ResourceExhaustedError(None, None, "variables; No space left on device"),
        ),
    ],
)
def test_a_full_disk_leaves_nothing(tiny, tmp_path, photographs, monkeypatch, place, error):
    def full(*arguments, **kwargs):
        raise error

    exporter = Exporter(str(tiny), tmp_path, photographs[:1])
    monkeypatch.setattr(place, full)
    with pytest.raises(ExportError, match=r"tiny: cannot be written: No space left on device$"):
        exporter.saved_model()
    assert not list((tmp_path / "tiny").iterdir())


def test_exported_artefacts_enlarge(exported, photographs):
    saved_model, tflite = exported
    results = [
        Upscaler(model, engine=engine, precision="float32", histogram_match="none")
        .upscale(photographs[1])
        .astype(int)
        for model, engine in (
            (saved_model.path, "saved_model"),
            (saved_model.path.parent, "auto"),
            (tflite.path, "litert"),
            ("x4-feature", "litert"),
        )
    ]
    assert all(np.abs(result - results[-1]).max() <= 1 for result in results)


@pytest.mark.parametrize("damage", ["missing", "truncated", "foreign"])
def test_broken_saved_models(exported, tmp_path, damage):
    folder = tmp_path / "broken"
    shutil.copytree(exported[0].path, folder)
    if damage == "missing":
        shutil.rmtree(folder / "variables")
    elif damage == "truncated":
        (folder / "saved_model.pb").write_bytes((folder / "saved_model.pb").read_bytes()[:1000])
    else:
        shutil.rmtree(folder)
        module = tf.Module()
        module.f = tf.function(lambda x: x, input_signature=[tf.TensorSpec([], tf.float32)])
        tf.saved_model.save(module, str(folder))
    with pytest.raises(EngineError, match=r"expected a SavedModel with a signature upscale.*$"):
        Upscaler(folder)


def test_shipped_tflite_is_what_export_makes(exported, rng):
    made = exported[1].path.read_bytes()
    shipped = (zoo.folder("x4-feature") / "model.tflite").read_bytes()
    lr = rng.integers(0, 256, (1, 12, 10, 3), dtype=np.uint8)
    a, b = (verification.open_tflite(content).serving_default(lr) for content in (made, shipped))
    assert np.abs(np.subtract(a, b, dtype=int)).max() <= 1  # what ships has weights in float16


def test_another_backend_is_told(tmp_path, photographs, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ExportError, match="found jax; unset KERAS_BACKEND"):
        Exporter("x4-feature", tmp_path, photographs)
