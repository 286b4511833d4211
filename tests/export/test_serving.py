"""The SavedModel, as TensorFlow Serving loads and calls it."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_perceptual import zoo
from keras_perceptual.export import bands, signatures
from keras_perceptual.inference.engines import open_engine
from keras_perceptual.models import upscaling
from keras_perceptual.pixels.resampling import to_uint8
from keras_perceptual.pixels.transparency import fill_transparent
from tests.conftest import ROOT


def _signature_tensors(folder: Path, name: str) -> tuple[str, str]:
    from tensorflow.core.protobuf import saved_model_pb2

    parsed = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    signature = parsed.meta_graphs[0].signature_def[name]
    ((_, given),), ((_, returned),) = signature.inputs.items(), signature.outputs.items()
    return given.name, returned.name


@pytest.fixture(scope="module")
def expected(photographs):
    lr = photographs[0]
    bare = open_engine(zoo.folder("x4-feature"), "keras")
    return to_uint8(bare.run(lr[None].astype(np.float32))[0])


@pytest.mark.parametrize("name", ["serving_default", "upscale", "serve_bytes"])
def test_c_api_gives_the_same_pixels(exported, expected, photographs, tmp_path, name):
    folder, lr = exported[0].path, photographs[0]
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
        sr = to_uint8(sr[0])
    else:
        sr = sr[0]
    difference = np.abs(sr.astype(int) - expected)
    assert difference.max() <= 1


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


@pytest.mark.parametrize("size", [(1, 1), (16, 32), (37, 61)])
def test_hidden_colours_are_those_of_the_using_half(rng, size):
    pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    seldom = rng.uniform(size=size) < 0.02
    alpha = np.where(seldom, rng.integers(1, 256, size), rng.choice([0, 3])).astype(np.uint8)
    filled = signatures._fill_transparent(pixels, alpha[..., None]).numpy().astype(int)
    assert np.abs(filled - fill_transparent(pixels, alpha)).max() <= 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a PNG, JPEG, WebP or BMP file of one frame"),
        (b"not an image", "expected a PNG, JPEG, WebP or BMP file of one frame"),
        (_encoded("GIF", "P"), "expected a PNG, JPEG, WebP or BMP file of one frame"),
        (_encoded("PNG")[:60], "Invalid PNG"),
        (_encoded("JPEG")[:300], "JPEG"),
        (_encoded("WEBP")[:60], "WebP"),
        (_encoded("PNG")[:10], "expected an image of 1 to 20000 pixels"),
        *(
            (_encoded(f, m, (201, 100), **o), "expected an image of 1 to 20000 pixels, received")
            for f, m, o in (
                ("PNG", "1", {}), ("JPEG", "L", {}), ("BMP", "RGB", {}),
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


def _chunk(kind: bytes, content: bytes) -> bytes:
    sum_ = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + sum_


def _png_with_texts(kind: bytes, count: int, letters: int = 7_900_000) -> bytes:
    """A PNG with packed texts of so many letters each."""
    png, packed = _encoded("PNG"), zlib.compress(b"A" * letters, 9)
    between = b"\0\0" if kind == b"zTXt" else b"\0\1\0\0\0"
    texts = [_chunk(kind, b"key%d" % i + between + packed) for i in range(count)]
    return png[:33] + b"".join(texts) + png[33:]


def _jpeg_with_scans(count: int) -> bytes:
    """A progressive JPEG that goes over its picture again and again, 14 bytes each time."""
    content = _encoded("JPEG", "L", (64, 64), progressive=True)
    last, end = content.rfind(b"\xff\xda"), content.rfind(b"\xff\xd9")
    return content[:end] + content[last:end] * count + content[end:]


def _animation(frames: int) -> bytes:
    first, *others = [Image.new("RGB", (90, 90), (i, 0, 0)) for i in range(frames)]
    file = io.BytesIO()
    first.save(file, "WEBP", save_all=True, append_images=others, lossless=True)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_animation(200), "expected a PNG, JPEG, WebP or BMP file of one frame, received another"),
        (_jpeg_with_scans(5000), "expected a JPEG of at most 64 scans"),
        (_png_with_texts(b"zTXt", 9), "expected a PNG of at most 8 texts that may be compressed"),
        (_png_with_texts(b"iTXt", 300), "expected a PNG of at most 8 texts that may be compressed"),
    ],
)
def test_what_would_decode_to_much_more_is_refused_before(serve_bytes, content, message):
    began = time.monotonic()
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        serve_bytes(content)
    assert time.monotonic() - began < 2


def test_what_is_usual_stays_below_the_limits(serve_bytes):
    """Progressive JPEGs have about ten scans, photographs one XMP and a few texts."""
    for content in (_jpeg_with_scans(40), _png_with_texts(b"iTXt", 8, 1000), _animation(1)):
        with Image.open(io.BytesIO(content)) as source:
            (enlarged,) = serve_bytes(content)
            assert enlarged.size == (4 * source.width, 4 * source.height)


def test_a_webp_whose_canvas_is_smaller_than_its_picture(serve_bytes):
    content = bytearray(_encoded("WEBP", "RGBA", (120, 120), exif=b"Exif\0\0MM\0*\0\0\0\x08"))
    assert content[12:16] == b"VP8X"
    content[24:30] = (9).to_bytes(3, "little") * 2
    with pytest.raises(tf.errors.InvalidArgumentError, match="WebP"):
        serve_bytes(bytes(content))


@pytest.mark.parametrize("size", [(70, 30), (30, 70), (51, 50), (300, 1), (1, 300)])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_bands_are_the_whole_picture(monkeypatch, rng, size, channels):
    """The same pixels, whichever side is cut, with seams or without."""
    generator = upscaling.subpixel(3, channels=4, blocks=1)
    pixels = rng.integers(0, 256, (*size, channels), np.uint8)
    png = tf.constant([tf.io.encode_png(pixels).numpy()])
    whole = signatures.serve_bytes(generator, 3)(png)["sr_bytes"]
    assert bands.reach_of(generator) == 4
    monkeypatch.setattr(bands, "AREA", 100)  # bands of 16
    parts = signatures.serve_bytes(generator, 3)(png)["sr_bytes"]
    assert whole.numpy()[0] == parts.numpy()[0]


MEASURE = """
import io, sys
import numpy as np
import tensorflow as tf
from PIL import Image
from keras_perceptual.export import bands, signatures
from keras_perceptual.models.upscaling import subpixel
from tests.peak import peak

serve = signatures.serve_bytes(subpixel(4, channels=8, blocks=1), 4)
serve = tf.function(serve, input_signature=[tf.TensorSpec([None], tf.string)])

def run(width, height):
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "PNG")
    serve(tf.constant([file.getvalue()]))
    return peak()

before = run(64, 64)
print(run(*map(int, sys.argv[1:])) - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of a process")
def test_memory_of_the_largest_picture():
    """The result, 192 MB, a few times in 8 bits, and a band; in float32 it is 768 MB once."""
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, "40", "100000"],
        capture_output=True, text=True, cwd=ROOT, timeout=600,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) < 1000


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
