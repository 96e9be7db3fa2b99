"""Random but repeatable variations of a case's tiles: mirror, turn, scale, contrast, blur, noise."""

from hashlib import sha256

import cv2
import numpy as np
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

Tiles = NDArray[np.float32]


def generator(seed: int, epoch: int, *names: str) -> Generator:
    """The same draws for the same (run, epoch, case, tile), whatever else is loaded, in any order."""
    digest = sha256("/".join((str(seed), str(epoch), *names)).encode()).digest()
    return Generator(PCG64(int.from_bytes(digest, "big")))


def chosen(count: int, at_most: int, rng: Generator) -> list[int]:
    """Places of at most so many of `count` tiles, in their order."""
    return sorted(rng.permutation(count)[:at_most].tolist())


def varied(tile: Tiles, mirrored: bool, rng: Generator) -> Tiles:
    """A tile (side, side) as another scanner, viewer or camera might have shown it."""
    side = tile.shape[0]
    centre = (side - 1) / 2
    turn = cv2.getRotationMatrix2D((centre, centre), rng.uniform(-12, 12), rng.uniform(0.85, 1.1))
    shift = np.array([[0, 0, 1], [0, 0, 1]]) * rng.uniform(-4, 4, (2, 1))
    across = np.ascontiguousarray(tile[:, ::-1] if mirrored else tile)
    moved = cv2.warpAffine(across, turn + shift, (side, side))
    if rng.random() < 0.3:
        moved = cv2.GaussianBlur(moved, (0, 0), rng.uniform(0.3, 0.9))
    light = np.clip(moved, 0, 1) ** rng.uniform(0.8, 1.25) * rng.uniform(0.85, 1.1)
    noise = rng.standard_normal(tile.shape, np.float32) * np.float32(rng.uniform(0, 0.03))
    return np.asarray(np.clip(light + noise * (moved > 0), 0, 1), np.float32)
