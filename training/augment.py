"""Random but repeatable variations of a case's tiles: mirror, turn, scale, contrast, blur, noise."""

from hashlib import sha256

import cv2
import numpy as np
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

Tiles = NDArray[np.float32]


def generator(seed: int, epoch: int, case: str) -> Generator:
    """The same draws for the same (run, epoch, case), whatever else is loaded, in any order."""
    digest = sha256(f"{seed}/{epoch}/{case}".encode()).digest()
    return Generator(PCG64(int.from_bytes(digest, "big")))


def augment(tiles: Tiles, tiles_max: int, rng: Generator) -> Tiles:
    """At most `tiles_max` of the tiles (n, 1, side, side), each varied; mirrored together or not."""
    chosen = np.sort(rng.permutation(len(tiles))[:tiles_max])
    across = slice(None, None, -1 if rng.random() < 0.5 else 1)
    return np.stack([_vary(tiles[at, 0, :, across], rng) for at in chosen])[:, None]


def _vary(tile: Tiles, rng: Generator) -> Tiles:
    side = tile.shape[0]
    centre = (side - 1) / 2
    turn = cv2.getRotationMatrix2D((centre, centre), rng.uniform(-12, 12), rng.uniform(0.85, 1.1))
    shift = np.array([[0, 0, 1], [0, 0, 1]]) * rng.uniform(-4, 4, (2, 1))
    moved = cv2.warpAffine(np.ascontiguousarray(tile), turn + shift, (side, side))
    if rng.random() < 0.3:
        moved = cv2.GaussianBlur(moved, (0, 0), rng.uniform(0.3, 0.9))
    light = np.clip(moved, 0, 1) ** rng.uniform(0.8, 1.25) * rng.uniform(0.85, 1.1)
    noise = rng.standard_normal(tile.shape, np.float32) * np.float32(rng.uniform(0, 0.03))
    return np.asarray(np.clip(light + noise * (moved > 0), 0, 1), np.float32)
