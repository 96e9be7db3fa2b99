"""Drawn pictures that are no head scan, of kinds that nothing was trained or tuned on."""

from typing import Final

import cv2
import numpy as np
from numpy.random import Generator

from training.gate.shapes import (
    Picture,
    cloud,
    colour_of,
    disc,
    lit,
    sheet,
    softened,
    somewhere,
    tinted,
    words,
)
from training.gate.strangers import Draw


def landscape(side_px: int, rng: Generator) -> Picture:
    """Sky, hills, a sun."""
    canvas, s = sheet(side_px, 190, rng, 40), side_px
    disc(canvas, somewhere(s, rng, 0.15), (0.06 * s, 0.06 * s), (255, 245, 200))
    for ridge in range(4):
        heights = (0.4 + 0.13 * ridge + 0.1 * cloud(s, 4, rng)[0]) * s
        edge = [(x, int(heights[x])) for x in range(s)]
        cv2.fillPoly(canvas, [np.array([*edge, (s, s), (0, s)], np.int32)], colour_of(rng, 20, 160))
    return softened(canvas, rng, 2)


def facade(side_px: int, rng: Generator) -> Picture:
    """A house with rows of windows."""
    canvas, s = sheet(side_px, rng.uniform(60, 200), rng, 30), side_px
    step, pane = int(rng.integers(s // 12, s // 5)), colour_of(rng)
    for x in range(step // 4, s, step):
        for y in range(step // 4, s, step):
            dark = pane if rng.random() < 0.8 else (250, 240, 180)
            cv2.rectangle(canvas, (x, y), (x + step // 2, y + step * 2 // 3), dark, cv2.FILLED)
    return softened(lit(canvas, rng), rng)


def cat(side_px: int, rng: Generator) -> Picture:
    """A round furry head with ears, eyes and whiskers."""
    canvas, s = tinted(30 + 120 * cloud(side_px, 3, rng), rng), side_px
    x, y = somewhere(s, rng, 0.42)
    size, fur = rng.uniform(0.2, 0.34) * s, (int(rng.integers(60, 220)),) * 3
    for sign in (-1, 1):
        ear = np.array([[0.3, -0.8], [0.95, -1.4], [1.0, -0.4]]) * (sign, 1) * size + (x, y)
        cv2.fillConvexPoly(canvas, ear.astype(np.int32), fur, cv2.LINE_AA)
    disc(canvas, (x, y), (1.05 * size, size), fur)
    for sign in (-1, 1):
        disc(
            canvas,
            (x + int(sign * 0.4 * size), y - int(0.1 * size)),
            (0.17 * size, 0.15 * size),
            (180, 200, 90),
        )
        disc(
            canvas,
            (x + int(sign * 0.4 * size), y - int(0.1 * size)),
            (0.05 * size, 0.14 * size),
            (10, 10, 10),
        )
        cv2.line(
            canvas,
            (x, y + int(0.3 * size)),
            (x + int(sign * size), y + int(0.2 * size)),
            (240,) * 3,
            1,
        )
    furry = canvas * (0.75 + 0.5 * cloud(s, 40, rng))[..., None]
    return softened(furry.clip(0, 255).astype(np.uint8), rng, 2)


def hand(side_px: int, rng: Generator) -> Picture:
    """A hand's X-ray: five rows of bones."""
    canvas, s = sheet(side_px, rng.uniform(5, 30), rng), side_px
    for finger in range(5):
        turn = np.radians(-115 + 14 * finger + rng.normal(0, 3))
        along = np.array([np.cos(turn), np.sin(turn)])
        for bone in range(4):
            near, far = (0.12 + 0.15 * (bone + share) for share in (0.0, 0.85))
            start, end = (((0.5, 0.85) + r * along) * s for r in (near, far))
            for grey, wide in ((90, 0.07), (int(rng.integers(150, 240)), 0.03)):
                stroke = np.array([start, end], np.int32)
                cv2.polylines(canvas, [stroke], False, (grey,) * 3, int(wide * s))
    return softened(canvas, rng, 3)


def spreadsheet(side_px: int, rng: Generator) -> Picture:
    """A table on a screen."""
    canvas, s = sheet(side_px, 250, rng, 5), side_px
    row, column = max(12, s // int(rng.integers(18, 40))), s // int(rng.integers(4, 9))
    for y in range(0, s, row):
        cv2.line(canvas, (0, y), (s, y), (205, 205, 205), 1)
    for x in range(0, s, column):
        cv2.line(canvas, (x, 0), (x, s), (205, 205, 205), 1)
        for y in range(0, s, row):
            words(canvas, (x + 3, y + 2, int(column * 0.7), row - 2), row // 2, 40, rng)
    return canvas


def code(side_px: int, rng: Generator) -> Picture:
    """A square bar code."""
    cells, s = int(rng.integers(21, 60)), side_px
    dots = (rng.random((cells, cells)) < 0.5).astype(np.uint8) * 255
    square = cv2.resize(dots, (int(0.8 * s),) * 2, interpolation=cv2.INTER_NEAREST)
    canvas = sheet(s, 245, rng)
    edge = int(0.1 * s)
    canvas[edge : edge + len(square), edge : edge + len(square)] = square[..., None]
    return softened(lit(canvas, rng), rng)


def city_map(side_px: int, rng: Generator) -> Picture:
    """Streets, parks and a river."""
    canvas, s = sheet(side_px, 225, rng, 10), side_px
    for _ in range(6):
        disc(canvas, somewhere(s, rng, 0), rng.uniform(0.03, 0.2, 2) * s, (190, 220, 180))
    for _ in range(40):
        start, end = (somewhere(s, rng, -0.2) for _ in range(2))
        colour, wide = (255, 255, int(rng.integers(150, 255))), int(rng.integers(2, 9))
        cv2.line(canvas, start, end, colour, wide, cv2.LINE_AA)
    return canvas


def coin(side_px: int, rng: Generator) -> Picture:
    """A coin: rim, relief, on cloth."""
    canvas, s = tinted(20 + 60 * cloud(side_px, 40, rng), rng), side_px
    centre, rim = somewhere(s, rng, 0.45), rng.uniform(0.28, 0.4) * s
    metal = int(rng.integers(110, 220))
    disc(canvas, centre, (rim, rim), (metal,) * 3)
    disc(canvas, centre, (0.9 * rim, 0.9 * rim), (metal * 2 // 3,) * 3, 0, 3)
    profile = (centre[0] - int(0.1 * rim), centre[1])
    disc(canvas, profile, (0.4 * rim, 0.55 * rim), (min(255, metal + 30),) * 3, 12)
    disc(canvas, profile, (0.4 * rim, 0.55 * rim), (metal // 2,) * 3, 12, 2)
    return softened(lit(canvas, rng), rng, 2)


def lamp(side_px: int, rng: Generator) -> Picture:
    """A lit globe of frosted glass in a dark room, on a stem or a chain."""
    canvas, s = sheet(side_px, rng.uniform(5, 60), rng, 10), side_px
    x, y = somewhere(s, rng, 0.43)
    size = rng.uniform(0.24, 0.38) * s
    stem = (x, 0) if rng.random() < 0.5 else (x, s)
    cv2.line(canvas, (x, y), stem, (int(rng.integers(20, 160)),) * 3, max(2, s // 60))
    glass = (int(rng.integers(150, 230)),) * 3
    disc(canvas, (x, y), (size * rng.uniform(0.85, 1.1), size), glass)
    glow = (x + int(rng.normal(0, 0.1 * size)), y + int(rng.normal(0, 0.15 * size)))
    disc(canvas, glow, (0.4 * size, 0.45 * size), (255, 250, 235))
    soft = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.01, 0.06) * s)
    mixed = cv2.addWeighted(canvas, 0.5, soft, 0.5, 0)
    return softened(np.asarray(mixed, np.uint8), rng, 2)


def flower(side_px: int, rng: Generator) -> Picture:
    """Petals around a middle, on leaves."""
    y, x = np.mgrid[:side_px, :side_px] / side_px - 0.5
    turn, reach = np.arctan2(y, x), np.hypot(x, y)
    petals = 0.28 + 0.12 * np.cos(turn * int(rng.integers(5, 12)))
    grey = np.where(reach < petals, 150 + 80 * np.cos(turn * 30), 60 + 50 * cloud(side_px, 10, rng))
    return tinted(np.where(reach < 0.1, rng.uniform(40, 200), grey), rng, 60)


def abdomen(side_px: int, rng: Generator) -> Picture:
    """An axial slice of a belly: fat, organs, spine. Near: a body part in the same kind of picture."""
    canvas, s = sheet(side_px, 4, rng), side_px
    disc(canvas, (s // 2, s // 2), (0.46 * s, 0.33 * s), (int(rng.integers(90, 200)),) * 3)
    disc(canvas, (s // 2, s // 2), (0.41 * s, 0.28 * s), (int(rng.integers(60, 110)),) * 3)
    disc(
        canvas,
        (int(0.33 * s), int(0.45 * s)),
        (0.18 * s, 0.17 * s),
        (int(rng.integers(100, 160)),) * 3,
    )
    disc(
        canvas,
        (int(0.7 * s), int(0.42 * s)),
        (0.1 * s, 0.09 * s),
        (int(rng.integers(20, 220)),) * 3,
    )
    for sign in (-1, 1):
        kidney = (s // 2 + int(sign * 0.17 * s), int(0.63 * s))
        disc(canvas, kidney, (0.06 * s, 0.08 * s), (int(rng.integers(120, 230)),) * 3)
    disc(canvas, (s // 2, int(0.68 * s)), (0.06 * s, 0.05 * s), (int(rng.integers(140, 255)),) * 3)
    grained = canvas * (0.85 + 0.3 * cloud(s, 25, rng))[..., None]
    return softened(grained.clip(0, 255).astype(np.uint8), rng, 2)


def thigh(side_px: int, rng: Generator) -> Picture:
    """An axial slice of one or two legs: round, muscle and fat, a bone in the middle. Near."""
    canvas, s = sheet(side_px, 4, rng), side_px
    legs = (0.27, 0.73) if rng.random() < 0.5 else (0.5,)
    wide = 0.2 if len(legs) > 1 else 0.36
    for x in legs:
        centre, fat = (int(x * s), s // 2), int(rng.integers(120, 240))
        disc(canvas, centre, (wide * s, 1.1 * wide * s), (fat,) * 3)
        disc(canvas, centre, (0.85 * wide * s, 0.93 * wide * s), (int(rng.integers(50, 110)),) * 3)
        for muscle in range(5):
            off = 0.5 * wide * s * np.array([np.cos(muscle * 1.26), np.sin(muscle * 1.26)])
            at = (centre[0] + int(off[0]), centre[1] + int(off[1]))
            disc(canvas, at, (0.3 * wide * s, 0.28 * wide * s), (30, 30, 30), 0, 2)
        disc(canvas, centre, (0.2 * wide * s, 0.2 * wide * s), (10, 10, 10))
        disc(canvas, centre, (0.13 * wide * s, 0.13 * wide * s), (fat,) * 3)
    return softened(canvas, rng, 2)


def orange(side_px: int, rng: Generator) -> Picture:
    """A cut fruit: rind, pith, segments. Near: round, layered and folded, as a head is."""
    y, x = np.mgrid[:side_px, :side_px] / side_px - 0.5
    turn = np.arctan2(y, x)
    reach = np.hypot(x * rng.uniform(0.9, 1.2), y) / rng.uniform(0.34, 0.44)
    flesh = rng.uniform(90, 190) + 40 * cloud(side_px, 30, rng)
    walls = np.abs(np.sin(turn * rng.integers(4, 7))) * reach < 0.06
    grey = np.where(walls & (reach < 0.85), 225, flesh)
    grey = np.where((reach > 0.85) & (reach < 0.94), rng.uniform(190, 240), grey)
    grey = np.where(reach > 0.94, rng.uniform(60, 160), grey)
    return softened(tinted(np.where(reach < 1, grey, rng.uniform(0, 40)), rng, 50), rng)


FAR: Final[dict[str, Draw]] = {
    draw.__name__: draw
    for draw in (landscape, facade, cat, hand, spreadsheet, code, city_map, coin, flower, lamp)
}
NEAR: Final[dict[str, Draw]] = {draw.__name__: draw for draw in (abdomen, thigh, orange)}
