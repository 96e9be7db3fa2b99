"""How much burnt-in text survives ingest, glyph by glyph, and how much anatomy pays for it.

python -m benchmarks.deid [--lines 1000] [--seed 1] [--peer-images 24]
    [--profile ingest-3] [--json]

Screens of six made-up viewers, in fonts and layouts that nothing was trained or tuned on, are sent as a
screenshot, through a messenger, and as a phone photo; needs the extra `fonts`. A line is gone when 98 %
of its ink is. Where Tesseract is installed it attacks every derivative (null where it is not), and the
place of every line that leaks. `doubted_rightly` is the share of what `text-remains` held back that would
have leaked. `over_mask` counts heads that another step refused as blanked whole, beside others that go
through; `over_mask_kept` does not.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import count, islice, takewhile
from multiprocessing import get_context
from os import cpu_count
from typing import Any, Final

import cv2
import numpy as np
from msgspec import Struct
from numpy.random import default_rng
from numpy.typing import NDArray

from benchmarks.attacker import installed, read_lines
from benchmarks.leaks import Fate, attacked, fates, told
from benchmarks.measuring import show
from benchmarks.over_mask import BLACK, kept_heads, over_mask
from benchmarks.peers import redaction
from training.overlays import camera
from training.overlays.fonts import NotInstalled
from training.overlays.viewers import LAYOUTS, Shot, screen
from workers.ingest.outcome import Ingested, Pixels, Refused
from workers.ingest.pipeline import LOOKING, NEWEST, look, named, read, run
from workers.ingest.result import cut
from workers.ingest.sheet import Sheet
from workers.pixels import load

SIZES: Final = {"9-12": (9, 12), "13-18": (13, 18), "19-24": (19, 24)}
UNAVAILABLE: Final = 6

RESIDUAL: Final = "residual"
DOUBT: Final = "text-remains"
"""The step that doubts, and what it says."""


class Scored(Struct):
    """One image: what became of it and of its lines, and the price."""

    kind: str
    outcome: str
    lines: list[Fate]
    over_mask: float
    read: int | None
    """Lines that Tesseract read in the derivative."""
    warped: bool = False
    """Whether any pixel is not where it was in the picture."""
    reason: str = ""
    """Why it goes no further."""
    over_mask_kept: float = 0.0
    """The price on heads of which anything was kept."""
    rightly: bool | None = None
    """Whether a line would have leaked, had nothing been doubted; None if nothing was."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deid")
    parser.add_argument("--lines", type=int, default=1000, help="planted lines, at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--peer-images", type=int, default=24, help="images for the peers, at most")
    parser.add_argument("--profile", choices=tuple(LOOKING), default=NEWEST)
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    given = parser.parse_args(arguments)
    try:
        images = list(scored(given.lines, given.seed, given.profile))
        some = min(given.peer_images, len(images))
        outcome = {
            **summary(images),
            "profile": named(given.profile),
            "peers": rivals(given.seed, some),
        }
    except NotInstalled as missing:
        sys.stderr.write(f"{missing}\n")
        raise SystemExit(UNAVAILABLE) from None
    if not given.json:
        show("benchmarks.deid", {k: v for k, v in outcome.items() if not isinstance(v, dict | str)})
    print(json.dumps(outcome))


def scored(lines: int, seed: int, profile: str) -> Iterator[Scored]:
    """Images in the order of their numbers until they hold so many lines, on all processors."""
    planted, batch = 0, 4 * (cpu_count() or 1)
    numbers = count()
    with ProcessPoolExecutor(cpu_count(), get_context("spawn"), cv2.setNumThreads, (1,)) as pool:
        while planted < lines:
            for each in pool.map(
                score, [(seed, number, profile) for number in islice(numbers, batch)]
            ):
                if planted < lines:
                    planted += len(each.lines)
                    yield each


