"""Single round things on plain ground, as the gate learns them: what a finder of heads takes for heads."""

from typing import Final

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.gate.shapes import Picture, cloud, colour_of, disc, lit, sheet, softened, tinted
from training.gate.strangers import Draw

Plane = NDArray[np.float32]


def ground(side_px: int, rng: Generator) -> Picture:
    """What it lies on: dark and plain, or cloth, or a table."""
    if rng.random() < 0.6:
        return sheet(side_px, rng.uniform(0, 60), rng, 8)
    return tinted(rng.uniform(0, 70) + 50 * cloud(side_px, rng.uniform(2, 40), rng), rng)


def polar(side_px: int, rng: Generator) -> tuple[Plane, Plane]:
    """Distance from the middle of a round thing, 1 at its edge, and the angle, of every pixel."""
    y, x = np.mgrid[:side_px, :side_px].astype(np.float32) / np.float32(side_px)
    middle, size = rng.uniform(0.42, 0.58, 2), rng.uniform(0.26, 0.44)
    u, v = (x - middle[0]) / (size * rng.uniform(0.8, 1.0)), (y - middle[1]) / size
    return np.hypot(u, v).astype(np.float32), np.arctan2(v, u).astype(np.float32)


def laid(ground_: Picture, grey: Plane, reach: Plane, rng: Generator) -> Picture:
    """The thing of these greys where it is, on its ground; coloured a little or not at all."""
    edge = ((1 - reach) * np.float32(len(reach) / 4)).clip(0, 1)[..., None]
    thing = tinted(grey, rng, 30)
    return np.asarray(thing * edge + ground_ * (1 - edge), np.uint8)


def ball_light(reach: Plane, angle: Plane, rng: Generator) -> Plane:
    """Light from one side on a ball, 0 to 1."""
    height = np.sqrt((1 - reach**2).clip(0, 1))
    side = reach * np.cos(angle - np.float32(rng.uniform(-3.14, 3.14)))
    slant = rng.uniform(0, 0.9)
    return np.asarray((height * (1 - slant) + slant * (0.5 + 0.5 * side)).clip(0, 1), np.float32)


def embossed(height: Plane, rng: Generator) -> Plane:
    """How a relief looks in light from one side, around 0."""
    turn = rng.uniform(0, 6.28)
    down, across = np.gradient(height)
    slope = (across * np.cos(turn) + down * np.sin(turn)) * len(height)
    return np.asarray(np.tanh(slope / rng.uniform(1, 6)), np.float32)


def clock(side_px: int, rng: Generator) -> Picture:
    """A dial: rim, marks, hands, a light or a dark face."""
    reach, angle = polar(side_px, rng)
    face, ink = rng.permutation([rng.uniform(10, 110), rng.uniform(140, 250)])
    grey = np.full_like(reach, face)
    marks = (np.cos(angle * 12) > rng.uniform(0.9, 0.99)) & (reach > 0.75) & (reach < 0.88)
    grey[marks] = ink
    for hand in range(int(rng.integers(2, 4))):
        off = np.abs(np.angle(np.exp(1j * (angle - rng.uniform(0, 6.28))))) * reach
        grey[(off < 0.015 + 0.02 * hand) & (reach < rng.uniform(0.4, 0.8))] = ink
    grey[reach > rng.uniform(0.9, 0.97)] = rng.uniform(20, 250)
    return softened(lit(laid(ground(side_px, rng), grey, reach, rng), rng), rng, 2)


def planet(side_px: int, rng: Generator) -> Picture:
    """A ball in the dark, banded or with craters, lit from one side."""
    reach, angle = polar(side_px, rng)
    v = reach * np.sin(angle) + 0.1 * cloud(side_px, 4, rng)
    bands = 0.5 + 0.5 * np.sin(v * rng.uniform(3, 30))
    rough = cloud(side_px, rng.uniform(3, 20), rng)
    share = rng.random()
    grey = rng.uniform(120, 255) * (0.4 + 0.6 * (share * bands + (1 - share) * rough))
    if rng.random() < 0.5:
        grey = grey + 40 * embossed(cloud(side_px, rng.uniform(4, 15), rng), rng)
    grey = grey * (0.15 + 0.85 * ball_light(reach, angle, rng))
    sky = sheet(side_px, rng.uniform(0, 25), rng, 4)
    return softened(laid(sky, grey.astype(np.float32), reach, rng), rng, 2)


