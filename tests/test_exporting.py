from __future__ import annotations

import io
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_perceptual import Upscaler, exporting, images, training, verification, zoo
from keras_perceptual.exporting import Exporter, ExportError
from keras_perceptual.layers import HistogramMatching
from keras_perceptual.postprocess import match_histograms
from keras_perceptual.resampling import to_uint8

from .conftest import ROOT, SAMPLES
from .test_postprocess import _cases

pytestmark = [
    # TensorFlow's own, on its way out: the interpreter is not used here, only named.
    pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning"),
]


@pytest.fixture(scope="module")
def photographs():
    return [images.read(SAMPLES / "LRx4" / f"{n}.png").pixels for n in ("chelsea", "rocket")]


@pytest.fixture(scope="module")
def exported(tmp_path_factory, photographs):
    """One export of the default model in both formats."""
    exporter = Exporter("x4-feature", tmp_path_factory.mktemp("exports"), photographs)
    return exporter.saved_model(pixel_limit=20_000), exporter.tflite()


@pytest.fixture(scope="module")
def generator():
    return training.load_generator("x4-feature")


# --- histogram matching ---


@pytest.mark.parametrize("name", _cases())
def test_layer_equals_postprocess(name):
    image, reference = _cases()[name]
    matched = HistogramMatching()(image[None].astype("float32"), reference[None])
    assert np.array_equal(np.asarray(matched)[0], match_histograms(image, reference))


def test_layer_treats_each_image_of_a_batch_alone(rng):
    images_ = rng.integers(0, 256, (4, 20, 24, 3), dtype=np.uint8) // np.uint8([1, 2, 3])
    references = rng.integers(0, 256, (4, 10, 12, 3), dtype=np.uint8)
    references[1] //= 3
    references[2] = 7
    matched = np.asarray(HistogramMatching()(images_, references))
    expected = [match_histograms(i, r) for i, r in zip(images_, references, strict=True)]
    difference = np.abs(matched - np.array(expected, int))
    assert difference.max() <= 1  # where float32 and float64 round a tie apart
    assert np.mean(difference > 0) < 0.02


def test_layer_rounds_and_clips_first():
    image = np.float32([-5, 0.4, 0.6, 254.5, 300]).reshape(1, 1, 5, 1)
    same = HistogramMatching()(image, image)
    assert np.asarray(same).ravel().tolist() == [0, 0, 1, 254, 255]


def test_layer_is_part_of_a_model_that_loads_in_safe_mode(tmp_path, rng):
    inputs = [keras.Input((None, None, 3)), keras.Input((None, None, 3))]
    model = keras.Model(inputs, HistogramMatching(name="match")(*inputs))
    model.save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras", safe_mode=True)
    image, reference = rng.uniform(0, 255, (2, 1, 9, 8, 3)).astype(np.float32)
    assert np.array_equal(
        np.asarray(model([image, reference])), np.asarray(loaded([image, reference]))
    )


# --- LiteRT ---


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


# --- SavedModel ---


def _signature_tensors(folder: Path, name: str) -> tuple[str, str]:
    from tensorflow.core.protobuf import saved_model_pb2

    parsed = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    signature = parsed.meta_graphs[0].signature_def[name]
    ((_, given),), ((_, returned),) = signature.inputs.items(), signature.outputs.items()
    return given.name, returned.name


@pytest.mark.parametrize("name", ["serving_default", "upscale", "serve_bytes"])
def test_c_api_gives_the_same_pixels(exported, photographs, tmp_path, name):
    folder, lr = exported[0].path, photographs[0]
    expected = match_histograms(
        Upscaler("x4-feature", histogram_match=False)
        ._engine.run(lr[None].astype(np.float32))[0]
        .clip(0, 255)
        .round()
        .astype(np.uint8),
        lr,
    )
    png = io.BytesIO()
    Image.fromarray(lr).save(png, "PNG")
    inputs = {
        "serving_default": lr[None],
        "upscale": lr[None].astype(np.float32),
        "serve_bytes": np.frombuffer(png.getvalue(), np.uint8),
    }
    np.save(tmp_path / "in.npy", inputs[name])
    library = next(Path(tf.__file__).parent.glob("libtensorflow_cc.*"))
    kind = ["string"] if name == "serve_bytes" else []
    result = subprocess.run(
        [
            sys.executable, Path(__file__).with_name("c_api.py"), library, folder,
            *_signature_tensors(folder, name), tmp_path / "in.npy", tmp_path / "out.npy", *kind,
        ],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    sr = np.load(tmp_path / "out.npy")
    if name == "serve_bytes":
        sr = np.asarray(Image.open(io.BytesIO(sr.tobytes())))
    elif name == "upscale":
        sr = match_histograms(to_uint8(sr[0]), lr)
    else:
        sr = sr[0]
    difference = np.abs(sr.astype(int) - expected)
    assert np.mean(difference > 1) < 1e-4  # see verification.compare on why not none
    assert difference.max() <= 8


def test_graph_has_no_python_function(exported):
    graph = (exported[0].path / "saved_model.pb").read_bytes()
    assert b"PyFunc" not in graph


@pytest.fixture(scope="module")
def serve_bytes(exported):
    loaded = tf.saved_model.load(str(exported[0].path))

    def serve(*contents: bytes) -> list[Image.Image]:
        result = loaded.signatures["serve_bytes"](image_bytes=tf.constant(contents))["sr_bytes"]
        return [Image.open(io.BytesIO(content)) for content in result.numpy()]

    return serve


def _encoded(file_format: str, mode: str = "RGB", size=(9, 8), **options) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    image = Image.fromarray(pixels).convert("RGB" if mode == "CMYK" else "RGBA").convert(mode)
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "mode"),
    [
        (_encoded("PNG"), "RGB"),
        (_encoded("PNG", "L"), "L"),
        (_encoded("PNG", "1"), "L"),
        (_encoded("PNG", "LA"), "LA"),
        (_encoded("PNG", "RGBA"), "RGBA"),
        (_encoded("JPEG"), "RGB"),
        (_encoded("JPEG", "L"), "L"),
        (_encoded("JPEG", "CMYK"), "RGB"),
        (_encoded("GIF", "P"), "RGB"),
        (_encoded("BMP"), "RGB"),
        (_encoded("WEBP"), "RGB"),
        (_encoded("WEBP", "RGBA", lossless=True), "RGBA"),
        (_encoded("PNG", size=(1, 1)), "RGB"),
    ],
)
def test_serve_bytes_takes_formats(serve_bytes, content, mode):
    with Image.open(io.BytesIO(content)) as source:
        (enlarged,) = serve_bytes(content)
        assert enlarged.size == (4 * source.width, 4 * source.height)
    assert enlarged.mode == mode


