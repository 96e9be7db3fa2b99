"""Made-up heads that text is burnt into: a diffusion phantom, or a scalp, a skull and a folded brain."""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.phantom import SLICES_MM, Head, dwi_slice

Gray = NDArray[np.uint8]
DIFFUSION_SHARE = 0.5
OUTLINE_SHARE, SOFT_SHARE = 0.2, 0.012
"""A head's truth is all within the outline of what is brighter than this share of its bright tissue
before text is drawn, softened by this share of its side, so that noise in the air is none of it."""


def head(side_px: int, rng: Generator) -> tuple[Gray, Gray]:
    """One head on black, side x side, and the mask (1) of all that its outline encloses."""
    make = diffusion if rng.random() < DIFFUSION_SHARE else structural
    image = make(side_px, rng)
    return image, enclosed(image)


def diffusion(side_px: int, rng: Generator) -> Gray:
    """A slice of the phantom at a viewer's window, enlarged as viewers do."""
    level = dwi_slice(Head.draw(rng), (), float(rng.choice(SLICES_MM[2:-2])), rng)
    low, high = rng.uniform(0.0, 0.05), rng.uniform(0.55, 1.0)
    grey = ((level - low) / (high - low)).clip(0, 1) * 255
    return enlarged(grey, side_px)


def structural(side_px: int, rng: Generator) -> Gray:
    """Scalp, dark skull, brain with folds, ventricles and a lesion or two; any contrast."""
    side = int(rng.integers(200, 420))
    y, x = np.mgrid[:side, :side] / side - 0.5
    turn = rng.uniform(-0.2, 0.2)
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    angle = np.arctan2(v, u)
    bulge = 1 + 0.02 * np.sin(2 * angle + rng.uniform(0, 6)) + 0.01 * np.sin(3 * angle)
    radius = np.hypot(u / rng.uniform(0.32, 0.4), v / rng.uniform(0.4, 0.46)) / bulge
    pane = np.where(radius < 1, rng.uniform(60, 200), 0)
    pane = np.where(radius < rng.uniform(0.92, 0.95), rng.uniform(8, 25), pane)
    pane = np.where(radius < rng.uniform(0.84, 0.9), _brain(u, v, radius, rng), pane)
    soft = cv2.GaussianBlur(pane.astype(np.float32), (0, 0), rng.uniform(0.5, 1.2))
    return enlarged(soft + rng.normal(0, rng.uniform(1, 6), soft.shape) * (radius < 1), side_px)


def _brain(
    u: NDArray[np.float64], v: NDArray[np.float64], radius: NDArray[np.float64], rng: Generator
) -> NDArray[np.float64]:
    side = len(u)
    noise = [
        cv2.GaussianBlur(rng.standard_normal((side, side)), (0, 0), side / fine) * side / fine * 3
        for fine in (rng.uniform(40, 70), rng.uniform(10, 25))
    ]
    middle, depth = rng.uniform(60, 150), rng.uniform(15, 45)
    brain = middle + depth * np.tanh(noise[0] * 2) + 0.5 * depth * np.tanh(noise[1])
    sulci = (np.abs(noise[0]) < rng.uniform(0.03, 0.12)) & (radius > 0.55)
    fluid = rng.choice([rng.uniform(10, 40), rng.uniform(180, 250)])
    brain[sulci] = fluid
    brain[np.hypot((np.abs(u) - 0.05) / 0.03, v / rng.uniform(0.08, 0.14)) < 1] = fluid
    for _ in range(rng.integers(0, 4)):
        cx, cy, size = rng.uniform(-0.2, 0.2), rng.uniform(-0.3, 0.3), rng.uniform(0.005, 0.07)
        spot = np.exp(-((((u - cx) ** 2 + (v - cy) ** 2) / size**2) ** 2))
        brain += spot * (rng.uniform(150, 250) - brain)
    return np.asarray(brain, np.float64)


def enlarged(grey: NDArray[np.floating] | Gray, side_px: int) -> Gray:
    """Resampled to a square of `side_px` as a viewer would."""
    how = cv2.INTER_AREA if side_px < len(grey) else cv2.INTER_CUBIC
    large = cv2.resize(np.asarray(grey, np.float32), (side_px, side_px), interpolation=how)
    return np.clip(large, 0, 255).astype(np.uint8)


def enclosed(image: Gray) -> Gray:
    """1 within the outline of the largest bright region."""
    soft = cv2.GaussianBlur(image, (0, 0), SOFT_SHARE * len(image))
    bright = (soft > OUTLINE_SHARE * np.percentile(soft, 90)).astype(np.uint8)
    contours, _ = cv2.findContours(bright, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    mask = np.zeros_like(image)
    if contours:
        outline = cv2.convexHull(max(contours, key=cv2.contourArea))
        cv2.fillConvexPoly(mask, outline, 1)
    return mask