def petri(side_px: int, rng: Generator) -> Picture:
    """A dish with colonies and a bright rim."""
    reach, _ = polar(side_px, rng)
    agar, colony = rng.uniform(40, 160), rng.uniform(30, 250)
    grey = np.full_like(reach, agar) + 25 * cloud(side_px, 3, rng)
    spots = np.zeros((side_px, side_px, 3), np.uint8)
    for _ in range(int(rng.integers(3, 60))):
        at = rng.integers(0, side_px, 2)
        size = rng.uniform(0.006, 0.07) * side_px
        disc(spots, (int(at[0]), int(at[1])), (size, size), (255, 255, 255))
    grey = np.where((spots[..., 0] > 127) & (reach < 0.9), colony, grey)
    grey = np.where(reach > rng.uniform(0.9, 0.96), rng.uniform(90, 255), grey)
    return softened(laid(ground(side_px, rng), grey.astype(np.float32), reach, rng), rng, 2)


def wheel(side_px: int, rng: Generator) -> Picture:
    """A tyre, spokes and a hub, or the teeth of a gear."""
    reach, angle = polar(side_px, rng)
    spokes, turn = int(rng.integers(3, 16)), rng.uniform(0, 6.28)
    metal, gap = rng.uniform(90, 230), rng.uniform(5, 80)
    open_ = np.cos(angle * spokes + turn) > rng.uniform(-0.6, 0.7)
    grey = np.where(open_ & (reach > 0.25), gap, metal).astype(np.float32)
    tyre = rng.uniform(0.6, 0.9)
    treads = 15 * np.sin(angle * int(rng.integers(20, 80)))
    grey = np.where(reach > tyre, rng.uniform(15, 160) + treads, grey)
    grey = np.where(np.abs(reach - tyre) < 0.03, metal, grey)
    grey = np.where(reach < rng.uniform(0.05, 0.2), rng.uniform(20, 230), grey)
    return softened(lit(laid(ground(side_px, rng), grey, reach, rng), rng), rng, 2)


