"""Drawn pictures that are no head scan, as the gate learns them: squares of RGB, one function a kind."""

from collections.abc import Callable
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

Draw = Callable[[int, Generator], Picture]


def portrait(side_px: int, rng: Generator) -> Picture:
    """A face: oval, hair, eyes, mouth, shoulders."""
    canvas = tinted(40 + 170 * cloud(side_px, 2, rng), rng)
    x, y = somewhere(side_px, rng, 0.42)
    wide, high = rng.uniform(0.16, 0.3) * side_px, rng.uniform(0.24, 0.38) * side_px
    skin = int(rng.integers(90, 230))
    tone = (skin, int(skin * rng.uniform(0.75, 1)), int(skin * rng.uniform(0.6, 1)))
    disc(canvas, (x, y + int(1.6 * high)), (2 * wide, 0.8 * high), colour_of(rng))
    disc(canvas, (x, y - int(0.2 * high)), (1.15 * wide, 1.1 * high), colour_of(rng, 5, 120))
    disc(canvas, (x, y), (wide, high), tone)
    for sign in (-1, 1):
        eye = (x + int(sign * 0.42 * wide), y - int(0.15 * high))
        disc(canvas, eye, (0.18 * wide, 0.08 * high), (235, 235, 235))
        disc(canvas, eye, (0.08 * wide, 0.08 * high), (25, 20, 20))
    disc(canvas, (x, y + int(0.5 * high)), (0.35 * wide, 0.07 * high), (skin // 2, 40, 45))
    disc(canvas, (x, y + int(0.2 * high)), (0.1 * wide, 0.15 * high), (skin * 4 // 5,) * 3)
    return softened(lit(canvas, rng), rng, 3)


def chest(side_px: int, rng: Generator) -> Picture:
    """A chest X-ray: two dark lungs, ribs, spine, heart."""
    grey = sheet(side_px, rng.uniform(110, 180), rng)
    s = side_px
    for sign in (-1, 1):
        lung = (s // 2 + int(sign * 0.22 * s), s // 2)
        disc(grey, lung, (0.16 * s, 0.34 * s), (int(rng.integers(20, 60)),) * 3, sign * 8)
        for rib in range(7):
            at = (lung[0], int((0.24 + 0.08 * rib) * s))
            disc(grey, at, (0.2 * s, 0.06 * s), (int(rng.integers(80, 130)),) * 3, 0, 2)
    cv2.rectangle(grey, (int(0.47 * s), 0), (int(0.53 * s), s), (190, 190, 190), cv2.FILLED)
    disc(grey, (int(0.57 * s), int(0.62 * s)), (0.14 * s, 0.13 * s), (170, 170, 170), 30)
    return softened(grey, rng, 5)


def spine(side_px: int, rng: Generator) -> Picture:
    """A sagittal spine: blocks and discs along a curve beside a canal."""
    canvas, s = tinted(10 + 60 * cloud(side_px, 3, rng), rng, 0), side_px
    bend = rng.uniform(-0.1, 0.1)
    for block in range(int(rng.integers(6, 10))):
        y = int((0.05 + 0.12 * block) * s)
        x = int((0.42 + bend * np.sin(block / 2)) * s)
        corner = (x + int(0.18 * s), y + int(0.085 * s))
        cv2.rectangle(canvas, (x, y), corner, (int(rng.integers(90, 160)),) * 3, cv2.FILLED)
        pad = (x + int(0.09 * s), y + int(0.1 * s))
        disc(canvas, pad, (0.09 * s, 0.015 * s), (int(rng.integers(30, 220)),) * 3)
    cv2.line(canvas, (int(0.66 * s), 0), (int(0.66 * s), s), (220, 220, 220), int(0.04 * s))
    cv2.line(canvas, (int(0.66 * s), 0), (int(0.66 * s), s), (120, 120, 120), int(0.02 * s))
    return softened(canvas, rng, 2)


def knee(side_px: int, rng: Generator) -> Picture:
    """A knee: two bright bone ends, a gap, a kneecap, muscle around."""
    canvas, s = sheet(side_px, 5, rng), side_px
    disc(canvas, (s // 2, s // 2), (0.36 * s, 0.6 * s), (int(rng.integers(40, 90)),) * 3)
    bone = (int(rng.integers(130, 220)),) * 3
    disc(canvas, (s // 2, int(0.2 * s)), (0.24 * s, 0.26 * s), bone)
    disc(canvas, (s // 2, int(0.8 * s)), (0.25 * s, 0.26 * s), bone)
    disc(canvas, (int(0.2 * s), int(0.42 * s)), (0.05 * s, 0.12 * s), bone, 10)
    cv2.line(canvas, (int(0.3 * s), s // 2), (int(0.7 * s), s // 2), (15, 15, 15), int(0.02 * s))
    textured = canvas * (0.8 + 0.4 * cloud(side_px, 12, rng))[..., None]
    return softened(textured.clip(0, 255).astype(np.uint8), rng, 2)


def ultrasound(side_px: int, rng: Generator) -> Picture:
    """A fan of speckle on black."""
    y, x = np.mgrid[:side_px, :side_px] / side_px
    reach, angle = np.hypot(x - 0.5, y), np.abs(np.arctan2(x - 0.5, y + 1e-6))
    fan = (reach > 0.08) & (reach < 0.95) & (angle < rng.uniform(0.5, 0.8))
    speckle = cloud(side_px, 30, rng) * (0.3 + 0.7 * cloud(side_px, 3, rng))
    return tinted(fan * speckle * rng.uniform(150, 255), rng, 10)


def screen(side_px: int, rng: Generator) -> Picture:
    """Windows, a toolbar, buttons, lists."""
    canvas, s = sheet(side_px, rng.choice([25, 60, 200, 240]), rng, 15), side_px
    for _ in range(int(rng.integers(2, 6))):
        (x, y), w, h = (
            somewhere(s, rng, 0.05),
            rng.integers(s // 6, s // 2),
            rng.integers(20, s // 2),
        )
        cv2.rectangle(canvas, (x, y), (x + int(w), y + int(h)), colour_of(rng), cv2.FILLED)
        words(canvas, (x + 5, y + 5, int(w) - 10, int(h) - 10), max(4, s // 50), 230, rng)
    cv2.rectangle(canvas, (0, 0), (s, s // 14), colour_of(rng), cv2.FILLED)
    for button in range(8):
        disc(canvas, (20 + button * s // 9, s // 28), (s / 50, s / 50), colour_of(rng, 90))
    return canvas


def noise(side_px: int, rng: Generator) -> Picture:
    """A sensor in the dark, or no signal at all."""
    cells = int(side_px // rng.choice([1, 2, 4, 8]))
    grain = rng.normal(rng.uniform(30, 180), rng.uniform(10, 70), (cells, cells, 3)).clip(0, 255)
    size = (side_px, side_px)
    return np.asarray(cv2.resize(grain.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST))


def texture(side_px: int, rng: Generator) -> Picture:
    """Cloth, wood, skin, a wall."""
    y, x = np.mgrid[:side_px, :side_px] / side_px
    wave, turn = rng.uniform(5, 60), rng.uniform(0, np.pi)
    bent = x * np.cos(turn) + y * np.sin(turn) + 0.15 * cloud(side_px, 3, rng)
    grey = rng.uniform(40, 120) + rng.uniform(20, 90) * np.sin(bent * wave * 6.28)
    return tinted(grey + 50 * cloud(side_px, rng.uniform(3, 25), rng), rng)


def plate(side_px: int, rng: Generator) -> Picture:
    """Food on a plate on a table."""
    canvas, s = tinted(60 + 130 * cloud(side_px, 6, rng), rng), side_px
    centre, rim = somewhere(s, rng, 0.4), rng.uniform(0.28, 0.42) * s
    disc(canvas, centre, (rim, rim * rng.uniform(0.75, 1)), (225, 225, 220))
    disc(canvas, centre, (0.75 * rim, 0.7 * rim), (205, 205, 200))
    for _ in range(int(rng.integers(3, 15))):
        x, y = centre[0] + rng.normal(0, rim / 4), centre[1] + rng.normal(0, rim / 4)
        size = rng.uniform(0.05, 0.3, 2) * rim
        disc(canvas, (int(x), int(y)), (size[0], size[1]), colour_of(rng), rng.uniform(0, 180))
    return softened(lit(canvas, rng), rng, 2)


def desk(side_px: int, rng: Generator) -> Picture:
    """Mugs, pens, paper on wood."""
    canvas, s = texture(side_px, rng), side_px
    for _ in range(int(rng.integers(2, 7))):
        x, y = somewhere(s, rng, 0.1)
        if rng.random() < 0.5:
            size = rng.uniform(0.06, 0.25) * s
            disc(canvas, (x, y), (size, size), colour_of(rng))
            disc(canvas, (x, y), (0.8 * size, 0.8 * size), colour_of(rng, 10, 90))
        else:
            sides = (rng.uniform(0.05, 0.5) * s, rng.uniform(0.05, 0.5) * s)
            corners = cv2.boxPoints(((x, y), sides, rng.uniform(0, 90)))
            cv2.fillConvexPoly(canvas, corners.astype(np.int32), colour_of(rng), cv2.LINE_AA)
    return softened(lit(canvas, rng), rng, 2)


def egg(side_px: int, rng: Generator) -> Picture:
    """A smooth or mottled ball on a dark ground: an egg, a stone, a planet."""
    canvas, s = sheet(side_px, rng.uniform(0, 50), rng, 8), side_px
    disc(canvas, somewhere(s, rng, 0.42), rng.uniform(0.25, 0.4, 2) * s, colour_of(rng, 120))
    mottled = canvas * (0.5 + 0.6 * cloud(s, rng.uniform(1, 20), rng))[..., None]
    return softened(mottled.clip(0, 255).astype(np.uint8), rng, 2)


def rings(side_px: int, rng: Generator) -> Picture:
    """Concentric rings: a tree's section, a target, a tyre."""
    y, x = np.mgrid[:side_px, :side_px] / side_px - 0.5
    reach = np.hypot(x * rng.uniform(0.9, 1.3), y) + 0.06 * cloud(side_px, 3, rng)
    grey = 120 + 100 * np.sin(reach * rng.uniform(20, 150) + rng.uniform(0, 6))
    return tinted(np.where(reach < rng.uniform(0.35, 0.5), grey, rng.uniform(0, 60)), rng)


KINDS: Final[dict[str, Draw]] = {
    draw.__name__: draw
    for draw in (
        portrait,
        chest,
        spine,
        knee,
        ultrasound,
        screen,
        noise,
        texture,
        plate,
        desk,
        egg,
        rings,
    )
}
"""What trains the gate."""
