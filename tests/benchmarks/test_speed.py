"""benchmarks/speed.py: what it refuses, and what its table counts. Nothing here is timed."""

from __future__ import annotations

import pytest

from keras_perceptual import zoo
from tests.conftest import ROOT, SAMPLES


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--models", "none"], "invalid choice"),
        (["--base", "none"], "invalid choice"),
        (["--rounds", "0"], "at least 1"),
        (["--threads", "two"], "at least 1"),
        (["--megapixels", "0"], "expected a number above 0"),
        (["--megapixels", "nan"], "expected a number above 0"),
        (["--lpips", "weights.npz"], "--lpips needs --sets"),
        (["--sets", "none"], "expected a folder with HR/"),
    ],
)
def test_refuses(run_script, flags, message):
    result = run_script("benchmarks/speed.py", *flags)
    assert result.returncode == 2
    assert message in result.stderr.splitlines()[-1]


def test_a_row_a_generator_with_what_its_card_says(run_script):
    scales = {name: zoo.descriptor(name).scale for name in zoo.names()}
    names = [*{scale: name for name, scale in scales.items()}.values(), "x4-feature"]
    small = ("--rounds", 1, "--megapixels", 0.01, "--threads", 1)
    result = run_script("benchmarks/speed.py", *small, "--models", *names)
    assert result.returncode == 0, result.stderr
    _, _, header, _, *lines = result.stdout.splitlines()
    assert {line.count("|") for line in lines} == {header.count("|")}
    table = {name: rest for name, *rest in (line.strip("| ").split(" | ") for line in lines)}
    bicubic = {f"x{scale}-bicubic" for scale in scales.values()}
    assert set(table) == {*names, *bicubic}
    for card in map(zoo.card, names):
        parameters, multiply_adds, best, median, _, before, peak, quality, *_ = table[card["name"]]
        assert parameters == f"{card['parameters']:,}"
        # A weight of a convolution is used once an output pixel at most, or else once an LR pixel,
        # or once for two by two of them.
        a_pixel = 1000 * float(multiply_adds)
        side = scales[card["name"]] * (1 + (zoo.descriptor(card["name"]).generator == "plain"))
        assert 0.9 * card["parameters"] / side**2 < a_pixel < card["parameters"]
        assert 0 < float(best) <= float(median)
        assert 0 < float(before) <= float(peak)
        assert quality.startswith(f"{next(iter(card['numbers'].values()))['psnr_y']:.2f} / ")


def test_judges_on_sets(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import speed

    contenders = speed.enter(["x4-pixel"], megapixels=0.01, threads=1)
    psnr = {
        name: quality["samples"]["psnr_y"]
        for name, quality in speed.judge(contenders, [SAMPLES], None).items()
    }
    assert list(psnr) == ["x4-bicubic", "x4-pixel"]
    assert psnr["x4-bicubic"] < psnr["x4-pixel"]
