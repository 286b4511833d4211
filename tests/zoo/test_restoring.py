"""x4-photo on damaged photographs: as docs/evaluation.md says, and as good as it should be."""

from __future__ import annotations

import pytest

from keras_perceptual import Upscaler
from keras_perceptual.evaluation import benchmark as evaluation
from keras_perceptual.evaluation.lpips import LPIPS
from tests.conftest import ROOT

# By damage and set: PSNR of bicubic, and the LPIPS of the best of the small public networks.
BARS = {
    ("jpeg75", "Set5"): ("JPEG 75, Set5", 27.48, 0.206),
    ("jpeg75", "Set14"): ("JPEG 75, Set14", 25.47, 0.267),
    ("jpeg40", "Set5"): ("JPEG 40, Set5", 26.35, 0.253),
    ("jpeg40", "Set14"): ("JPEG 40, Set14", 24.68, 0.319),
    ("noise", "Set5"): ("noise, Set5", 27.70, 0.167),
    ("noise", "Set14"): ("noise, Set14", 25.64, 0.256),
    ("blurjpeg", "Set5"): ("blur and JPEG, Set5", 26.07, 0.253),
    ("blurjpeg", "Set14"): ("blur and JPEG, Set14", 24.50, 0.318),
}


@pytest.mark.parametrize(("damage", "folder"), BARS)
def test_damaged_photographs(data, damage, folder):
    title, bicubic, most = BARS[damage, folder]
    upscale = Upscaler("x4-photo", precision="float32", histogram_match="none").upscale
    rows = evaluation.evaluate(
        {"it": upscale},
        data(f"test/{folder}"),
        4,
        given=data(f"real/{damage}/{folder}"),
        lpips=LPIPS(data("lpips/lpips_alex_v0.1.npz")),
    )
    numbers = evaluation.mean(rows["it"])
    assert numbers["psnr_y"] >= bicubic
    assert numbers["lpips"] <= most
    lines = (ROOT / "docs/evaluation.md").read_text("utf-8").splitlines()
    (row,) = (line for line in lines if line.startswith(f"| {title} |"))
    psnr, lpips = (float(x) for x in row.rstrip("| ").rpartition("| ")[2].split(" / "))
    assert numbers["psnr_y"] == pytest.approx(psnr, abs=0.0051)
    assert numbers["lpips"] == pytest.approx(lpips, abs=2e-4)
