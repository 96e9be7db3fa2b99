"""Round things with a rim and a low relief or a fine texture, as the gate learns them: struck, turned."""

from typing import Final

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.gate.rounds import Plane, ball_light, embossed, ground, laid, polar
from training.gate.shapes import Picture, cloud, disc, letters, lit, softened
from training.gate.strangers import Draw


def shown(side_px: int, grey: NDArray[np.floating], reach: Plane, rng: Generator) -> Picture:
    """The thing on its ground, in a room's light."""
    thing = laid(ground(side_px, rng), grey.astype(np.float32), reach, rng)
    return softened(lit(thing, rng), rng, 2)


def relief(side_px: int, rng: Generator) -> Plane:
    """A few raised shapes around the middle, 0 to 1."""
    canvas = np.zeros((side_px, side_px, 3), np.uint8)
    for _ in range(int(rng.integers(1, 5))):
        x, y = (rng.normal(0.5, 0.07, 2) * side_px).astype(int)
        axes, height = rng.uniform(0.04, 0.2, 2) * side_px, int(rng.integers(90, 256))
        if rng.random() < 0.6:
            thick = cv2.FILLED if rng.random() < 0.7 else int(rng.integers(1, 2 + side_px // 50))
            disc(canvas, (int(x), int(y)), axes, (height,) * 3, rng.uniform(0, 180), thick)
        else:
            corners = rng.normal((x, y), axes.mean(), (int(rng.integers(3, 9)), 2))
            cv2.fillPoly(canvas, [corners.astype(np.int32)], (height,) * 3, cv2.LINE_AA)
    soft = cv2.GaussianBlur(canvas[..., 0], (0, 0), rng.uniform(0.5, 0.012 * side_px))
    return np.asarray(soft / np.float32(255), np.float32)


def medal(side_px: int, rng: Generator) -> Picture:
    """A medal: a rim, rays or a wreath around, a relief within; each lit or only of another grey."""
    reach, angle = polar(side_px, rng)
    metal, height = rng.uniform(60, 210), relief(side_px, rng)
    rim, wreath = rng.uniform(0.8, 0.97), rng.uniform(0.5, 0.85)
    height = height + np.where(reach > rim, rng.uniform(0, 1), 0)
    rays = np.cos(angle * int(rng.integers(5, 60))) > rng.uniform(-0.5, 0.8)
    height = height + np.where(rays & (reach > wreath) & (reach < rim), rng.uniform(0, 0.8), 0)
    grey = metal + rng.uniform(-90, 90) * height
    if rng.random() < 0.7:
        grey = grey + rng.uniform(10, 70) * embossed(height.astype(np.float32), rng)
    return shown(side_px, grey, reach, rng)


def seal(side_px: int, rng: Generator) -> Picture:
    """Sealing wax: a ragged edge, a pressed ring, a relief within."""
    reach, angle = polar(side_px, rng)
    ragged = 1 + 0.05 * np.sin(angle * int(rng.integers(2, 7)) + rng.uniform(0, 6))
    reach = np.asarray(reach * ragged, np.float32)
    ring, wide = rng.uniform(0.6, 0.88), rng.uniform(0.01, 0.08)
    height = relief(side_px, rng) - np.where(np.abs(reach - ring) < wide, rng.uniform(0, 1), 0)
    grey = rng.uniform(50, 170) + rng.uniform(10, 80) * embossed(height.astype(np.float32), rng)
    grey = grey + np.where(reach < ring, rng.uniform(-50, 50), 0)
    return shown(side_px, grey * (0.8 + 0.2 * cloud(side_px, 6, rng)), reach, rng)


def cap(side_px: int, rng: Generator) -> Picture:
    """A bottle's cap: a crimped edge, a printed ring, a sign."""
    reach, angle = polar(side_px, rng)
    crimps = int(rng.integers(14, 40))
    reach = np.asarray(reach * (1 + rng.uniform(0, 0.05) * np.cos(angle * crimps)), np.float32)
    flat, edge = rng.uniform(60, 230, 2)
    grey = np.where(reach > rng.uniform(0.75, 0.9), edge + 30 * np.cos(angle * crimps), flat)
    for _ in range(int(rng.integers(0, 3))):
        grey = np.where(np.abs(reach - rng.uniform(0.3, 0.8)) < 0.03, rng.uniform(10, 250), grey)
    grey = grey + rng.uniform(-120, 120) * relief(side_px, rng)
    return shown(side_px, grey, reach, rng)


def record(side_px: int, rng: Generator) -> Picture:
    """A record or a bright disc: grooves, fans of light, a label, a hole."""
    reach, angle = polar(side_px, rng)
    body, label = rng.uniform(15, 200), rng.uniform(0.15, 0.5)
    grooves = np.sin(reach * rng.uniform(40, 200)) * rng.uniform(0, 20)
    fans = np.abs(np.cos(angle * int(rng.integers(1, 4)) + rng.uniform(0, 3))) ** rng.uniform(2, 30)
    grey = body + grooves + rng.uniform(0, 110) * fans
    printed = rng.uniform(30, 240) + rng.uniform(-60, 60) * relief(side_px, rng)
    grey = np.where(reach < label, printed, grey)
    grey = np.where(reach < rng.uniform(0.02, 0.15), rng.uniform(0, 60), grey)
    return shown(side_px, grey, reach, rng)


def log(side_px: int, rng: Generator) -> Picture:
    """A tree cut across: rings, cracks from the middle, bark."""
    reach, angle = polar(side_px, rng)
    bent = reach + rng.uniform(0, 0.12) * cloud(side_px, rng.uniform(2, 6), rng)
    grey = rng.uniform(100, 200) + rng.uniform(8, 45) * np.sin(bent * rng.uniform(25, 140))
    grey = grey + rng.uniform(-60, 40) * (bent < rng.uniform(0.2, 0.7))
    for _ in range(int(rng.integers(0, 6))):
        off = np.abs(np.angle(np.exp(1j * (angle - rng.uniform(0, 6.28)))))
        crack = (off * reach < rng.uniform(0.005, 0.03)) & (reach < rng.uniform(0.4, 1.0))
        grey = np.where(crack, rng.uniform(20, 80), grey)
    bark = rng.uniform(20, 110) * (0.5 + 0.8 * cloud(side_px, 30, rng))
    return shown(side_px, np.where(bent > rng.uniform(0.85, 1.02), bark, grey), reach, rng)


def biscuit(side_px: int, rng: Generator) -> Picture:
    """A biscuit, a tablet, a loaf: a crumb, pricks or a score across, a darker edge."""
    reach, angle = polar(side_px, rng)
    crumb = cloud(side_px, rng.uniform(15, 60), rng)
    grey = rng.uniform(90, 210) * (0.75 + 0.25 * crumb) - rng.uniform(0, 90) * reach**4
    u, v = reach * np.cos(angle), reach * np.sin(angle)
    if rng.random() < 0.5:
        fine = rng.uniform(8, 20)
        pricks = np.cos(u * fine) * np.cos(v * fine) > rng.uniform(0.7, 0.95)
        grey = np.where(pricks & (reach < 0.8), rng.uniform(30, 100), grey)
    else:
        turn = rng.uniform(0, 3.14)
        grey = np.where(np.abs(u * np.cos(turn) + v * np.sin(turn)) < 0.04, 0.6 * grey, grey)
    return shown(side_px, grey * (0.7 + 0.3 * ball_light(reach, angle, rng)), reach, rng)


def stamp(side_px: int, rng: Generator) -> Picture:
    """A postmark, a badge or a sticker: rings, print between and within them."""
    reach, angle = polar(side_px, rng)
    print_ = np.zeros((side_px, side_px, 3), np.uint8)
    for _ in range(int(rng.integers(1, 5))):
        x, y = (rng.uniform(0.3, 0.6, 2) * side_px).astype(int)
        letters(print_[y : y + side_px // 9, x : x + side_px // 4], 255, rng)
    paper, ink = rng.permutation([rng.uniform(120, 240), rng.uniform(20, 120)])
    grey = np.where(print_[..., 0] > 0, ink, paper)
    for _ in range(int(rng.integers(1, 4))):
        near = np.abs(reach - rng.uniform(0.4, 0.98)) < rng.uniform(0.01, 0.06)
        grey = np.where(near, rng.uniform(0, 255), grey)
    marks = (np.cos(angle * int(rng.integers(8, 50))) > 0.3) & (np.abs(reach - 0.8) < 0.06)
    return shown(side_px, np.where(marks, ink, grey), reach, rng)


def lens(side_px: int, rng: Generator) -> Picture:
    """A lens, a hob, a loudspeaker's cone: nested rings of smooth greys, a glint."""
    reach, angle = polar(side_px, rng)
    edges = np.sort(rng.uniform(0.1, 1.0, int(rng.integers(2, 7))))
    greys = rng.uniform(15, 210, len(edges) + 1)
    grey = greys[np.searchsorted(edges, reach)]
    grey = grey * (0.6 + 0.4 * ball_light(reach, angle, rng))
    x, y = rng.uniform(-0.5, 0.5, 2)
    glint = np.hypot(reach * np.cos(angle) - x, reach * np.sin(angle) - y)
    grey = np.where(glint < rng.uniform(0.02, 0.25), rng.uniform(120, 255), grey)
    return shown(side_px, grey, reach, rng)


STRUCK: Final[dict[str, Draw]] = {
    draw.__name__: draw for draw in (medal, seal, cap, record, log, biscuit, stamp, lens)
}
"""What trains the gate beside the other round things."""
