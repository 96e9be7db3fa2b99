"""How often the gate refuses good pictures and spoilt ones, and what fingerprints tell apart.

python -m benchmarks.quality [--images 120] [--seed 1] [--profile ingest-3] [--json]

Good pictures are drawn as a clinician sends them: screenshots, through a messenger, phone photos. Each is
then spoilt in every way there is a reason for, and sent again in other clothes.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations
from multiprocessing import get_context
from os import cpu_count
from typing import Any, Final

import cv2
import numpy as np
from msgspec import Struct
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from benchmarks.measuring import show
from training.overlays.camera import file_of, photographed
from training.synth import case
from workers.duplicates import bits_apart
from workers.ingest import anatomy
from workers.ingest.outcome import Ingested, Pixels, Refused
from workers.ingest.pipeline import LOOKING, look, read

Canvas = NDArray[np.uint8]


def out_of_focus(canvas: Canvas, rng: Generator) -> Canvas:
    """By 1.2 to 2.5 % of the head: nothing of its folds is left."""
    sigma = rng.uniform(0.012, 0.025) * max(head_of(canvas)[2:])
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), sigma), np.uint8)


def underexposed(canvas: Canvas, rng: Generator) -> Canvas:
    return (canvas * rng.uniform(0.08, 0.12)).astype(np.uint8)


def overexposed(canvas: Canvas, rng: Generator) -> Canvas:
    return np.asarray(np.clip(canvas * rng.uniform(4, 6), 0, 255), np.uint8)


def behind_a_lamp(canvas: Canvas, rng: Generator) -> Canvas:
    """A lamp brighter than the screen, reflected on the head."""
    x, y, w, h = head_of(canvas)
    rows, columns = np.ogrid[: canvas.shape[0], : canvas.shape[1]]
    cx, cy = x + w * rng.uniform(0.35, 0.65), y + h * rng.uniform(0.35, 0.65)
    spread = rng.uniform(0.2, 0.3) * max(w, h)
    lamp = np.exp(-((columns - cx) ** 2 + (rows - cy) ** 2) / (2 * spread**2))
    return np.clip(canvas + 255 * rng.uniform(1.4, 2) * lamp[..., None], 0, 255).astype(np.uint8)


def tiny(canvas: Canvas, rng: Generator) -> Canvas:
    """Heads of 50 to 85 pixels amid black."""
    scale = rng.uniform(50, 85) / min(head_of(canvas)[2:])
    small = cv2.resize(canvas, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.copyMakeBorder(small, 150, 150, 150, 150, cv2.BORDER_CONSTANT), np.uint8)


SPOILT: Final = {
    "out_of_focus": out_of_focus,
    "underexposed": underexposed,
    "overexposed": overexposed,
    "behind_a_lamp": behind_a_lamp,
    "tiny": tiny,
}


def recompressed(canvas: Canvas, rng: Generator) -> Canvas:
    scale = rng.uniform(0.6, 0.9)
    small = cv2.resize(canvas, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def cropped(canvas: Canvas, rng: Generator) -> Canvas:
    high, wide = (max(1, round(side * rng.uniform(0, 0.04))) for side in canvas.shape[:2])
    return canvas[high:-high, wide:-wide]


def other_contrast(canvas: Canvas, rng: Generator) -> Canvas:
    return np.asarray(255 * (canvas / 255) ** rng.uniform(0.75, 1.3), np.uint8)


def taken_from_the_screen(canvas: Canvas, rng: Generator) -> Canvas:
    return photographed(canvas, [], rng)[0]


CLOTHES: Final = {
    "recompressed": recompressed,
    "cropped": cropped,
    "other_contrast": other_contrast,
    "photographed": taken_from_the_screen,
}


class Seen(Struct):
    """One picture: its kind, its reason of refusal if any, what it was warned of, its fingerprints; the
    reasons of what it was spoilt to, and whether it was known again in other clothes."""

    case: int
    kind: str
    reason: str
    warnings: tuple[str, ...]
    prints: tuple[int, ...]
    spoilt: dict[str, str]
    known: dict[str, bool]


def seen(asked: tuple[int, str]) -> Seen:
    seed, profile = asked
    image, rng = case(seed).images[0], default_rng([seed, 9])
    pixels = read(image.data)
    assert isinstance(pixels, Pixels)
    good = look(pixels, profile=profile).outcome
    canvas, photo = pixels.array(), image.channel == "screen-photo"

    def changed(change: Callable[[Canvas, Generator], Canvas], photo: bool) -> Ingested | Refused:
        sent = read(file_of("phone", np.ascontiguousarray(change(canvas, rng)), rng))
        if not isinstance(sent, Pixels):
            assert isinstance(sent.outcome, Refused)
            return sent.outcome
        return look(Pixels(sent.height, sent.width, sent.rgb, photo, {}), profile=profile).outcome

    prints = prints_of(good)
    spoilt = {
        name: reason_of(changed(how, photo or name == "behind_a_lamp"))
        for name, how in SPOILT.items()
    }
    known = {
        name: bool(prints) and near(prints, prints_of(changed(how, photo)))
        for name, how in CLOTHES.items()
    }
    warnings = good.warnings if isinstance(good, Ingested) else ()
    return Seen(seed, image.channel, reason_of(good), warnings, prints, spoilt, known)


def head_of(canvas: Canvas) -> tuple[int, int, int, int]:
    return anatomy.box_of(anatomy.find(canvas))


def reason_of(outcome: Ingested | Refused) -> str:
    return outcome.reason if isinstance(outcome, Refused) else ""


def prints_of(outcome: Ingested | Refused) -> tuple[int, ...]:
    if isinstance(outcome, Refused):
        return ()
    return tuple(int(each, 16) for each in outcome.fingerprints)


def near(one: Iterable[int], other: Sequence[int]) -> bool:
    return any(bits_apart(a, b) is not None for a in one for b in other)


def summary(found: Sequence[Seen], profile: str) -> dict[str, Any]:
    """Shares of pictures; of spoilt ones, which were refused for any reason, and for which."""
    good = [each for each in found if not each.reason]
    pairs = [near(one.prints, other.prints) for one, other in combinations(good, 2)]
    reasons: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for each in found:
        reasons["good"][each.reason] += 1
        for name, reason in each.spoilt.items():
            reasons[name][reason] += 1
    return {
        "images": len(found),
        "profile": profile,
        "false_rejection": 1 - len(good) / len(found),
        "warned_of_glare": share("glare" in each.warnings for each in good),
        "refused": {name: share(bool(each.spoilt[name]) for each in found) for name in SPOILT},
        "known_again": {name: share(each.known[name] for each in good) for name in CLOTHES},
        "others_alike": share(pairs),
        "pairs": len(pairs),
        "reasons": {name: dict(counts) for name, counts in reasons.items()},
    }


def share(those: Iterable[bool]) -> float:
    each = list(those)
    return round(sum(each) / max(1, len(each)), 5)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality")
    parser.add_argument("--images", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", choices=tuple(LOOKING), default="ingest-3")
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    given = parser.parse_args(arguments)
    seeds = range(1000 * given.seed, 1000 * given.seed + given.images)
    with ProcessPoolExecutor(cpu_count(), get_context("spawn"), cv2.setNumThreads, (1,)) as pool:
        found = list(pool.map(seen, [(seed, given.profile) for seed in seeds]))
    outcome = summary(found, given.profile)
    if not given.json:
        show("benchmarks.quality", {k: v for k, v in outcome.items() if not isinstance(v, dict)})
    print(json.dumps(outcome))


if __name__ == "__main__":
    main()
