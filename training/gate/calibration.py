"""Drawn pictures that are no head scan, by which the gate's limits are set: of kinds apart from those that
train it and from those that it is scored by."""

from typing import Final

import cv2
import numpy as np
from numpy.random import Generator

from training.gate.rounds import ball_light, ground, laid, polar
from training.gate.shapes import Picture, cloud, colour_of, disc, lit, sheet, softened, tinted
from training.gate.strangers import Draw


def button(side_px: int, rng: Generator) -> Picture:
    """A button: a raised rim, two or four holes."""
    reach, angle = polar(side_px, rng)
    grey = np.full_like(reach, rng.uniform(70, 230))
    grey[(reach > 0.72) & (reach < 0.9)] *= np.float32(rng.uniform(0.6, 0.95))
    holes, turn = int(rng.choice([2, 4])), rng.uniform(0, 6.28)
    for hole in range(holes):
        way = turn + 6.28 * hole / holes
        off = np.hypot(
            reach * np.cos(angle) - 0.25 * np.cos(way), reach * np.sin(angle) - 0.25 * np.sin(way)
        )
        grey[off < 0.1] = rng.uniform(0, 60)
    return softened(lit(laid(ground(side_px, rng), grey, reach, rng), rng), rng, 2)


def ball(side_px: int, rng: Generator) -> Picture:
    """A ball with seams or patches."""
    reach, angle = polar(side_px, rng)
    height = np.sqrt((1 - reach**2).clip(0, 1))
    u, v = reach * np.cos(angle), reach * np.sin(angle)
    seam = np.sin((u + 0.3 * height) * rng.uniform(2, 7)) * np.sin(
        (v - 0.4 * height) * rng.uniform(2, 7)
    )
    base = rng.uniform(110, 240)
    grey = np.where(np.abs(seam) < rng.uniform(0.02, 0.2), rng.uniform(10, 110), base)
    shone = grey * (0.3 + 0.7 * ball_light(reach, angle, rng))
    return softened(laid(ground(side_px, rng), shone.astype(np.float32), reach, rng), rng, 2)


def bowl(side_px: int, rng: Generator) -> Picture:
    """Soup in a bowl from above."""
    reach, _ = polar(side_px, rng)
    grey = rng.uniform(50, 170) + 70 * (cloud(side_px, rng.uniform(5, 25), rng) - 0.5)
    grey = np.where(reach > rng.uniform(0.75, 0.85), rng.uniform(150, 245), grey)
    grey = np.where(np.abs(reach - 0.8) < 0.02, rng.uniform(40, 120), grey)
    return softened(
        lit(laid(ground(side_px, rng), grey.astype(np.float32), reach, rng), rng), rng, 2
    )


def shell(side_px: int, rng: Generator) -> Picture:
    """A snail's shell: a spiral with ribs."""
    reach, angle = polar(side_px, rng)
    turns = np.log(reach + 0.02) * rng.uniform(1.5, 4) + angle
    grey = rng.uniform(90, 160) + 70 * np.sin(turns) + 25 * np.sin(turns * int(rng.integers(6, 20)))
    grey = grey * (0.7 + 0.3 * cloud(side_px, 8, rng))
    return softened(laid(ground(side_px, rng), grey.astype(np.float32), reach, rng), rng, 2)


def tree(side_px: int, rng: Generator) -> Picture:
    """A crown of leaves on a trunk before the sky."""
    canvas, s = sheet(side_px, rng.uniform(0, 230), rng, 20), side_px
    cv2.rectangle(canvas, (int(0.47 * s), s // 2), (int(0.53 * s), s), (60, 45, 30), cv2.FILLED)
    disc(canvas, (s // 2, int(0.42 * s)), rng.uniform(0.25, 0.38, 2) * s, colour_of(rng, 60, 200))
    leafy = canvas * (0.4 + 0.6 * cloud(s, rng.uniform(15, 50), rng))[..., None]
    return softened(leafy.clip(0, 255).astype(np.uint8), rng, 2)


def keys(side_px: int, rng: Generator) -> Picture:
    """Rows of keys: a keyboard, a remote control."""
    canvas, s = sheet(side_px, rng.uniform(20, 90), rng, 10), side_px
    step, key = int(rng.integers(s // 14, s // 6)), int(rng.uniform(90, 240))
    for y in range(step // 2, s - step, step):
        for x in range(step // 2, s - step, step):
            cv2.rectangle(
                canvas, (x, y), (x + 4 * step // 5, y + 4 * step // 5), (key,) * 3, cv2.FILLED
            )
    return softened(lit(canvas, rng), rng, 2)


def walnut(side_px: int, rng: Generator) -> Picture:
    """A kernel in half a shell. Near: two folded halves in a bright ring."""
    reach, angle = polar(side_px, rng)
    folds = np.abs(cloud(side_px, rng.uniform(6, 14), rng) - 0.5)
    grey = rng.uniform(120, 200) * (0.4 + 0.6 * (folds / 0.15).clip(0, 1))
    grey = np.where(np.abs(reach * np.cos(angle)) < 0.06, rng.uniform(20, 80), grey)
    grey = np.where(reach > 0.82, rng.uniform(20, 90), grey)
    grey = np.where(reach > 0.9, rng.uniform(90, 190), grey)
    return softened(laid(ground(side_px, rng), grey.astype(np.float32), reach, rng), rng, 2)


def pelvis(side_px: int, rng: Generator) -> Picture:
    """An axial slice of hips: two bright ball joints, muscle, fat around. Near."""
    canvas, s = sheet(side_px, 4, rng), side_px
    disc(canvas, (s // 2, s // 2), (0.46 * s, 0.31 * s), (int(rng.integers(120, 220)),) * 3)
    disc(canvas, (s // 2, s // 2), (0.41 * s, 0.26 * s), (int(rng.integers(50, 110)),) * 3)
    for sign in (-1, 1):
        hip = (s // 2 + int(sign * 0.25 * s), s // 2)
        disc(canvas, hip, (0.09 * s, 0.09 * s), (int(rng.integers(150, 240)),) * 3)
    disc(canvas, (s // 2, int(0.45 * s)), (0.1 * s, 0.08 * s), (int(rng.integers(20, 240)),) * 3)
    return softened(tinted(canvas[..., 0] * (0.8 + 0.3 * cloud(s, 25, rng)), rng, 5), rng, 2)


FAR: Final[dict[str, Draw]] = {
    draw.__name__: draw for draw in (button, ball, bowl, shell, tree, keys)
}
NEAR: Final[dict[str, Draw]] = {draw.__name__: draw for draw in (walnut, pelvis)}
