from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from keras_perceptual import zoo
from keras_perceptual.errors import ImageError
from keras_perceptual.evaluation import benchmark as evaluation
from keras_perceptual.evaluation import figures
from keras_perceptual.evaluation.metrics import psnr_rgb, psnr_y
from keras_perceptual.files import images
from keras_perceptual.inference.upscaler import Upscaler
from keras_perceptual.pixels.resampling import degrade
from keras_perceptual.training.degradations import degradation
from tests.conftest import SAMPLES


@pytest.fixture
def small_set(tmp_path, rng):
    """Two small images, LR of one of them supplied."""
    hr = images.read(SAMPLES / "HR" / "chelsea.png").pixels
    folder = tmp_path / "Small"
    for name, top in (("a", 20), ("b", 100)):
        part = hr[top : top + 97, 150:250]  # neither side a multiple of 8
        images.write(folder / "HR" / f"{name}.png", images.Picture(part))
    lr = degrade(images.read(folder / "HR" / "a.png").pixels[:96, :100], 4)
    images.write(folder / "LRx4" / "a.png", images.Picture(255 - lr))
    return folder


def test_pairs_take_supplied_files_and_make_the_others(small_set):
    found = {name: (lr, hr) for name, lr, hr in evaluation.pairs(small_set, 4)}
    assert found["a"][1].shape == (96, 100, 3)
    assert np.array_equal(found["a"][0], 255 - degrade(found["a"][1], 4))
    assert np.array_equal(found["b"][0], degrade(found["b"][1], 4))
    blur = degradation("blur-bicubic")
    blurred = {name: lr for name, lr, _ in evaluation.pairs(small_set, 4, blur)}
    assert np.array_equal(blurred["a"], degrade(found["a"][1], 4, 1.0))


def test_pairs_take_what_is_given_elsewhere(small_set, tmp_path):
    given = tmp_path / "damaged"
    for name in ("a", "b"):
        picture = images.Picture(np.full((24, 25, 3), ord(name), np.uint8))
        images.write(given / f"{name}.jpg", picture)  # another format than HR has
    found = {name: lr for name, lr, _ in evaluation.pairs(small_set, 4, given=given)}
    assert {name: int(lr.mean()) for name, lr in found.items()} == {"a": 97, "b": 98}
    (given / "b.jpg").unlink()
    with pytest.raises(ImageError, match="expected an image b, found none"):
        list(evaluation.pairs(small_set, 4, given=given))


def test_pairs_are_damaged_alike_each_time(small_set):
    for name in ("noise", "random"):
        once, again = (
            [lr for _, lr, _ in evaluation.pairs(small_set, 4, degradation(name))] for _ in range(2)
        )
        assert all(np.array_equal(x, y) for x, y in zip(once, again, strict=True))


def test_pairs_refuse_a_supplied_file_of_another_size(small_set):
    images.write(small_set / "LRx4" / "b.png", images.Picture(np.zeros((9, 9, 3), np.uint8)))
    with pytest.raises(ImageError, match=r"b.png: expected 25x24 pixels, found 9x9"):
        list(evaluation.pairs(small_set, 4))


def test_numbers_are_those_of_the_metrics(small_set):
    seen = []
    rows = evaluation.evaluate(
        {"bicubic": evaluation.bicubic(4), "half": lambda lr: evaluation.bicubic(4)(lr) / 2},
        small_set,
        4,
        lpips=lambda sr, hr: float(sr.mean()),
        rgb=True,
        seen=lambda *about: seen.append(about),
    )
    assert [about[0] for about in seen] == ["a", "b"]
    _, hr, results, numbers = seen[1]
    assert numbers["bicubic"] == rows["bicubic"]["b"]
    assert rows["half"]["b"]["psnr_y"] == psnr_y(results["half"], hr, 4)
    assert rows["half"]["b"]["psnr_rgb"] == psnr_rgb(results["half"], hr, 4)
    assert rows["half"]["b"]["lpips"] == results["half"].mean()
    mean = evaluation.mean(rows["half"])
    assert list(mean) == list(evaluation.METRICS)
    assert mean["ssim_y"] == pytest.approx(np.mean([rows["half"][n]["ssim_y"] for n in "ab"]))
    assert mean == evaluation.judge(
        lambda lr: evaluation.bicubic(4)(lr) / 2, small_set, 4, lambda sr, hr: float(sr.mean())
    ) | {"psnr_rgb": mean["psnr_rgb"]}


def test_what_an_image_is_too_small_for_is_left_out():
    hr = np.zeros((24, 24, 3), np.uint8)
    assert list(evaluation.score(hr, hr, 4, lambda sr, hr: 0.0)) == ["psnr_y", "ssim_y"]
    assert list(evaluation.score(hr, hr, 8)) == ["psnr_y"]
    hr = np.zeros((80, 80, 3), np.uint8)
    assert "cross_hatch" not in evaluation.score(hr, hr, 3)
    assert "cross_hatch" in evaluation.score(hr, hr, 8)


