from __future__ import annotations

import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf

from keras_perceptual import zoo
from keras_perceptual.errors import ExportError
from keras_perceptual.export import exporter as exporting
from keras_perceptual.export import verification
from keras_perceptual.export.exporter import Exporter
from keras_perceptual.files import images
from keras_perceptual.models.loading import load_generator
from tests.conftest import ROOT, SAMPLES

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
    operators = {d["op_name"] for d in interpreter._get_ops_details()}
    assert not {o for o in operators if o.startswith("Flex") or o == "CUSTOM"}
    assert {"UNSORTED_SEGMENT_SUM", "CUMSUM", "GATHER", "DEPTH_TO_SPACE"} <= operators


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


@pytest.mark.parametrize(
    ("quantize", "smaller", "psnr"),
    [("float16", 0.6, 50), ("dynamic", 0.4, 35), ("int8", 0.45, 30)],
)
def test_quantised_files_are_smaller_and_close(
    exported, photographs, tmp_path, quantize, smaller, psnr
):
    exporter = Exporter("x4-feature", tmp_path, photographs)
    path, size, agreement = exporter.tflite(quantize)
    assert path.name == f"x4-feature-{quantize}.tflite"
    assert size < smaller * exported[1].size
    assert agreement.psnr > psnr


def test_fixed_size(tmp_path, photographs):
    from ai_edge_litert.interpreter import Interpreter

    exporter = Exporter("x4-feature", tmp_path, photographs, histogram_match=False)
    path, _, agreement = exporter.tflite(fixed_size=(40, 60))
    assert path.name == "x4-feature-40x60.tflite"
    assert agreement.largest <= 1
    details = Interpreter(str(path)).get_signature_runner("upscale").get_input_details()
    assert details["lr"]["shape_signature"].tolist() == [1, 40, 60, 3]


def test_versions_grow_and_a_polling_reader_never_sees_half(tmp_path, photographs):
    exporter = Exporter("x4-feature", tmp_path, photographs[:1])
    folder = tmp_path / "x4-feature"
    (folder / "7").mkdir(parents=True)
    (folder / "not-a-version").mkdir()
    seen, incomplete, stop = set(), [], threading.Event()

    def poll() -> None:
        while not stop.is_set():
            for path in folder.iterdir():
                if path.name.isdecimal() and path.name != "7":
                    seen.add(path.name)
                    whole = (path / "saved_model.pb", path / "variables" / "variables.index")
                    if not all(part.exists() for part in whole):
                        incomplete.append(path)

    reader = threading.Thread(target=poll)
    reader.start()
    try:
        paths = [exporter.saved_model().path for _ in range(2)]
    finally:
        stop.set()
        reader.join()
    assert [p.name for p in paths] == ["8", "9"]
    assert seen <= {"8", "9"}
    assert not incomplete
    assert {p.name for p in folder.iterdir()} == {"7", "8", "9", "not-a-version"}


def test_what_differs_is_not_kept(tmp_path, photographs, monkeypatch):
    exporter = Exporter("x4-feature", tmp_path, photographs[:1])
    (tmp_path / "x4-feature.tflite").write_bytes(b"the old one")
    wrong = verification.Agreement(2, 0.1, 50.0, 0.1)
    monkeypatch.setattr(verification, "compare", lambda *arguments: wrong)
    for export in (exporter.saved_model, exporter.tflite):
        with pytest.raises(ExportError, match="differs from the Keras model by 2 levels"):
            export()
    assert (tmp_path / "x4-feature.tflite").read_bytes() == b"the old one"
    assert not list((tmp_path / "x4-feature").iterdir())


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
def test_a_full_disk_leaves_nothing(tmp_path, photographs, monkeypatch, place, error):
    def full(*arguments, **kwargs):
        raise error

    exporter = Exporter("x4-feature", tmp_path, photographs[:1])
    monkeypatch.setattr(place, full)
    with pytest.raises(ExportError, match=r"cannot be written: .*No space left on device$"):
        exporter.saved_model()
    assert not list((tmp_path / "x4-feature").iterdir())


def test_exported_artefacts_run_in_infer(exported, run_script, tmp_path, photographs):
    source = SAMPLES / "LRx4" / "rocket.png"
    results = []
    saved_model, tflite = exported
    for model, engine in (
        (saved_model.path, "saved_model"),
        (saved_model.path.parent, "auto"),
        (tflite.path, "litert"),
        ("x4-feature", "litert"),
    ):
        out = tmp_path / "out.png"
        result = run_script(
            "infer.py", source, "-o", out, "--model", model, "--engine", engine,
            "--no-histogram-match",
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        results.append(images.read(out).pixels.astype(int))
    assert all(np.abs(r - results[-1]).max() <= 1 for r in results)


@pytest.mark.parametrize("damage", ["missing", "truncated", "foreign"])
def test_broken_saved_models(exported, run_script, tmp_path, damage):
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
    result = run_script("infer.py", SAMPLES / "LRx4" / "rocket.png", "--model", folder)
    assert result.returncode == 2
    assert "expected a SavedModel with a signature upscale" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_export_script(run_script, tmp_path):
    result = run_script("export.py", "--out", tmp_path, "--format", "tflite")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1].startswith(f"| {tmp_path / 'x4-feature.tflite'} | 1.")
    assert [p.name for p in tmp_path.iterdir()] == ["x4-feature.tflite"]


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        (["--model", "none"], 1, "expected a model of"),
        (["--model", "none.keras"], 1, "cannot be loaded"),
        (["--photographs", "tests"], 1, "found none"),
        (["--fixed-size", "12"], 2, "expected HEIGHTxWIDTH"),
        (["--format", "saved_model", "--quantize", "int8"], 2, "for --format tflite"),
        (["--pixel-limit", "0"], 2, "at least 1"),
    ],
)
def test_export_script_refuses(run_script, tmp_path, flags, status, message):
    result = run_script("export.py", "--out", tmp_path / "out", *flags, cwd=ROOT)
    assert result.returncode == status, result.stderr
    assert message in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_shipped_tflite_is_what_export_makes(generator):
    made = exporting.to_tflite(generator)
    shipped = (zoo.folder("x4-feature") / "model.tflite").read_bytes()
    lr = np.random.default_rng(0).integers(0, 256, (1, 12, 10, 3), dtype=np.uint8)
    a, b = (verification.open_tflite(c).serving_default(lr) for c in (made, shipped))
    assert np.array_equal(a, b)
