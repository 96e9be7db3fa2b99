"""Everything but the head is blanked, and nothing of the head is lost."""

from typing import NamedTuple

import cv2
import numpy as np
import pytest
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from workers.ingest import anatomy
from workers.ingest.pipeline import Ingested, Refused, process
from workers.pixels import load

Canvas = NDArray[np.uint8]

LINES = ("TEST PATIENT 0042", "ТЕСТОВЫЙ ПАЦИЕНТ 0042", "DOB 01-JAN-1900", "Демо-клиника 1", "Im 4/18")


class Shot(NamedTuple):
    """A made-up screenshot, where its heads are and where each line of its text is."""

    canvas: Canvas
    head: NDArray[np.bool_]
    lines: list[NDArray[np.bool_]]


def head(side: int, rng: Generator) -> tuple[Canvas, NDArray[np.bool_]]:
    """A square pane: scalp, skull, folded brain with ventricles, on black; and the head's mask."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    turn = rng.uniform(-0.2, 0.2)
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    radius = np.hypot(u / rng.uniform(0.3, 0.38), v / rng.uniform(0.39, 0.44))
    folds = cv2.GaussianBlur(rng.standard_normal((side, side)), (0, 0), side / 60) * side / 25
    brain = 110 + 30 * np.clip(folds, -1, 1) + 4 * rng.standard_normal((side, side))
    brain[np.hypot((np.abs(u) - 0.05) / 0.03, v / 0.12) < 1] = 25
    pane = np.zeros((side, side))
    pane[radius < 1] = rng.uniform(60, 170)
    pane[radius < 0.94] = 12
    pane[radius < 0.88] = brain[radius < 0.88]
    return np.clip(cv2.GaussianBlur(pane, (0, 0), 0.8), 0, 255).astype(np.uint8), radius < 1


def shot(rng: Generator, rows: int = 1, columns: int = 1, side: int = 480) -> Shot:
    """A dark viewer with a toolbar, one head and four corners of text per pane."""
    bar = 40
    canvas = np.zeros((bar + rows * side, columns * side, 3), np.uint8)
    canvas[:bar] = 70
    where = np.zeros(canvas.shape[:2], bool)
    for row in range(rows):
        for column in range(columns):
            pane, inside = head(side, rng)
            box = np.s_[bar + row * side :, column * side :][0], np.s_[column * side :]
            area = (slice(bar + row * side, bar + (row + 1) * side), slice(column * side, (column + 1) * side))
            canvas[area] = pane[..., None]
            where[area] = inside
    lines = []
    face, size = cv2.FontFace(str(rng.choice(["sans", "italic", "uni"]))), round(side * rng.uniform(0.022, 0.036))
    colour = [(225, 225, 225), (240, 220, 120), (130, 220, 150), (140, 205, 240)][rng.integers(4)]
    for row in range(rows):
        for column in range(columns):
            for number, line in enumerate(rng.permutation(LINES)[: 4 if side > 300 else 2]):
                ink = np.zeros_like(canvas)
                right, bottom = number % 2, number // 2
                long = cv2.getTextSize((2000, 2000), line, (0, 0), face, size, 400)[2]
                x = (column + 1) * side - long - 6 if right else column * side + 6
                y = bar + ((row + 1) * side - 8 if bottom else row * side + size + 6)
                cv2.putText(ink, line, (x, y), colour, face, size, 400)
                glyphs = ink.max(2) > 0
                canvas = np.where(glyphs[..., None], ink, canvas)
                lines.append(glyphs & ~where)
    return Shot(canvas, where, lines)
