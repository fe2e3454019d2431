"""Canvas: a drawing in metres, as an array or in a window (pygame; off-screen needs no display)."""

import math
import os
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")

import pygame  # after the line above: it greets on stdout unless told not to

Point = tuple[float, float]
Colour = Literal["paper", "ink", "faint", "body", "action", "limit", "goal", "hidden"]

# By role, the same everywhere; distinct for colour-blind people too (after Okabe and Ito, 2008).
COLOURS: dict[Colour, tuple[int, int, int]] = {
    "paper": (255, 255, 255),
    "ink": (51, 51, 51),
    "faint": (200, 200, 200),
    "body": (0, 114, 178),
    "action": (213, 94, 0),
    "limit": (230, 159, 0),
    "goal": (0, 158, 115),
    "hidden": (170, 51, 119),
}
SHARPNESS = 4  # drawn this many times larger, then scaled down: smooth edges
TEXT = 14  # height of a row's letters, pixels
MARGIN = 10  # of the text, pixels


class Canvas:
    """A picture of an environment; every length is in metres, x to the right and y up."""

    def __init__(self, size: tuple[int, int], scale: float, centre: Point = (0.0, 0.0)) -> None:
        """`size` (width, height) in pixels, `scale` in pixels a metre, `centre` in its middle."""
        self._size = size
        self._scale = scale * SHARPNESS
        self._centre = centre
        self._surface = pygame.Surface((size[0] * SHARPNESS, size[1] * SHARPNESS), depth=32)
        pygame.font.init()
        self._font = pygame.font.Font(None, round(1.5 * TEXT * SHARPNESS))
        self._clock = pygame.time.Clock()
        self._window: pygame.Window | None = None

    def clear(self) -> None:
        """Wipe the picture."""
        self._surface.fill(COLOURS["paper"])

    def line(self, points: Sequence[Point], colour: Colour, width: float = 0.02) -> None:
        """Draw a line through the points, its ends and corners round."""
        for point in points:
            self.disc(point, width / 2, colour)
        for start, end in pairwise(points):
            self._stroke(start, end, colour, width)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """Draw a filled polygon."""
        pygame.draw.polygon(
            self._surface, COLOURS[colour], [self._pixel(point) for point in points]
        )

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        """Draw a filled circle."""
        pixels = radius * self._scale
        pygame.draw.circle(self._surface, COLOURS[colour], self._pixel(centre), pixels)

    def arrow(self, points: Sequence[Point], colour: Colour, width: float = 0.04) -> None:
        """Draw a line through the points with a head after its end; without a length, nothing."""
        (x0, y0), (x1, y1) = points[-2:]
        length = math.hypot(x1 - x0, y1 - y0)
        if length == 0.0:
            return
        along = ((x1 - x0) / length * 2 * width, (y1 - y0) / length * 2 * width)
        side = (-along[1], along[0])
        self.line(points, colour, width)
        left, right = (x1 + side[0], y1 + side[1]), (x1 - side[0], y1 - side[1])
        self.polygon([left, right, (x1 + 2 * along[0], y1 + 2 * along[1])], colour)

    def curl(
        self,
        centre: Point,
        radius: float,
        *,
        start: float,
        sweep: float,
        colour: Colour,
        width: float = 0.04,
    ) -> None:
        """Draw an arrow round `centre` from angle `start` on by `sweep` rad, counter-clockwise."""
        angles = np.linspace(start, start + sweep, 24).tolist()
        x, y = centre
        points = [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles]
        self.arrow(points, colour, width)

    def image(self, pixels: NDArray[np.uint8]) -> None:
        """Fill the picture with another one (H, W, 3)."""
        drawn = pygame.surfarray.make_surface(pixels.transpose(1, 0, 2))
        self._surface.blit(pygame.transform.scale(drawn, self._surface.get_size()), (0, 0))

    def text(self, text: str, row: int, colour: Colour = "ink") -> None:
        """Write a line of text at the left: row 0 is the top one, row -1 the bottom one."""
        drawn = self._font.render(text, True, COLOURS[colour])
        height = self._surface.get_height()
        margin = MARGIN * SHARPNESS
        top = margin if row >= 0 else height - margin
        self._surface.blit(drawn, (margin, top + row * drawn.get_height()))

    def rgb(self) -> NDArray[np.uint8]:
        """Return the picture as an array (H, W, 3)."""
        pixels = pygame.surfarray.array3d(self._scaled())  # (W, H, 3)
        return np.ascontiguousarray(pixels.transpose(1, 0, 2))

    def show(self, fps: int, title: str) -> None:
        """Put the picture into this canvas's own window, at most `fps` times a second.

        Raises KeyboardInterrupt when a window was closed by hand.
        """
        if self._window is None:
            self._window = pygame.Window(title, self._size)
        if pygame.event.get(pygame.WINDOWCLOSE):
            raise KeyboardInterrupt("the window was closed")
        self._window.get_surface().blit(self._scaled(), (0, 0))
        self._window.flip()
        self._clock.tick(fps)

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.destroy()
            self._window = None

    def _pixel(self, point: Point) -> Point:
        x, y = (
            (point[0] - self._centre[0]) * self._scale,
            (point[1] - self._centre[1]) * self._scale,
        )
        return self._surface.get_width() / 2 + x, self._surface.get_height() / 2 - y

    def _stroke(self, start: Point, end: Point, colour: Colour, width: float) -> None:
        dx, dy = end[0] - start[0], end[1] - start[1]
        length = math.hypot(dx, dy)
        if length == 0.0:
            return
        x, y = -dy / length * width / 2, dx / length * width / 2  # half the width, sideways
        corners = [(start[0] + x, start[1] + y), (start[0] - x, start[1] - y)]
        corners += [(end[0] - x, end[1] - y), (end[0] + x, end[1] + y)]
        self.polygon(corners, colour)

    def _scaled(self) -> pygame.Surface:
        return pygame.transform.smoothscale(self._surface, self._size)