def test_table():
    rows = {"bicubic": {"psnr_y": 28.426, "ssim_y": 0.81126}, "it": {"psnr_y": 30, "lpips": 0.1}}
    assert evaluation.table(rows).splitlines() == [
        "|  | PSNR | SSIM | LPIPS | cross-hatch |",
        "| --- | --- | --- | --- | --- |",
        "| bicubic | 28.43 | 0.8113 | - | - |",
        "| it | 30.00 | - | 0.1000 | - |",
    ]


def test_sha256_of_files_and_folders(tmp_path):
    shutil.copytree(zoo.folder("x4-feature"), tmp_path / "model")
    card = zoo.card("x4-feature")
    assert (
        evaluation.sha256(Upscaler("x4-feature", precision="float32").path)
        == card["sha256"]["model.tflite"]
    )
    whole = evaluation.sha256(tmp_path / "model")
    (tmp_path / "model" / "card.json").write_text("{}")
    assert evaluation.sha256(tmp_path / "model") != whole


def test_crops_show_the_worst_window(rng):
    hr = np.full((200, 300, 3), 100, np.uint8)
    sr = hr.copy()
    sr[90:120, 150:250] = 0
    crops = figures.Crops(rows=1, side=32, zoom=2)
    _, top, left = crops._worst(hr, sr)
    assert 88 <= top <= 90
    assert 150 <= left <= 218
    crops.see("flat", hr, {"bicubic": hr}, {"bicubic": {"psnr_y": np.inf}})
    crops.see("black", hr, {"bicubic": sr}, {"bicubic": {"psnr_y": 20.0, "lpips": 0.5}})
    ((_, cells),) = crops._kept
    assert [label for label, _ in cells] == ["black", "HR", "bicubic\n20.00 dB, 0.500"]
    assert cells[2][1].shape == (64, 64, 3)
    assert crops.sheet().shape[1] > 96 + 2 * 64


def test_evaluate_as_a_user(run_script, small_set, tmp_path):
    out = tmp_path / "results"
    result = run_script("evaluate.py", "--models", "x4-pixel", "--data", small_set, "--out", out)
    assert result.returncode == 0, result.stderr
    rows = [line for line in result.stdout.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows] == ["| ", "| ---", "| bicubic", "| x4-pixel"]
    about = json.loads((out / "results.json").read_text("utf-8"))
    assert about["models"]["x4-pixel"] == {
        "file": "model.tflite",
        "sha256": zoo.card("x4-pixel")["sha256"]["model.tflite"],
    }
    numbers = about["images"]["Small"]["x4-pixel"]["b"]
    assert f"{about['means']['Small']['x4-pixel']['psnr_y']:.2f}" in rows[-1]
    ((_, lr, hr),) = [p for p in evaluation.pairs(small_set, 4) if p[0] == "b"]
    sr = Upscaler("x4-pixel", histogram_match="none", precision="float32").upscale(lr)
    assert numbers["psnr_y"] == pytest.approx(psnr_y(sr, hr, 4), abs=0.01)
    with Image.open(out / "crops-Small-x4.png") as crops:
        assert crops.width > 4 * 96


def test_evaluate_with_lpips_draws_the_plot(run_script, small_set, tmp_path, data):
    result = run_script(
        "evaluate.py",
        *("--models", "x4-pixel", "x4-feature", "--data", small_set, "--out", tmp_path),
        *("--degradation", "blur-bicubic", "--histogram-match", "paper", "--rgb"),
        env={"KERAS_PERCEPTUAL_LPIPS": str(data("lpips/lpips_alex_v0.1.npz"))},
    )
    assert result.returncode == 0, result.stderr
    means = json.loads((tmp_path / "results.json").read_text("utf-8"))["means"]["Small"]
    assert means["x4-feature"]["lpips"] < means["bicubic"]["lpips"]
    assert (tmp_path / "perception-distortion-x4.png").exists()


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        (["--models", "x4-none"], 2, "expected a model of"),
        (["--models", "x4-pixel", "--scale", "3"], 2, "x4-pixel has scale 4, received --scale 3"),
        (["--data", "a/Set5", "b/Set5"], 2, "expected sets of different names"),
        (["--fidelity", "2"], 2, "expected a fidelity of 0 to 1"),
        (["--data", "/no/such/folder"], 1, "HR"),
        (["--lpips", "/no/such/file"], 1, "expected LPIPS weights"),
    ],
)
def test_evaluate_refuses(run_script, tmp_path, flags, status, message):
    result = run_script("evaluate.py", "--out", tmp_path, *flags)
    assert result.returncode == status
    assert message in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