def test_serve_bytes_of_different_sizes_at_once(serve_bytes):
    contents = [_encoded("PNG", size=(9, 8)), _encoded("JPEG", "L", size=(30, 5))]
    together = serve_bytes(*contents)
    assert [i.size for i in together] == [(36, 32), (120, 20)]
    for content, image in zip(contents, together, strict=True):
        assert np.array_equal(np.asarray(serve_bytes(content)[0]), np.asarray(image))


def test_serve_bytes_has_no_halo_around_opaque_pixels(serve_bytes):
    y, x = np.mgrid[:48, :48]
    inside = (y - 24) ** 2 + (x - 24) ** 2 < 200
    rgba = np.where(inside[..., None], [200, 30, 30, 255], [0, 255, 0, 0]).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(rgba).save(file, "PNG")
    shown = np.asarray(serve_bytes(file.getvalue())[0]).astype(int)
    assert np.abs(shown[shown[..., 3] > 0][:, :3] - [200, 30, 30]).max() < 20
    assert shown[:20, :, 3].max() == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Input is empty"),
        (b"not an image", "Unknown image file format"),
        (_encoded("PNG")[:60], "Invalid PNG"),
        (_encoded("JPEG")[:300], "JPEG"),
        (_encoded("WEBP")[:60], "WebP"),
        (_encoded("PNG")[:10], "expected an image of 1 to 20000 pixels"),
        *(
            (_encoded(f, m, (201, 100), **o), "expected an image of 1 to 20000 pixels, received")
            for f, m, o in (
                ("PNG", "1", {}), ("JPEG", "L", {}), ("GIF", "P", {}), ("BMP", "RGB", {}),
                ("WEBP", "RGB", {}), ("WEBP", "RGBA", {}), ("WEBP", "RGB", {"lossless": True}),
            )
        ),
    ],
)  # fmt: skip
def test_serve_bytes_refuses(serve_bytes, content, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        serve_bytes(content)


def test_size_is_checked_before_pixels_are_decoded(serve_bytes):
    """The header of a PNG of 65535 x 65535 pixels, with nothing behind it."""
    content = bytearray(_encoded("PNG"))
    content[16:24] = (65535).to_bytes(4, "big") * 2
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[65535\] \[x\] \[65535\]"):
        serve_bytes(bytes(content))


def test_warmup_requests_are_prediction_logs(exported):
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    path = exported[0].path / "assets.extra" / "tf_serving_warmup_requests"
    seen = []
    signatures = tf.saved_model.load(str(exported[0].path)).signatures
    for record in tf.data.TFRecordDataset(str(path)):
        request = logs.PredictionLog.FromString(record.numpy()).predict_log.request
        assert request.model_spec.name == "x4-feature"
        ((name, tensor),) = request.inputs.items()
        signature = request.model_spec.signature_name
        signatures[signature](**{name: tf.constant(tf.make_ndarray(tensor))})
        seen.append(signature)
    assert seen == ["serving_default", "serve_bytes", "upscale"]


# --- writing ---


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


def test_a_full_disk_leaves_nothing(tmp_path, photographs, monkeypatch):
    def full(*arguments, **kwargs):
        raise OSError(28, "No space left on device")

    exporter = Exporter("x4-feature", tmp_path, photographs[:1])
    monkeypatch.setattr(exporting.warmup, "write", full)
    with pytest.raises(OSError, match="No space"):
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