def received(seed: int, number: int) -> tuple[camera.Kind, Shot, Pixels]:
    """One image: how it is sent, the truth about it, and what arrives."""
    rng = default_rng([seed, number])
    kind = camera.KINDS[number % len(camera.KINDS)]
    layout = list(LAYOUTS["test"].values())[number // len(camera.KINDS) % len(LAYOUTS["test"])]
    drawn = screen("test", layout, rng)
    canvas, (heads, ink) = camera.as_sent(kind, drawn.canvas, [drawn.heads, drawn.ink], rng)
    pixels = read(camera.file_of(kind, canvas, rng))
    assert isinstance(pixels, Pixels)
    return kind, Shot(canvas, heads, ink, drawn.lines), pixels


def score(asked: tuple[int, int, str]) -> Scored:
    """Draws, sends and ingests one image, and looks at what is left."""
    seed, number, profile = asked
    kind, shot, pixels = received(seed, number)
    examined = look(pixels, profile=profile)
    gray = np.asarray(cv2.cvtColor(pixels.array(), cv2.COLOR_RGB2GRAY), np.uint8)
    if isinstance(examined.outcome, Refused):
        return held_back(kind, shot, pixels, gray, examined.outcome, profile)
    kept = replaced(examined.outcome, examined.heads[0], gray.shape)
    found = read_lines(kept, [line.text for line in shot.lines]) if installed() else None
    moved = bool((kept != gray)[kept > 1].any())
    price = over_mask(shot, kept, gray)
    lines = attacked(fates(shot, kept, gray), shot, kept)
    of_kept = over_mask(kept_heads(shot, kept), kept, gray)
    return Scored(kind, "ingested", lines, price, found, moved, over_mask_kept=of_kept)


def held_back(
    kind: camera.Kind,
    shot: Shot,
    pixels: Pixels,
    gray: NDArray[np.uint8],
    refused: Refused,
    profile: str,
) -> Scored:
    """An image of which nothing was kept, and whether doubt was right."""
    outcome = refused.outcome if refused.outcome == "quarantined" else "refused"
    rightly = None
    if refused.reason == DOUBT:
        kept = undoubted(pixels, profile, gray.shape)
        rightly = any(fate.leaks for fate in fates(shot, kept, gray))
    lines = fates(shot, np.zeros_like(gray), gray)
    return Scored(kind, outcome, lines, 0.0, None, False, refused.reason, rightly=rightly)


def undoubted(pixels: Pixels, profile: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """What the steps before the residual check would have kept."""
    sheet = Sheet(rgb=pixels.array(), by_camera=pixels.by_camera)
    run(takewhile(lambda step: step.name != RESIDUAL, LOOKING[profile]), sheet)
    kept = np.zeros(shape, np.uint8)
    cut(kept, sheet.frame)[:] = sheet.kept
    return kept


def rivals(seed: int, images: int) -> dict[str, dict[str, Any] | None]:
    """What the peers do with the first images; their processor time is told by `benchmarks.ingest`."""
    peers = redaction.installed()
    return {
        name: redact and figures([blanked(redact, seed, number) for number in range(images)])
        for name, redact in peers.items()
    }


def blanked(redact: redaction.Redact, seed: int, number: int) -> Scored:
    """One image with all that a peer takes for text blanked."""
    kind, shot, pixels = received(seed, number)
    rgb = pixels.array()
    gray = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    kept = np.where(redact(rgb) > 0, 0, np.maximum(gray, BLACK)).astype(np.uint8)
    return Scored(kind, "ingested", fates(shot, kept, gray), over_mask(shot, kept, gray), None)


def replaced(
    outcome: Ingested, head: tuple[int, int, int, int], shape: tuple[int, ...]
) -> NDArray[np.uint8]:
    """The derivative where it lay in the picture."""
    kept = np.zeros(shape, np.uint8)
    left, top = head[0] - outcome.head[0][0], head[1] - outcome.head[0][1]
    kept[top : top + outcome.height, left : left + outcome.width] = load(outcome.derivative)
    return kept


def summary(images: list[Scored]) -> dict[str, Any]:
    """All that is promised; recalls are of the lines in images that were ingested."""
    through = [image for image in images if image.outcome == "ingested"]
    attacks = [image.read for image in through if image.read is not None]
    return {
        **figures(through),
        "quarantine_rate": share_of(images, "quarantined"),
        "over_mask_kept_mean": round(mean([image.over_mask_kept for image in through]), 5),
        **doubts(images),
        **leaks_of(through),
        "refused_rate": share_of(images, "refused"),
        "attacker_read_lines": sum(attacks) if attacks else None,
        "wrong_warps_on_screenshots": sum(
            image.warped for image in through if image.kind == "screenshot"
        ),
        "lines": sum(len(image.lines) for image in images),
        "images": len(images),
        "by_size": {name: recalls(through, sizes=sizes) for name, sizes in SIZES.items()},
        "by_script": {name: recalls(through, script=name) for name in ("latin", "cyrillic")},
        "by_kind": {
            kind: recalls([image for image in through if image.kind == kind])
            for kind in camera.KINDS
        },
    }


def leaks_of(through: list[Scored]) -> dict[str, Any]:
    """Every line that leaks, and the share of images in which one still can be read."""
    leaks = [[fate for fate in image.lines if fate.leaks] for image in through]
    read_ = sum(any(fate.read for fate in fates_) for fates_ in leaks)
    return {
        "read_leaking_images": round(read_ / max(1, len(through)), 5) if installed() else None,
        "leaks": [told(fate) for fates_ in leaks for fate in fates_],
    }


def doubts(images: list[Scored]) -> dict[str, Any]:
    """Why images were quarantined, and how many of those that were doubted would have leaked."""
    reasons = Counter(image.reason for image in images if image.outcome == "quarantined")
    rightly = [image.rightly for image in images if image.rightly is not None]
    return {
        "quarantined_for": dict(reasons),
        "doubted_rightly": round(sum(rightly) / len(rightly), 5) if rightly else None,
    }


def figures(through: list[Scored]) -> dict[str, Any]:
    """Recalls, price and leaks of images that were let through."""
    prices = [image.over_mask for image in through] or [1.0]
    leaks = [[fate for fate in image.lines if fate.leaks] for image in through]
    seen = [any(fate.seen for fate in fates_) for fates_ in leaks]
    return {
        **recalls(through),
        **{f"seen_{k}": v for k, v in recalls(through, seen_only=True).items()},
        "over_mask_mean": round(mean(prices), 5),
        "over_mask_p99": round(float(np.percentile(prices, 99)), 5),
        "leaking_images": round(sum(map(bool, leaks)) / max(1, len(through)), 5),
        "seen_leaking_images": round(sum(seen) / max(1, len(through)), 5),
    }


def recalls(
    images: Iterable[Scored],
    sizes: tuple[int, int] = (0, 99),
    script: str | None = None,
    seen_only: bool = False,
) -> dict[str, float | int | None]:
    """Shares of the lines that are gone, off and on the heads; null where there was no line."""
    chosen = [
        fate
        for image in images
        for fate in image.lines
        if sizes[0] <= fate.line.size_px <= sizes[1]
        and script in (None, fate.line.script)
        and (fate.seen or not seen_only)
    ]
    shares: dict[str, float | int | None] = {}
    for name, on_head in (("off_head", False), ("on_head", True)):
        leaks = [fate.leaks for fate in chosen if fate.line.on_head == on_head]
        shares[f"{name}_recall"] = round(1 - sum(leaks) / len(leaks), 5) if leaks else None
        shares[f"{name}_lines"] = len(leaks)
    return shares


def mean(prices: list[float]) -> float:
    """1, the dearest, of none."""
    return float(np.mean(prices or [1.0]))


def share_of(images: list[Scored], outcome: str) -> float:
    return round(sum(image.outcome == outcome for image in images) / max(1, len(images)), 5)


if __name__ == "__main__":
    main()