def cameo(side_px: int, rng: Generator) -> Picture:
    """An egg, a brooch or a stone with a carved relief in light from one side."""
    reach, angle = polar(side_px, rng)
    carved = np.zeros((side_px, side_px, 3), np.uint8)
    for _ in range(int(rng.integers(1, 8))):
        at = (rng.normal(0.5, 0.12, 2) * side_px).astype(int)
        axes, turn = rng.uniform(0.03, 0.22, 2) * side_px, rng.uniform(0, 180)
        thick = cv2.FILLED if rng.random() < 0.6 else int(rng.integers(2, 2 + side_px // 40))
        disc(carved, (int(at[0]), int(at[1])), axes, (int(rng.integers(80, 256)),) * 3, turn, thick)
    height = carved[..., 0] / np.float32(255) + rng.uniform(0, 0.4) * cloud(side_px, 12, rng)
    steps = np.where(reach < rng.uniform(0.8, 0.95), height, rng.uniform(0, 1.5))
    blurred = cv2.GaussianBlur(steps.astype(np.float32), (0, 0), rng.uniform(0.004, 0.02) * side_px)
    soft = np.asarray(blurred, np.float32)
    body = rng.uniform(70, 190) * (0.5 + 0.5 * ball_light(reach, angle, rng))
    grey = body + rng.uniform(20, 90) * embossed(soft, rng) + rng.uniform(-40, 60) * soft
    return softened(laid(ground(side_px, rng), grey.astype(np.float32), reach, rng), rng, 2)


def grating(side_px: int, rng: Generator) -> Picture:
    """A round lid of bars, holes or studs: drains, sieves, loudspeakers."""
    reach, angle = polar(side_px, rng)
    u, v = reach * np.cos(angle), reach * np.sin(angle)
    fine, turn = rng.uniform(8, 60), rng.uniform(0, 3.14)
    across, along = u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn)
    wave = np.sin(across * fine) * (np.sin(along * fine) if rng.random() < 0.6 else 1)
    grey = rng.uniform(60, 160) + rng.uniform(20, 90) * np.tanh(wave * rng.uniform(1, 6))
    grey = np.where(reach > rng.uniform(0.8, 0.97), rng.uniform(30, 220), grey)
    grey = grey * (0.7 + 0.3 * cloud(side_px, 5, rng))
    return softened(
        lit(laid(ground(side_px, rng), grey.astype(np.float32), reach, rng), rng), rng, 2
    )


def microbe(side_px: int, rng: Generator) -> Picture:
    """A cell under the microscope: membrane, nucleus off the middle, grains."""
    reach, angle = polar(side_px, rng)
    bumps = 1 + rng.uniform(0, 0.06) * np.sin(angle * int(rng.integers(2, 6)))
    reach = np.asarray(reach * bumps, np.float32)
    plasma, nucleus = rng.uniform(40, 200), rng.uniform(20, 250)
    grey = plasma + rng.uniform(5, 60) * (cloud(side_px, rng.uniform(6, 40), rng) - 0.5)
    v, u = reach * np.sin(angle), reach * np.cos(angle)
    x, y, size = rng.uniform(-0.4, 0.4), rng.uniform(-0.4, 0.4), rng.uniform(0.15, 0.5)
    inner = np.hypot(u - x, v - y) / size + 0.2 * cloud(side_px, 4, rng)
    grey = np.where(inner < 1, nucleus + 40 * (cloud(side_px, 20, rng) - 0.5), grey)
    grey = np.where(np.abs(inner - 0.4) < rng.uniform(0, 0.15), rng.uniform(0, 255), grey)
    grey = np.where(reach > rng.uniform(0.93, 0.98), rng.uniform(30, 255), grey)
    return softened(laid(ground(side_px, rng), grey.astype(np.float32), reach, rng), rng, 3)


def medley(side_px: int, rng: Generator) -> Picture:
    """A round plate of random round parts, none where a head would have it."""
    canvas, s = ground(side_px, rng), side_px
    middle, size = (s * rng.uniform(0.44, 0.56, 2)).astype(int), rng.uniform(0.28, 0.43) * s
    whole = (size * rng.uniform(0.8, 1.0), size)
    disc(canvas, (int(middle[0]), int(middle[1])), whole, _shade(rng, 60))
    for _ in range(int(rng.integers(0, 4))):
        share, thick = rng.uniform(0.3, 0.97), int(rng.integers(1, 2 + s // 25))
        disc(canvas, tuple(middle.tolist()), np.array(whole) * share, _shade(rng), 0, thick)
    for _ in range(int(rng.integers(0, 9))):
        off, turn = rng.uniform(0, 0.6) * size, rng.uniform(0, 6.28)
        at = (int(middle[0] + off * np.cos(turn)), int(middle[1] + off * np.sin(turn)))
        thick = cv2.FILLED if rng.random() < 0.6 else int(rng.integers(1, 2 + s // 40))
        disc(canvas, at, rng.uniform(0.04, 0.4, 2) * size, _shade(rng), rng.uniform(0, 180), thick)
    if rng.random() < 0.5:
        canvas = np.asarray(
            canvas * (0.6 + 0.4 * cloud(s, rng.uniform(2, 40), rng))[..., None], np.uint8
        )
    return softened(lit(canvas, rng), rng, 2)


def _shade(rng: Generator, low: int = 5) -> tuple[int, int, int]:
    """A grey, or a dull colour."""
    if rng.random() < 0.3:
        return colour_of(rng, low, 230)
    return (int(rng.integers(low, 250)),) * 3


ROUNDS: Final[dict[str, Draw]] = {
    draw.__name__: draw for draw in (clock, planet, petri, wheel, cameo, grating, microbe, medley)
}
"""What trains the gate beside the strangers that are of any shape."""
