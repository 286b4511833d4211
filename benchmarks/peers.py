"""What else one could enlarge a photograph with: `python benchmarks/peers.py --help`.

A program that reads, enlarges and writes, as infer.py does, by one runtime. inference.py times it.
Large pictures are cut into tiles that do not overlap, which is quicker than what hides their seams.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np

__all__ = ["commands"]

Enlarge = Callable[[np.ndarray], np.ndarray]  # [H, W, 3] uint8 to [scale H, scale W, 3] float32

TILE, NETWORKS_TILE = 512, 256  # LR pixels a side; networks of others may be much larger


def open_opencv_resize(kernel: str, scale: int) -> Enlarge:
    import cv2

    interpolation = getattr(cv2, kernel)
    return lambda lr: cv2.resize(
        lr, (scale * lr.shape[1], scale * lr.shape[0]), interpolation=interpolation
    )


def open_opencv(model: str, scale: int) -> Enlarge:
    import cv2

    network = cv2.dnn.readNetFromONNX(model)

    def enlarge(lr: np.ndarray) -> np.ndarray:
        network.setInput(lr[None].astype(np.float32))
        return network.forward()[0]

    return enlarge


def open_onnxruntime(model: str, scale: int) -> Enlarge:
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return _fed(lambda lr: session.run(None, {given.name: lr})[0], given.shape[-1] == 3)


def open_openvino(model: str, scale: int) -> Enlarge:
    import openvino

    # Or it takes bfloat16 where the processor can.
    options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(model, "CPU", options)
    channels_last = compiled.input(0).partial_shape[3].to_string() == "3"
    return _fed(lambda lr: compiled(lr)[0], channels_last)


def _fed(run: Enlarge, channels_last: bool) -> Enlarge:
    """Feeds our generators levels, and networks of others what most take: planes in 0..1."""
    if channels_last:
        return lambda lr: run(lr[None].astype(np.float32))[0]
    return lambda lr: 255 * _pixels(run(_planes(lr)[None])[0])


def open_ncnn(model: str, scale: int) -> Enlarge:
    import ncnn

    network = ncnn.Net()
    network.load_param(model)
    network.load_model(str(Path(model).with_suffix(".bin")))
    (given,), (returned,) = network.input_names(), network.output_names()

    def enlarge(lr: np.ndarray) -> np.ndarray:
        extractor, planes = network.create_extractor(), _planes(lr)  # which ncnn does not keep
        extractor.input(given, ncnn.Mat(planes))
        return 255 * _pixels(np.array(extractor.extract(returned)[1]))

    return enlarge


def _planes(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32) / 255


def _pixels(planes: np.ndarray) -> np.ndarray:
    return planes.transpose(1, 2, 0)


# By name: the package that is needed, and what opens it.
RUNTIMES: dict[str, tuple[str, Callable[[str, int], Enlarge]]] = {
    "opencv-resize": ("cv2", open_opencv_resize),
    "opencv": ("cv2", open_opencv),
    "onnxruntime": ("onnxruntime", open_onnxruntime),
    "openvino": ("openvino", open_openvino),
    "ncnn": ("ncnn", open_ncnn),
}


def commands(
    source: Path, target: Path, scale: int, generator: Path, network: Path | None
) -> dict[str, list[str | Path]]:
    """Returns the arguments of Python that enlarge a photograph by each peer that is installed.

    Args:
        source: the photograph.
        target: where to write what comes out.
        scale: the generator's scale.
        generator: the generator of this project, an .onnx file.
        network: one of others, an .onnx file, or ncnn's .param file with its .bin file beside it.
    """
    rows: dict[str, tuple[str, str | Path, int]] = {
        "OpenCV, bicubic": ("opencv-resize", "INTER_CUBIC", TILE),
        "OpenCV, Lanczos": ("opencv-resize", "INTER_LANCZOS4", TILE),
        "OpenCV's networks, the same generator": ("opencv", generator, TILE),
        "ONNX Runtime, the same generator": ("onnxruntime", generator, TILE),
        "OpenVINO, the same generator": ("openvino", generator, TILE),
    }
    if network:
        runtime = "ncnn" if network.suffix == ".param" else "onnxruntime"
        rows[f"{network.stem} in {runtime}"] = (runtime, network, NETWORKS_TILE)
    found: dict[str, list[str | Path]] = {}
    for name, (runtime, model, tile) in rows.items():
        if importlib.util.find_spec(package := RUNTIMES[runtime][0]):
            found[name] = [__file__, runtime, model, source, target, str(scale), str(tile)]
        else:
            print(f"{name} is left out: {package} is not installed\n")
    return found


def main() -> None:
    from PIL import Image

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runtime", choices=RUNTIMES)
    parser.add_argument("model", help="its file, or the kernel of opencv-resize")
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("scale", type=int)
    parser.add_argument("tile", type=int, help="LR pixels a side")
    arguments = parser.parse_args()
    enlarge = RUNTIMES[arguments.runtime][1](arguments.model, arguments.scale)
    lr, tile = np.asarray(Image.open(arguments.source).convert("RGB")), arguments.tile
    strips = []
    for y in range(0, len(lr), tile):
        parts = (lr[y : y + tile, x : x + tile] for x in range(0, lr.shape[1], tile))
        strip = np.concatenate([enlarge(part) for part in parts], axis=1)
        strips.append(np.clip(np.rint(strip), 0, 255).astype(np.uint8))
    sr = np.concatenate(strips)
    Image.fromarray(sr).save(arguments.target, quality=95, subsampling=0)


if __name__ == "__main__":
    main()
