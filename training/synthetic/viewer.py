"""Screens of four made-up viewers: slices in panes, text in the corners, and where everything lies.

All names and numbers are fictional and say so ("TEST PATIENT 0042").
"""

from typing import Final, NamedTuple

import cv2
import numpy as np
from msgspec import Struct
from numpy.random import Generator
from numpy.typing import NDArray

from training.screen import Canvas, identity
from training.synthetic.scan import HEAD, LESION, Map, Slice

Box = tuple[int, int, int, int]
"""Left, top, width, height, in pixels of the file that is sent."""

Colour = tuple[int, int, int]
FONTS: Final = ("sans", "italic")
NEW_FONT: Final = "uni"
MARKED_SHARE: Final = 0.08
GAP_PX: Final = 3
BLACK: Final = (0.03, 0.08)
"""The level that a viewer renders as black: most noise of the air lies below."""


class TextBox(Struct, frozen=True, kw_only=True):
    """A line burnt into a picture; `is_pii`: in a real picture it would tell who the patient is."""

    text: str
    is_pii: bool
    box: Box


class Layout(NamedTuple):
    """A viewer: bars around the panes (pixels), greys, and how bright it renders (the level that
    becomes white)."""

    top_px: int
    left_px: int
    bottom_px: int
    page: int
    wide: float
    white: tuple[float, float]
    ink: tuple[Colour, ...]
    bar_ink: Colour


LAYOUTS: Final = {
    "pacs": Layout(34, 0, 0, 48, 1.35, (0.88, 1.0), ((230, 230, 230), (240, 220, 120)), (200,) * 3),
    "web": Layout(
        52, 150, 0, 238, 1.1, (0.66, 0.76), ((255, 255, 255), (140, 205, 240)), (40,) * 3
    ),
    "disc": Layout(26, 0, 26, 205, 1.2, (1.05, 1.2), ((130, 220, 150), (225, 225, 225)), (20,) * 3),
    "gallery": Layout(84, 0, 110, 0, 1.0, (0.78, 0.9), ((215, 215, 215),), (235,) * 3),
}
MONTAGE_PANE_PX: Final = {1: (580, 720), 4: (350, 420), 9: (280, 310)}


class Screen(NamedTuple):
    """RGB pixels, the truth of each (see `scan`), and every line of text."""

    canvas: Canvas
    truth: Map
    texts: tuple[TextBox, ...]


class Look(NamedTuple):
    """What one case's screens have in common; `marked`: the share of panes with an arrow or an
    outline drawn on the head; `gamma`: the display's curve, 1 for none."""

    layout: str
    who: tuple[str, ...]
    font: str
    colour: Colour
    marked: float
    gamma: float = 1.0


def look(number: int, layout: str, marked: float, new_centre: bool, rng: Generator) -> Look:
    """A new centre has a typeface of its own."""
    font = NEW_FONT if new_centre else FONTS[rng.integers(len(FONTS))]
    inks = LAYOUTS[layout].ink
    who = (*identity(number, rng), f"{rng.integers(1, 28):02d}.11.2{rng.integers(100):03d} 10:42")
    return Look(layout, who, font, inks[rng.integers(len(inks))], marked)


def screen(
    slices: list[Slice], seen: Look, technique: str, mirrored: bool, rng: Generator
) -> Screen:
    """A viewer that shows one slice, or several in a square."""
    layout, per_row = LAYOUTS[seen.layout], round(len(slices) ** 0.5)
    side = int(rng.integers(*MONTAGE_PANE_PX[len(slices)]))
    wide = int(side * (layout.wide if len(slices) == 1 else 1))
    canvas = _page(layout, per_row * (side + GAP_PX), per_row * (wide + GAP_PX))
    truth = np.zeros(canvas.shape[:2], np.uint8)
    texts = _bars(canvas, layout, seen)
    window = (rng.uniform(*BLACK), rng.uniform(*layout.white))
    for number, one in enumerate(slices):
        top = layout.top_px + number // per_row * (side + GAP_PX)
        left = layout.left_px + number % per_row * (wide + GAP_PX)
        area = np.s_[top : top + side, left : left + wide]
        _put(canvas[area], truth[area], one, (*window, seen.gamma), mirrored)
        if rng.random() < seen.marked:
            _mark(canvas[area], truth[area], rng)
        for line in _corners(seen, technique, number, len(slices), mirrored, rng):
            texts.append(_written(canvas[area], line, seen, (left, top)))
    return Screen(canvas, truth, tuple(texts))


