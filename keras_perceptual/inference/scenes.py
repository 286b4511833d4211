"""Frames of a film on their way to paintings that do not flicker.

Painted by itself, each frame gets statistics of its own, and whatever moves in it changes the
colours of all the rest; and it paints the noise of a film larger than it was. Here a scene has one
set of statistics, which follows it slowly; what only flickers is held; and what the network paints
by, its grain and the grid of its strides, stands with the scene: it moves as the camera does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from keras_perceptual.inference.painting import Painter, Painting, windows_of
from keras_perceptual.inference.request import Pipeline, Request
from keras_perceptual.inference.sequence import State
from keras_perceptual.inference.tiling import Pass
from keras_perceptual.pixels.grain import grained
from keras_perceptual.pixels.levels import as_integers, as_levels
from keras_perceptual.pixels.motion import change, displacement, glimpse, reduction
from keras_perceptual.pixels.resampling import RowResizer
from keras_perceptual.pixels.rows import RowReader
from keras_perceptual.pixels.steady import moved, steadied
from keras_perceptual.pixels.transparency import fill_transparent

__all__ = ["Scenes"]

CUT = 18.0  # levels of change that make a cut, if it is also
SUDDEN = 3.0  # times what changed before
EVERY = 12  # frames between two measurements of a scene
SLOWLY = 1 / 48  # part of the way to what was measured that statistics go in a frame
STRIDES = 4  # of the network: what it does is alike at multiples of it
DOUBT = 0.7  # pixels of movement that may be none
FAR = 0.2  # of a side, beyond which a movement is seen from another frame
_Paint = Callable[..., Painting]


class Scenes:
    """A `Sequence` that paints.

    Args:
        paint: from a request, a painter with statistics and the place of the grain to what is on
            its way.
        painter: of the style.
        tiles: a pass of it.
        grain: that frames get, in levels.
        budget: bytes that tiles may take.
        state: of another one that stopped before; empty at the beginning.
    """

    def __init__(
        self,
        paint: _Paint,
        painter: Painter,
        tiles: Pass,
        *,
        grain: float,
        budget: int,
        state: State,
    ) -> None:
        self._paint, self._painter, self._tiles = paint, painter, tiles
        self._grain, self._budget = grain, budget
        self._state = dict(state)

    def state(self) -> State:
        return dict(self._state)

    def pipeline(self, request: Request) -> Pipeline:
        image = _resized(request)
        seen = glimpse(image)
        if not self._state or self._cut(seen):
            self._begin(seen)
            image = self._steadied(image, np.zeros(2))
            self._state["statistics"] = self._state["target"] = self._measured(image, (0, 0))
        else:
            before = self._state["moved"]
            self._follow(seen, reduction(image.shape))
            image = self._steadied(image, self._state["moved"] - before)
        down, right = (round(float(each)) for each in self._state["moved"])
        place = -down, -right
        number = int(self._state["number"])
        if number and number % EVERY == 0:
            self._state["target"] = self._measured(image, place)
        held = self._state["statistics"]
        self._state["statistics"] = held + np.float32(SLOWLY) * (self._state["target"] - held)
        self._state["number"] = np.array(number + 1)
        return _OnGrid(self._paint, self._painter.held(held), image, place, request)

    def _cut(self, seen: np.ndarray) -> bool:
        before = self._state["seen"]
        if before.shape != seen.shape:
            return True
        changed, usual = change(before, seen), float(self._state["changed"])
        self._state["changed"] = np.array(0.9 * usual + 0.1 * changed)
        return changed > CUT and changed > SUDDEN * usual

    def _begin(self, seen: np.ndarray) -> None:
        self._state = {
            "seen": seen,
            "changed": np.array(0.0),
            "number": np.array(0),
            "from": seen,
            "moved_from": np.zeros(2),
            "moved": np.zeros(2),
        }

    def _follow(self, seen: np.ndarray, pixels: int) -> None:
        """Finds out how far the camera moved, by a frame from a while ago: no errors add up."""
        state = self._state
        found = displacement(state["from"], seen)
        if found is not None:
            now = state["moved_from"] + pixels * np.array(found)
            # What it is rounded to stays while it is in doubt.
            state["moved"] = np.where(
                np.abs(now - state["moved"]) > DOUBT, now.round(), state["moved"]
            )
        if found is None or max(map(abs, found)) > FAR * min(seen.shape):
            state["from"] = seen
            state["moved_from"] = state["moved"] if found is None else now
        state["seen"] = seen

    def _steadied(self, image: np.ndarray, movement: np.ndarray) -> np.ndarray:
        """Returns a frame whose noise is mostly that of the frame before."""
        before, colours = self._state.get("steady"), image[..., :3]
        if before is None or before.shape != colours.shape:
            self._state["steady"] = as_integers(as_levels(colours), np.uint16)
            return image
        if movement.any():
            before = moved(before, colours, *(int(each) for each in movement))
        self._state["steady"] = steadied(before, colours)
        levels = as_integers(as_levels(self._state["steady"]), image.dtype.type)
        return levels if image.shape[2] == 3 else np.dstack([levels, image[..., 3]])

    def _measured(self, image: np.ndarray, place: tuple[int, int]) -> np.ndarray:
        height, width = image.shape[:2]
        if self._tiles.tile(height, width, self._budget) != (height, width):
            area = self._tiles.pixels(self._budget)
            return self._painter.measure(windows_of(image, self._grain, area))
        with_grain = grained(image, self._grain, *place)
        if image.shape[2] == 4:
            with_grain = fill_transparent(with_grain[..., :3], with_grain[..., 3])
        return self._painter.measure(as_levels(with_grain)[None])


class _OnGrid:
    """A frame on its way whose strides begin where those of the scene do.

    Args:
        paint: as `Scenes` takes it.
        painter: with the scene's statistics.
        image: the frame.
        place: of the scene's grain at which it begins.
        request: that it is for.
    """

    def __init__(
        self,
        paint: _Paint,
        painter: Painter,
        image: np.ndarray,
        place: tuple[int, int],
        request: Request,
    ) -> None:
        self._before = [each % STRIDES for each in place]
        top, left = self._before
        wider = np.pad(image, ((top, 0), (left, 0), (0, 0)), "symmetric")
        height, width, channels = wider.shape
        asked = Request(
            RowReader(wider),
            (height, width, channels),
            request.dtype,
            (height, width),
            request.progress,
        )
        self._inner = paint(asked, painter, (place[0] - top, place[1] - left))

    def __iter__(self) -> Iterator[np.ndarray]:
        top, left = self._before
        for rows in self._inner:
            skipped = min(top, len(rows))
            top -= skipped
            if skipped < len(rows):
                yield rows[skipped:, left:]

    def table(self) -> None:
        """Paintings have levels of their own."""


def _resized(request: Request) -> np.ndarray:
    image = request.take(request.shape[0])
    if request.shape[:2] == request.size:
        return image
    resizer = RowResizer(*request.shape[:2], request.size)
    return as_integers(resizer.feed(as_levels(image)), request.dtype)
