"""What straightening phone photos of screens could gain at best: the true perspective is undone.

python -m benchmarks.rectification [--images 60] [--seed 1] [--json]

Each photo is ingested as it came and as a perfect finder of the screen's corners would hand it on. If the
truth gains nothing, no finder can; it would only add wrong warps. `fingerprint_bits` is the distance
(of 256 bits) between a head of the photo and the same head in the screenshot.
"""

import argparse
import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray

from benchmarks.deid import Scored, figures, replaced
from benchmarks.leaks import fates
from benchmarks.measuring import show
from benchmarks.over_mask import over_mask
from training.overlays import camera
from training.overlays.viewers import LAYOUTS, Shot, screen
from workers.ingest.outcome import Ingested, Pixels
from workers.ingest.pipeline import NEWEST, look, named

LOST: Final = 1.0
"""Share of a head that is gone when nothing goes through."""


class Ingest(NamedTuple):
    """What became of one picture, and the fingerprints of its heads."""

    scored: Scored
    fingerprints: tuple[str, ...] = ()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rectification")
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    given = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    rows = [ways(given.seed, number) for number in range(given.images)]
    outcome = {
        "images": given.images,
        "as_it_came": told(
            [screenshot for screenshot, _, _ in rows], [as_is for _, as_is, _ in rows]
        ),
        "straightened": told(
            [screenshot for screenshot, _, _ in rows], [right for _, _, right in rows]
        ),
        "profile": named(NEWEST),
    }
    if not given.json:
        for way in ("as_it_came", "straightened"):
            show(way, outcome[way])
    print(json.dumps(outcome))


def ways(seed: int, number: int) -> tuple[Ingest, Ingest, Ingest]:
    """The screenshot, the photo of it, and the photo with its true perspective undone."""
    rng = default_rng([seed, number])
    layouts = list(LAYOUTS["test"].values())
    drawn = screen("test", layouts[number % len(layouts)], rng)
    pose = default_rng([seed, number, 1])
    matrix, _ = camera._pose(drawn.canvas, default_rng([seed, number, 1]))
    photo, (heads, ink) = camera.photographed(drawn.canvas, [drawn.heads, drawn.ink], pose)
    scale = min(1.0, camera.MESSENGER_SIDE_PX_MAX / max(photo.shape))
    sent, (heads, ink) = camera.shrunk(photo, [heads, ink])
    seen = camera.received(camera.file_of("phone", sent, pose))
    back = np.linalg.inv(np.diag([scale, scale, 1.0]) @ matrix)
    size = (drawn.canvas.shape[1], drawn.canvas.shape[0])
    flat = np.asarray(cv2.warpPerspective(seen, back, size, flags=cv2.INTER_LINEAR), np.uint8)
    return (
        ingested(drawn, drawn.canvas),
        ingested(Shot(seen, heads, ink, drawn.lines), seen),
        ingested(drawn, flat),
    )


def ingested(shot: Shot, rgb: NDArray[np.uint8]) -> Ingest:
    """One picture with its truth, ingested."""
    gray = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    height, width = gray.shape
    examined = look(Pixels(height, width, rgb.tobytes(), False, {}), profile=NEWEST)
    if not isinstance(examined.outcome, Ingested):
        return Ingest(Scored("phone", examined.outcome.outcome, [], LOST, None))
    kept = replaced(examined.outcome, examined.heads[0], gray.shape)
    scored = Scored("phone", "ingested", fates(shot, kept, gray), over_mask(shot, kept, gray), None)
    return Ingest(scored, examined.outcome.fingerprints)


def told(screenshots: list[Ingest], others: list[Ingest]) -> dict[str, Any]:
    """The figures of `benchmarks.deid`, what went through, and how alike the heads still are."""
    through = [other.scored for other in others if other.scored.outcome == "ingested"]
    bits = [
        (int(first, 16) ^ int(second, 16)).bit_count()
        for one, other in zip(screenshots, others, strict=True)
        if len(one.fingerprints) == len(other.fingerprints)
        for first, second in zip(one.fingerprints, other.fingerprints, strict=True)
    ]
    return {
        "went_through": len(through),
        **figures(through),
        "fingerprint_bits_median": float(np.median(bits)) if bits else None,
    }


if __name__ == "__main__":
    main()
