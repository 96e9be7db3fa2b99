"""Whether ingest knows brain MRI from the rest, and each head's sequence.

python -m benchmarks.gate [--images 600] [--seed 1] [--part test] [--json]

Half of the pictures are good ones (screens with heads of known sequences, as screenshots and as photos), a
quarter are of kinds that nothing was trained on, far from heads, the rest near to them (other body parts, cut
fruit, CT) or what is kept for later (ECG, reports). All are drawn; `alone` is the net without the geometry
that refuses most strangers before it is asked. Strangers of the part `tuning` are those by which the gate's
limits were set; its figures promise nothing. `template`: slices of a real, averaged brain in drawn contrasts
(`benchmarks.template`), null where `nilearn` is not installed.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from os import cpu_count
from typing import Any, Final

import cv2
import numpy as np
from msgspec import Struct
from numpy.random import Generator, default_rng

from benchmarks import template
from benchmarks.measuring import ratio, share, show
from domain.stroke import Modality
from training.contrasts import drawn
from training.gate import calibration, heads, pages, paper, unseen
from training.gate.shapes import Picture
from training.gate.strangers import Draw
from training.overlays import camera
from training.overlays.fonts import Part
from training.screen import encode, identity, photograph, screenshot
from workers.ingest import quality, recognise
from workers.ingest.outcome import Ingested, Pixels, Refused
from workers.ingest.pipeline import look, named, read

PROFILE: Final = "ingest-3"
MRI: Final = recognise.MRI
PANES: Final = (1, 1, 1, 2, 4)
PHOTO_SHARE: Final = 0.4
SIDE_PX: Final = 1000
STRANGER_PX: Final = 256
FAR: Final[dict[Part, dict[str, Draw]]] = {"tuning": calibration.FAR, "test": unseen.FAR}
NEAR: Final[dict[Part, dict[str, Draw]]] = {"tuning": calibration.NEAR, "test": unseen.NEAR}
ROUND: Final = ("good", "far", "good", "near", "good", "far", "good", "later")
SOURCES: Final = ("screenshot", "screen-photo", "film")
TEXT: Final = ("text-remains", "text-covers-head")
"""Refusals that are counted by `benchmarks.deid`."""


class Judged(Struct):
    """One picture: what it was, what became of it, and how many heads were told right."""

    group: str
    kind: str
    outcome: str
    reason: str = ""
    modality: str | None = None
    told: int = 0
    right: int = 0
    source: str = ""
    seen_source: str = ""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate")
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", choices=("tuning", "test"), default="test")
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    given = parser.parse_args(arguments)
    numbers = [(given.seed, number, given.part) for number in range(given.images)]
    context = get_context("spawn")
    with ProcessPoolExecutor(cpu_count(), context, cv2.setNumThreads, (1,)) as pool:
        judged_ = list(pool.map(judged, numbers, chunksize=4))
        sources = list(pool.map(source_told, numbers, chunksize=4))
        alone = list(pool.map(accepted_alone, numbers, chunksize=4))
    outcome = {
        **summary(judged_),
        "source_accuracy": share(one.source == one.seen_source for one in sources),
        "by_source": {
            kind: share(one.source == one.seen_source for one in sources if one.source == kind)
            for kind in SOURCES
        },
        "far_ood_accepted_alone": share(far for far, _ in alone),
        "near_ood_accepted_alone": share(near for _, near in alone),
        "template": template.figures(given.seed),
        **costs(given.seed),
        "profile": named(PROFILE),
        "part": given.part,
    }
    if not given.json:
        show("benchmarks.gate", {k: v for k, v in outcome.items() if not isinstance(v, dict | str)})
    print(json.dumps(outcome))


Numbered = tuple[int, int, Part]
"""Seed, number, and whose strangers."""


def judged(numbered: Numbered) -> Judged:
    """Draws, sends and ingests one picture."""
    seed, number, part = numbered
    rng, group = default_rng([seed, number]), ROUND[number % len(ROUND)]
    turn = number // len(ROUND)
    if group == "good":
        modality = MRI[(turn + number) % len(MRI)]
        return through(group, modality, on_screen(modality, rng))
    if group == "far":
        return stranger("far", FAR[part], turn, rng)
    if group == "near":
        if turn % 4 == 0:
            return through(group, "ct", on_screen("ct", rng))
        return stranger("near", NEAR[part], turn, rng)
    draw = (paper.ecg, paper.report)[turn % 2]
    return through(group, draw.__name__, sent(draw(SIDE_PX, part, rng), rng))


def on_screen(modality: Modality, rng: Generator) -> bytes:
    """One to four slices of a sequence in a viewer, with its texts, as a file."""
    slices = [drawn(modality, rng) for _ in range(int(rng.choice(PANES)))]
    canvas, _ = screenshot(slices, identity(int(rng.integers(10_000)), rng), rng)
    if rng.random() < PHOTO_SHARE:
        canvas = photograph(canvas, rng)
    return encode(canvas, "photo" if rng.random() < 0.7 else "document", False, rng)


def stranger(group: str, kinds: dict[str, Draw], turn: int, rng: Generator) -> Judged:
    """One picture of kinds that take turns."""
    kind = list(kinds)[turn % len(kinds)]
    return through(group, kind, sent(kinds[kind](SIDE_PX, rng), rng))


def sent(canvas: Picture, rng: Generator) -> bytes:
    """As a file, through a messenger, or photographed off a screen."""
    kind = camera.KINDS[int(rng.integers(len(camera.KINDS)))]
    return camera.file_of(kind, camera.as_sent(kind, canvas, [], rng)[0], rng)


def through(group: str, kind: str, data: bytes) -> Judged:
    """What ingest makes of a file."""
    pixels = read(data)
    assert isinstance(pixels, Pixels)
    match look(pixels, profile=PROFILE).outcome:
        case Ingested(sequences=sequences):
            right = sum(name == kind for name in sequences)
            return Judged(group, kind, "ingested", told=len(sequences), right=right)
        case Refused(outcome=outcome, reason=reason, modality=modality):
            return Judged(group, kind, outcome, reason, modality)


def source_told(numbered: Numbered) -> Judged:
    """How one picture reached us, and what is said of that."""
    seed, number, part = numbered
    rng, source = default_rng([seed, number, 1]), SOURCES[number % len(SOURCES)]
    canvas = (pages.film if source == "film" else pages.viewer)(SIDE_PX, part, rng)
    if source == "screen-photo":
        canvas = pages.photo(canvas, rng)
    pixels = read(camera.file_of("screenshot" if source == "screenshot" else "phone", canvas, rng))
    assert isinstance(pixels, Pixels)
    gray = np.asarray(cv2.cvtColor(pixels.array(), cv2.COLOR_RGB2GRAY), np.uint8)
    film = recognise.page_of(pixels.array()) == "film"
    said = "film" if film else quality.source_of(gray, pixels.by_camera)
    return Judged("source", source, "told", source=source, seen_source=said)


def accepted_alone(numbered: Numbered) -> tuple[bool, bool]:
    """Whether the net takes a far and a near stranger, cut out as round as a head, for MRI."""
    seed, number, part = numbered
    rng = default_rng([seed, number, 2])
    answers = []
    for kinds in (FAR[part], NEAR[part]):
        draw = list(kinds.values())[number % len(kinds)]
        tile = heads.stranger(draw(STRANGER_PX, rng), rng)
        chances, strangeness = recognise.seen("sequence", tile[None, None])
        name = recognise.named(chances[0], float(strangeness[0]))
        answers.append(name is not None and name.startswith("mri"))
    return answers[0], answers[1]


def summary(pictures: Sequence[Judged]) -> dict[str, Any]:
    """All that is promised of pictures that went through."""
    good = [one for one in pictures if one.group == "good"]
    far, near, later = (
        [one for one in pictures if one.group == group] for group in ("far", "near", "later")
    )
    ct = [one for one in near if one.kind == "ct"]
    return {
        "false_rejection": share(
            one.outcome != "ingested" and one.reason not in TEXT for one in good
        ),
        "far_ood_accepted": share(one.outcome == "ingested" for one in far),
        "near_ood_accepted": share(one.outcome == "ingested" for one in near),
        "sequence_accuracy": ratio(sum(one.right for one in good), sum(one.told for one in good)),
        "kept_for_later": share(one.modality == one.kind for one in (*ct, *later)),
        "images": {"good": len(good), "far": len(far), "near": len(near), "later": len(later)},
        "good_refused_for": dict(Counter(one.reason for one in good if one.reason)),
        "far_refused_for": dict(Counter(one.reason for one in far if one.reason)),
        "near_refused_for": dict(Counter(one.reason for one in near if one.reason)),
        "accepted_kinds": dict(
            Counter(one.kind for one in (*far, *near) if one.outcome == "ingested")
        ),
        "by_sequence": {
            name: ratio(
                sum(one.right for one in good if one.kind == name),
                sum(one.told for one in good if one.kind == name),
            )
            for name in MRI
        },
    }


def costs(seed: int, times: int = 100) -> dict[str, float]:
    """Processor time of one head's sequence (`cpu_ms`) and of one whole picture (`page_cpu_ms`)."""
    rng = default_rng(seed)
    head = heads.windowed(drawn("mri-flair", rng), rng)
    page = pages.viewer(SIDE_PX, "test", rng)
    box = (0, 0, head.shape[1], head.shape[0])
    acts = {
        "cpu_ms": lambda: recognise.sequences_of(head, (box,)),
        "page_cpu_ms": lambda: recognise.page_of(page),
    }
    return {name: cpu_ms(act, times) for name, act in acts.items()}


def cpu_ms(act: Callable[[], object], times: int) -> float:
    """Milliseconds of processor time of one act."""
    act()
    started = time.process_time()
    for _ in range(times):
        act()
    return round((time.process_time() - started) * 1000 / times, 2)


if __name__ == "__main__":
    main()
