"""Simple statistics of a case's tiles: what a logistic regression sees, and a model must do better than."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.inference.context import Context

BRIGHT: Final = 0.75
TISSUE: Final = 0.05
RULE: Final = {"yes": 1.0, "no": 0.0}
RULE_UNKNOWN: Final = 0.5

Floats = NDArray[np.float64]


def statistics(tiles: NDArray[np.float32], context: Context) -> Floats:
    """Of tiles (n, 1, side, side): mean and maximum over the tiles of each measure, how many tiles, and
    whether atrial fibrillation is known."""
    each = np.array([_measures(tile) for tile in tiles[:, 0].astype(np.float64)])
    known = [float(context.af == answer) for answer in RULE]
    return np.concatenate([each.mean(0), each.max(0), [np.log(len(tiles))], known])


def score(weights: tuple[float, ...], seen: Floats) -> float:
    """Log-odds of the first cause by a logistic regression's weights, its constant last."""
    return float(seen @ np.array(weights[:-1]) + weights[-1])


def rule(af: str) -> float:
    """What the clinical rule alone says: is atrial fibrillation known?"""
    return RULE.get(af, RULE_UNKNOWN)


def _measures(tile: Floats) -> list[float]:
    """Of the tissue: mean, spread, upper percentiles, share that is bright, how unlike both halves are."""
    tissue = tile[tile > TISSUE]
    if not tissue.size:
        return [0.0] * 7
    bright = tile > BRIGHT
    halves = bright.sum() and abs(
        np.sign(np.arange(tile.shape[1]) - tile.shape[1] / 2) @ bright.sum(0)
    )
    return [
        float(tissue.mean()),
        float(tissue.std()),
        *map(float, np.percentile(tissue, (90, 99))),
        float(bright.sum() / tissue.size),
        float(halves / max(1, bright.sum())),
        float(tissue.size / tile.size),
    ]
