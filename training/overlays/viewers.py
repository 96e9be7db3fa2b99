"""Screens of made-up viewers: heads in panes, toolbars, panels, and lines of text on and off the heads."""

from typing import Final, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.overlays import anatomy, writing
from training.overlays.fonts import Part
from training.overlays.writing import Ink, Line

Canvas = NDArray[np.uint8]
Truth = NDArray[np.uint16]


class Layout(NamedTuple):
    """A viewer's screen: panes and what lies around them, in pixels; greys of page and pane."""

    rows: int
    columns: int
    pane_px: tuple[int, int]
    """Height and width."""
    top_px: int = 0
    left_px: int = 0
    right_px: int = 0
    bottom_px: int = 0
    gap_px: int = 0
    page: int = 40
    pane: int = 0


LAYOUTS: Final[dict[Part, dict[str, Layout]]] = {
    "tuning": {
        "plain": Layout(1, 1, (760, 900)),
        "pair": Layout(1, 2, (560, 520), top_px=36, page=70),
        "quad": Layout(2, 2, (430, 430), top_px=40, gap_px=3, page=55),
    },
    "test": {
        "full-screen": Layout(1, 1, (860, 1180), pane=3),
        "panel": Layout(1, 1, (800, 820), top_px=48, right_px=340, page=48),
        "study-list": Layout(1, 1, (780, 780), top_px=30, left_px=300, page=235),
        "strip": Layout(1, 3, (420, 410), top_px=28, bottom_px=60, gap_px=6, page=25, pane=2),
        "quarters": Layout(2, 2, (450, 560), top_px=34, gap_px=4, page=60),
        "comparison": Layout(2, 3, (400, 405), left_px=44, bottom_px=26, gap_px=8, page=90),
    },
}

HEAD_SHARE = (0.72, 0.96)
"""Side of a head's square, as a share of its pane's shorter side."""

LINES_ON_HEAD_MAX, LINES_OFF_HEAD_MAX = 2, 3
"""Per pane."""

TRIES = 30
ON_HEAD_MIN = 0.9
AIR_PX = 6
"""Between a line off the head and the head."""


class Shot(NamedTuple):
    """A screen, where its heads are (1), whose ink is where (0 none, n = lines[n - 1]), and the lines."""

    canvas: Canvas
    heads: Truth
    ink: Truth
    lines: tuple[Line, ...]


def screen(part: Part, layout: Layout, rng: Generator) -> Shot:
    """One screen with fresh heads and lines in the fonts of `part`."""
    canvas, heads, panes = _furnished(layout, rng)
    ink = np.zeros(heads.shape, np.uint16)
    lines: list[Line] = []
    for pane in panes:
        for _ in range(rng.integers(1, LINES_OFF_HEAD_MAX + 1)):
            _place(part, canvas, heads, ink, lines, pane, False, rng)
        for _ in range(rng.integers(0, LINES_ON_HEAD_MAX + 1)):
            _place(part, canvas, heads, ink, lines, pane, True, rng)
    everywhere = (0, 0, *canvas.shape[:2])
    for _ in range(rng.integers(1, 5)):
        _place(part, canvas, heads, ink, lines, everywhere, False, rng)
    return Shot(canvas, heads, ink, tuple(lines))


Place = tuple[int, int, int, int]
"""Top, left, height, width."""


def _furnished(layout: Layout, rng: Generator) -> tuple[Canvas, Truth, list[Place]]:
    high, wide = layout.pane_px
    height = layout.top_px + layout.rows * (high + layout.gap_px) + layout.bottom_px
    width = layout.left_px + layout.columns * (wide + layout.gap_px) + layout.right_px
    canvas = np.full((height, width, 3), layout.page, np.uint8)
    heads = np.zeros((height, width), np.uint16)
    panes: list[Place] = []
    for row in range(layout.rows):
        for column in range(layout.columns):
            top = layout.top_px + row * (high + layout.gap_px)
            left = layout.left_px + column * (wide + layout.gap_px)
            panes.append((top, left, high, wide))
            canvas[top : top + high, left : left + wide] = layout.pane
            _put_head(canvas, heads, panes[-1], rng)
    return canvas, heads, panes


def _put_head(canvas: Canvas, heads: Truth, pane: Place, rng: Generator) -> None:
    top, left, high, wide = pane
    side = int(rng.uniform(*HEAD_SHARE) * min(high, wide))
    image, mask = anatomy.head(side, rng)
    y, x = top + (high - side) // 2, left + (wide - side) // 2
    area = np.s_[y : y + side, x : x + side]
    canvas[area] = np.maximum(canvas[area], image[..., None])
    heads[area] = mask


def _place(
    part: Part,
    canvas: Canvas,
    heads: Truth,
    ink: Truth,
    lines: list[Line],
    where: Place,
    on_head: bool,
    rng: Generator,
) -> None:
    """Writes one line within `where`, on the head or off it, over no other; or, if it fits nowhere, none."""
    line = writing.ink(part, rng)
    high, wide = line.coverage.shape
    top, left, height, width = where
    if high + 8 >= height or wide + 8 >= width:
        return
    for _ in range(TRIES):
        y = top + 4 + int(rng.integers(height - high - 8))
        x = left + 4 + int(rng.integers(width - wide - 8))
        if _fits(line, heads, ink, x, y, on_head):
            writing.blend(canvas, line, x, y)
            lines.append(Line(line.text, line.size_px, line.script, on_head))
            writing.mark(ink, line, x, y, len(lines))
            return


def _fits(line: Ink, heads: Truth, ink: Truth, x: int, y: int, on_head: bool) -> bool:
    high, wide = line.coverage.shape
    reach = np.s_[max(0, y - AIR_PX) : y + high + AIR_PX, max(0, x - AIR_PX) : x + wide + AIR_PX]
    if ink[reach].any():
        return False
    if not on_head:
        return not heads[reach].any()
    return bool(heads[y : y + high, x : x + wide].mean() >= ON_HEAD_MIN)
