"""The step of a feature recipe written in PyTorch, for training.py. Needs `torch`.

Channels last, autocast to bfloat16, Adam over all weights at once: what PyTorch's own guides for
processors recommend.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from torch import nn

from keras_perceptual.training.recipe import Recipe
from processes import Run

__all__ = ["open_step"]

MEAN_BGR = (103.939, 116.779, 123.68)
CAFFE_POOLS = ("block1_conv2", "block2_conv2")  # a pool follows these
LINEAR, TEXTURE = "_linear", 16  # as `losses` has them, which would bring TensorFlow


def open_step(recipe: Recipe, folder: Path, threads: int, compiled: bool) -> Run:
    """Returns the function that makes a step on LR patches `[N, H, W, 3]` and gives its loss."""
    torch.set_num_threads(threads)
    with np.load(folder / "generator.npz") as arrays:
        generator = Subpixel(recipe.scale, recipe.channels, recipe.blocks)
        generator.take({name: arrays[name] for name in arrays.files})
    layers = {layer for name in recipe.loss if (layer := name.partition(":")[2])}
    with np.load(folder / "vgg.npz") as arrays:
        vgg = Features({name: arrays[name] for name in arrays.files}, layers)
    generator, vgg = (each.to(memory_format=torch.channels_last) for each in (generator, vgg))
    step = Step(generator, vgg, recipe)
    hr = _images(np.load(folder / "hr.npy"))
    loss_of = torch.compile(step.loss) if compiled else step.loss

    def run(lr: np.ndarray) -> np.ndarray:
        loss = loss_of(_images(lr), hr)
        step.descend(loss)
        return loss.detach().numpy()

    return run


def _images(pixels: np.ndarray) -> torch.Tensor:
    """Returns `[N, H, W, C]` as `[N, C, H, W]`, whose bytes lie as they did."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


class Subpixel(nn.Module):
    """The generator `subpixel`."""

    def __init__(self, scale: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.scale = scale
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.first = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1) for _ in range(blocks)
        )
        self.second = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1) for _ in range(blocks)
        )
        self.tail = nn.Conv2d(channels, 3 * scale**2, 3, padding=1)

    def _named(self) -> Iterator[tuple[str, nn.Conv2d]]:
        yield "head", self.head
        for i, (first, second) in enumerate(zip(self.first, self.second, strict=True)):
            yield f"block{i}_conv0", first
            yield f"block{i}_conv1", second
        yield "tail", self.tail

    def take(self, weights: Mapping[str, np.ndarray]) -> None:
        """Takes the weights of the Keras model."""
        for name, convolution in self._named():
            _set(convolution, weights[f"{name}/kernel"], weights[f"{name}/bias"])

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        x = head = self.head(lr / 127.5 - 1)
        for first, second in zip(self.first, self.second, strict=True):
            x = x + second(functional.relu(first(x)))
        x = self.tail(x + head).float() * 127.5 + lr.repeat(1, self.scale**2, 1, 1)
        batch, _, height, width = lr.shape
        x = x.view(batch, self.scale, self.scale, 3, height, width)
        x = x.permute(0, 3, 4, 1, 5, 2)
        return x.reshape(batch, 3, height * self.scale, width * self.scale)


class Features(nn.Module):
    """VGG16 up to the last of some layers, frozen, its preprocessing inside."""

    def __init__(self, weights: Mapping[str, np.ndarray], layers: Set[str]) -> None:
        super().__init__()
        self.layers = layers
        self.names = sorted(name[: -len("_kernel")] for name in weights if "kernel" in name)
        self.convolutions = nn.ModuleList()
        for name in self.names:
            kernel = weights[f"{name}_kernel"]
            self.convolutions.append(nn.Conv2d(*kernel.shape[2:], 3, padding=1))
            _set(self.convolutions[-1], kernel, weights[f"{name}_bias"])
        self.requires_grad_(False)
        self.register_buffer("mean", torch.tensor(MEAN_BGR).view(1, 3, 1, 1))

    def forward(self, rgb: torch.Tensor) -> dict[str, torch.Tensor]:
        x = rgb.flip(1) - self.mean
        found: dict[str, torch.Tensor] = {}
        for number, (name, convolution) in enumerate(
            zip(self.names, self.convolutions, strict=True)
        ):
            with torch.autocast("cpu", enabled=number > 0 and torch.is_autocast_enabled("cpu")):
                linear = convolution(x)  # the first one in float32, as in Keras
                x = functional.relu(linear)
            seen = {name: x, name + LINEAR: linear}
            found.update((layer, seen[layer]) for layer in seen.keys() & self.layers)
            if name in CAFFE_POOLS:
                x = functional.max_pool2d(x, 2)
        return found


def _set(convolution: nn.Conv2d, kernel: np.ndarray, bias: np.ndarray) -> None:
    with torch.no_grad():
        convolution.weight.copy_(torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy()))
        convolution.bias.copy_(torch.from_numpy(bias))


class Step:
    """A loss, and a step down it: Adam, moving averages of the weights, nothing not finite."""

    def __init__(self, generator: Subpixel, vgg: Features, recipe: Recipe) -> None:
        self.generator, self.vgg, self.recipe = generator, vgg, recipe
        self.weights = list(generator.parameters())
        self.averages = [weight.detach().clone() for weight in self.weights]
        self.adam = torch.optim.Adam(self.weights, recipe.learning_rate, eps=1e-7, foreach=True)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.adam, recipe.steps)

    def loss(self, lr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled="bfloat16" in self.recipe.precision):
            sr = self.generator(lr)
            seen = self.vgg(sr)
            with torch.no_grad():
                expected = self.vgg(hr)
        loss = self.recipe.loss["phase_bias"] * self._phase_bias(sr - hr)
        for layer, features in seen.items():
            pair = features.float(), expected[layer].float()
            if weight := self.recipe.loss.get(f"feature:{layer}"):
                loss = loss + weight * functional.mse_loss(*pair)
            if weight := self.recipe.loss.get(f"texture:{layer}"):
                loss = loss + weight * self._texture(
                    *pair, TEXTURE * pair[0].shape[2] // hr.shape[2]
                )
        return loss

    def _texture(self, sr: torch.Tensor, hr: torch.Tensor, window: int) -> torch.Tensor:
        batch, channels, height, width = sr.shape
        shape = (batch, height // window, window, width // window, window, channels)
        grams = []
        for features in (sr, hr):
            flat = features.permute(0, 2, 3, 1).reshape(shape).transpose(2, 3)
            flat = flat.reshape(-1, window**2, channels)
            grams.append(torch.bmm(flat.mT, flat) / (channels * window**2))
        off, size = (each.square().sum((1, 2)) for each in (grams[0] - grams[1], grams[1]))
        return (off / (size + 0.01 * size.mean())).mean()

    def _phase_bias(self, error: torch.Tensor, window: int = 4) -> torch.Tensor:
        batch, channels, height, width = error.shape
        scale = self.recipe.scale
        down, across = height // (scale * window), width // (scale * window)
        shape = (batch, channels, down, window, scale, across, window, scale)
        return error.reshape(shape).mean((3, 6)).square().mean()

    def descend(self, loss: torch.Tensor) -> None:
        self.adam.zero_grad()
        loss.backward()
        if torch.stack([weight.grad.isfinite().all() for weight in self.weights]).all():
            self.adam.step()
            with torch.no_grad():
                torch._foreach_lerp_(self.averages, self.weights, 1 - self.recipe.ema)
        self.schedule.step()