def turned(shown: Screen, degrees: int) -> Screen:
    """Turned counter-clockwise by a multiple of 90 degrees."""
    texts = shown.texts
    for quarter in range(degrees // 90):
        width = shown.canvas.shape[1 - quarter % 2]
        texts = tuple(
            TextBox(text=t.text, is_pii=t.is_pii, box=_quarter(t.box, width)) for t in texts
        )
    turns = degrees // 90
    canvas, truth = np.rot90(shown.canvas, turns), np.rot90(shown.truth, turns)
    return Screen(np.ascontiguousarray(canvas), np.ascontiguousarray(truth), texts)


def _quarter(box: Box, width: int) -> Box:
    left, top, wide, high = box
    return top, width - left - wide, high, wide


def _page(layout: Layout, high: int, wide: int) -> Canvas:
    height, width = layout.top_px + high + layout.bottom_px, layout.left_px + wide
    canvas = np.full((height, width, 3), layout.page, np.uint8)
    canvas[layout.top_px : layout.top_px + high, layout.left_px :] = 4
    return canvas


def _bars(canvas: Canvas, layout: Layout, seen: Look) -> list[TextBox]:
    """The viewer's own bars: menus, and in some the patient's name."""
    lines: list[tuple[str, bool, int, int]] = []
    if seen.layout == "web":
        lines = [(line, True, 8, 70 + 26 * row) for row, line in enumerate(seen.who)]
        lines.append(("Demo Web Viewer", False, 12, 16))
    elif seen.layout == "gallery":
        lines = [("10:42", False, 16, 14), ("3 / 7", False, canvas.shape[1] // 2 - 20, 14)]
    else:
        lines = [("File  View  Tools  Help", False, 10, 6)]
    return [
        _write(canvas, text, (x, y), 15, layout.bar_ink, seen.font, is_pii, (0, 0))
        for text, is_pii, x, y in lines
    ]


def _put(
    pane: Canvas, truth: Map, one: Slice, window: tuple[float, float, float], mirrored: bool
) -> None:
    """The slice in the middle of its pane, enlarged as viewers do; `window` is black, white, gamma."""
    side, flip = pane.shape[0], slice(None, None, -1 if mirrored else 1)
    low, high, gamma = (np.float32(level) for level in window)
    grey = ((one.level[:, flip] - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8)
    curve = np.round(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    large = np.maximum(
        cv2.resize(cv2.LUT(grey, curve), (side, side), interpolation=cv2.INTER_CUBIC), 4
    )
    across = np.s_[:, (pane.shape[1] - side) // 2 : (pane.shape[1] - side) // 2 + side]
    pane[across] = cv2.cvtColor(large, cv2.COLOR_GRAY2RGB)
    where = np.ascontiguousarray(one.truth[:, flip])
    truth[across] = cv2.resize(where, (side, side), interpolation=cv2.INTER_NEAREST)


def _mark(pane: Canvas, truth: Map, rng: Generator) -> None:
    """An arrow or an outline, at the lesion if there is one."""
    ink = np.argwhere(truth == (LESION if (truth == LESION).any() else HEAD))
    if not len(ink):
        return
    y, x = (int(v) for v in ink[rng.integers(len(ink))])
    size, colour = int(rng.integers(14, 40)), (255, 220, 0)
    if rng.random() < 0.5:
        cv2.arrowedLine(pane, (x + 2 * size, y + size), (x + 6, y + 3), colour, 2, cv2.LINE_AA)
    else:
        cv2.ellipse(pane, (x, y), (size, int(size * 0.7)), 0, 0, 360, colour, 2, cv2.LINE_AA)


class Line(NamedTuple):
    """Text at a place of its pane: which share of the free width and height lies before it, which
    row counted from there."""

    text: str
    is_pii: bool
    across: float
    down: float
    row: int = 0


def _corners(
    seen: Look, technique: str, number: int, panes: int, mirrored: bool, rng: Generator
) -> list[Line]:
    """Overlays of a pane; small panes carry less. A mirrored picture has no side marker."""
    image = Line(f"Im {rng.integers(1, 19)}/18", False, 1, 1)
    sides = [] if mirrored else [Line("R", False, 0, 0.5), Line("L", False, 1, 0.5)]
    if panes > 1:
        return [image, *([Line(seen.who[0], True, 0, 0)] if number == 0 else [])]
    who = [Line(text, True, 0, 0, row) for row, text in enumerate(seen.who)]
    window = (f"W {rng.integers(700, 1500)} L {rng.integers(300, 800)}", "5.0 mm")
    made = [Line(text, False, 1, 0, row) for row, text in enumerate((technique, "TE 88"))]
    below = [Line(text, False, 0, 1, -row) for row, text in enumerate(window)]
    letters = [Line("A", False, 0.5, 0), Line("P", False, 0.5, 1)]
    shown = [] if seen.layout == "gallery" and rng.random() < 0.5 else who
    return [*shown, *made, *below, image, *letters, *sides]


def _written(pane: Canvas, line: Line, seen: Look, offset: tuple[int, int]) -> TextBox:
    height, width = pane.shape[:2]
    size = max(11, round(height * 0.024))
    wide, high = _size(line.text, size, seen.font), size + 4
    x = int(8 + line.across * (width - wide - 16))
    y = int(6 + line.down * (height - high - 12)) + line.row * high
    return _write(pane, line.text, (x, y), size, seen.colour, seen.font, line.is_pii, offset)


def _size(text: str, size: int, font: str) -> int:
    return int(cv2.getTextSize((4096, 64), text, (0, 0), cv2.FontFace(font), size, 400)[2])


def _write(
    canvas: Canvas,
    text: str,
    place: tuple[int, int],
    size: int,
    colour: Colour,
    font: str,
    is_pii: bool,
    offset: tuple[int, int],
) -> TextBox:
    """Writes with the upper left corner at `place` and tells where in the whole screen the ink is."""
    x, y = place
    spot = canvas[y : y + size + 6, x : x + _size(text, size, font) + 4]
    ink = np.zeros(spot.shape[:2], np.uint8)
    cv2.putText(ink, text, (1, size), 255, cv2.FontFace(font), size, 400)
    cover = ink[..., None] / np.float32(255)
    spot[:] = np.round(spot * (1 - cover) + np.array(colour, np.float32) * cover)
    left, top, wide, high = cv2.boundingRect(ink)
    box = (offset[0] + x + left, offset[1] + y + top, wide, high)
    return TextBox(text=text, is_pii=is_pii, box=box)


def boxes_of(texts: tuple[TextBox, ...]) -> NDArray[np.float32]:
    """Their corners (texts, 4, 2), in pixels."""
    corners = [
        [(x, y), (x + w, y), (x + w, y + h), (x, y + h)] for x, y, w, h in (t.box for t in texts)
    ]
    return np.array(corners, np.float32).reshape(-1, 4, 2)
