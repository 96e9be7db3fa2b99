"""From an untrusted photo to its anatomy alone: steps in a table, pure, the same bytes every time."""

import time
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Final, NamedTuple

import cv2
import numpy as np

from domain.stroke import Modality
from workers.ingest import anatomy, light, quality, recognise, text
from workers.ingest.decode import decode
from workers.ingest.fingerprint import fingerprint
from workers.ingest.outcome import (
    Detected,
    Examined,
    Ingested,
    Pixels,
    Reason,
    Refused,
    Source,
    Stop,
    Warned,
)
from workers.ingest.result import (
    clear,
    cut,
    largest,
    lines,
    outcome_of,
    placed,
    side_by_side,
    touches_edge,
)
from workers.ingest.sheet import Sheet
from workers.ingest.sniff import sniff
from workers.modalities import MODALITIES, used
from workers.pixels import PIXELS_VERSION, Box, Gray, heads, only

__all__ = [
    "PROFILE",
    "PROFILE_STEPS",
    "Detected",
    "Ingested",
    "Reason",
    "Refused",
    "Source",
    "Warned",
    "process",
]

SIDE_PX_MAX: Final = 2048
"""Longer pictures are reduced; the original keeps what this loses."""

TEXT_PERMILLE_MAX: Final = 150
"""Of the heads; more text than this leaves too little to look at, or is no text."""

PNG_LEVEL: Final = (cv2.IMWRITE_PNG_COMPRESSION, 1)


CURRENT: Final = "ingest-2"
"""The profile of new images."""


class Step(NamedTuple):
    """One act on a sheet; a change that can alter one output byte raises its version."""

    name: str
    version: int
    run: Callable[[Sheet], None]
    nets: Mapping[str, str] = {}
    """The nets it asks, with the SHA-256 of their files."""


def process(data: bytes, profile: str = CURRENT) -> Ingested | Refused:
    """The photo reduced to its anatomy, or the one reason why it goes no further."""
    pixels = read(data)
    return (look(pixels, profile=profile) if isinstance(pixels, Pixels) else pixels).outcome


def read(data: bytes) -> Pixels | Examined:
    """The half that sees a stranger's bytes: pixels, or a refusal."""
    sheet = Sheet(data=data)
    try:
        run(READING, sheet)
    except Stop as stop:
        return Examined(stop.refused, sheet.cpu_us)
    height, width = sheet.rgb.shape[:2]
    return Pixels(height, width, sheet.rgb.tobytes(), sheet.by_camera, sheet.cpu_us)


def look(pixels: Pixels, beside: bool = False, profile: str = CURRENT) -> Examined:
    """The half that sees pixels only; `beside` adds a picture of before and after."""
    sheet = Sheet(rgb=pixels.array(), by_camera=pixels.by_camera, cpu_us=dict(pixels.cpu_us))
    try:
        run(LOOKING[profile], sheet)
    except Stop as stop:
        return Examined(stop.refused, sheet.cpu_us)
    picture = side_by_side(sheet) if beside else b""
    return Examined(outcome_of(sheet), sheet.cpu_us, placed(sheet), lines(sheet), picture)


def run(steps: Iterable[Step], sheet: Sheet) -> None:
    """One step after another, with the processor time each took."""
    for step in steps:
        started = time.process_time_ns()
        try:
            step.run(sheet)
        finally:
            sheet.cpu_us[step.name] = (time.process_time_ns() - started) // 1000


# The steps


def sniffed(sheet: Sheet) -> None:
    """The type by the first bytes."""
    sheet.kind = sniff(sheet.data)


def decoded(sheet: Sheet) -> None:
    """Upright RGB, and whether a camera took it."""
    picture = decode(sheet.data, sheet.kind)
    sheet.rgb, sheet.by_camera = picture.rgb, picture.by_camera


def bounded(sheet: Sheet) -> None:
    """The picture reduced to at most SIDE_PX_MAX pixels on its longest side."""
    scale = SIDE_PX_MAX / max(sheet.rgb.shape)
    if scale < 1:
        how = cv2.INTER_AREA
        small = cv2.resize(sheet.rgb, None, fx=scale, fy=scale, interpolation=how)
        sheet.rgb = np.asarray(small, np.uint8)


def told_apart(sheet: Sheet) -> None:
    """How the picture was taken."""
    sheet.gray = np.asarray(cv2.cvtColor(sheet.rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    sheet.source = quality.source_of(sheet.gray, sheet.by_camera)


def recognised(sheet: Sheet) -> None:
    """What the whole picture is: what is no scan has no head to look for, but is kept if it is known."""
    match recognise.page_of(sheet.rgb):
        case "film":
            sheet.source = "film"
        case "ecg":
            raise Stop("not-used-yet", modality="ecg")
        case "report":
            raise Stop("not-used-yet", modality="report")


def isolated(sheet: Sheet) -> None:
    """The heads, and nothing else."""
    sheet.mask = anatomy.find(sheet.rgb)
    if not sheet.mask.any():
        raise Stop("no-head")
    framed(sheet)


def framed(sheet: Sheet) -> None:
    """The derivative's pixels, and the heads in them, by the mask."""
    sheet.frame = anatomy.box_of(sheet.mask)
    inside, crop = cut(sheet.mask, sheet.frame), cut(sheet.gray, sheet.frame)
    sheet.kept = np.where(inside > 0, np.maximum(crop, 1), 0).astype(np.uint8)
    sheet.heads = tuple(heads(sheet.kept))


def held_to_the_light(sheet: Sheet) -> None:
    """How the largest head is lit, before anything on it can be mistaken for text."""
    x, y, w, h = largest(sheet)
    left, top = sheet.frame[:2]
    sheet.quality |= light.measure(sheet.gray, sheet.mask, (x + left, y + top, w, h))
    light.gate(sheet.quality, sheet.source)
    sheet.warnings += tuple(light.warned(sheet.quality, sheet.source))


def cleared(sheet: Sheet) -> None:
    """Text on the heads is blanked to 1, the black of anatomy, so that a line never divides a head."""
    sheet.text = text.find(sheet.rgb, sheet.mask)
    share = quality.permille(sheet.text[sheet.mask > 0] > 0)
    if share > TEXT_PERMILLE_MAX:
        raise Stop("text-covers-head")
    sheet.quality |= {"text": share}
    blanked(sheet)


def blanked(sheet: Sheet) -> None:
    """Writes the text's black into the derivative."""
    sheet.kept = np.where(cut(sheet.text, sheet.frame) > 0, np.uint8(1), sheet.kept)


def doubted(sheet: Sheet) -> None:
    """Another net looks at what is left: what it still takes for text goes no further."""
    if text.remains(sheet.rgb, sheet.mask, sheet.text):
        raise Stop("text-remains")


def held_to_the_gate(sheet: Sheet) -> None:
    """Measures of the largest head; it must be readable."""
    inside, crop = cut(clear(sheet), sheet.frame), cut(sheet.gray, sheet.frame)
    sheet.quality |= quality.measure(crop, inside, largest(sheet))
    quality.gate(sheet.quality)
    cut_off = touches_edge(sheet.mask)
    sheet.warnings += tuple(quality.warned(sheet.quality, sheet.source, cut_off))


def told_by_sequence(sheet: Sheet) -> None:
    """Only heads of which something is known stay, prepared as the modality table says."""
    named = recognise.sequences_of(sheet.kept, sheet.heads)
    found = {box: name for box, name in zip(placed(sheet), named, strict=True) if name}
    used_ = {box: name for box, name in found.items() if MODALITIES[name].prepare}
    if not used_:
        known = list(found.values())
        raise Stop("not-used-yet", modality=known[0]) if known else Stop("not-recognised")
    if len(used_) < len(sheet.heads):
        reduced(sheet, tuple(used_))
    sheet.sequences = tuple(used_[box] for box in placed(sheet))
    for box, name in zip(sheet.heads, sheet.sequences, strict=True):
        prepared(cut(sheet.kept, box), name)


def reduced(sheet: Sheet, places: tuple[Box, ...]) -> None:
    """Blanks every head but those in these places of the picture; what is left is measured anew."""
    sheet.mask = only(sheet.mask > 0, places)
    sheet.text &= sheet.mask
    sheet.warnings = ()
    framed(sheet)
    held_to_the_light(sheet)
    blanked(sheet)
    held_to_the_gate(sheet)


def prepared(head: Gray, name: Modality) -> None:
    """A head's pixels as its modality wants them, in place."""
    prepare = MODALITIES[name].prepare
    assert prepare
    head[:] = prepare(head)


def fingerprinted(sheet: Sheet) -> None:
    """The perceptual hash of the largest head."""
    sheet.phash = quality.phash(cut(sheet.kept, largest(sheet)))


def recognisable(sheet: Sheet) -> None:
    """A fingerprint of every head, in which near duplicates are alike."""
    sheet.fingerprints = tuple(fingerprint(cut(sheet.kept, box)) for box in sheet.heads)


def encoded(sheet: Sheet) -> None:
    """Lossless PNG that holds nothing but the pixels."""
    sheet.derivative = cv2.imencode(".png", sheet.kept, PNG_LEVEL)[1].tobytes()


READING: Final = (Step("sniff", 1, sniffed), Step("decode", 1, decoded), Step("bound", 1, bounded))

SOURCE: Final = Step("source", 1, told_apart)
PAGE: Final = Step("page", 1, recognised, {"page": recognise.SHA256["page"]})
ANATOMY: Final = Step("anatomy", 1, isolated)
CLEARING: Final = (
    Step("text", 1, cleared, {"overlay": text.SHA256["overlay"]}),
    Step("residual", 1, doubted, {"residual": text.SHA256["residual"]}),
)
LIGHT: Final = Step("light", 1, held_to_the_light)
QUALITY: Final = Step("quality", 1, held_to_the_gate)
BRAIN: Final = Step("brain", 1, told_by_sequence, {"sequence": recognise.SHA256["sequence"]})
PHASH: Final = Step("phash", 1, fingerprinted)
FINGERPRINT: Final = Step("fingerprint", 1, recognisable)
PNG: Final = Step("png", 1, encoded)

LOOKING: Final = {
    "ingest-1": (SOURCE, ANATOMY, QUALITY, PHASH, PNG),
    "ingest-2": (SOURCE, ANATOMY, *CLEARING, QUALITY, PHASH, PNG),
    "ingest-3": (
        *(SOURCE, ANATOMY, LIGHT),
        *CLEARING,
        *(QUALITY, PHASH, FINGERPRINT, PNG),
    ),
}
"""Every profile there ever was, so that any event's derivative can be made again."""


def steps_of(profile: str) -> tuple[str, ...]:
    """All that decides what a profile makes, each with its version."""
    steps = (*READING, *LOOKING[profile])
    nets = (f"{net}@{digest[:12]}" for step in steps for net, digest in step.nets.items())
    modalities = used() if BRAIN in steps else ()
    return (*(f"{step.name}@{step.version}" for step in steps), *nets, *modalities, PIXELS_VERSION)


def named(profile: str) -> str:
    """The profile's name in events: with the hash of its steps."""
    return f"{profile}:{sha256('|'.join(steps_of(profile)).encode()).hexdigest()[:12]}"


PROFILE_STEPS: Final = steps_of(CURRENT)
PROFILE: Final = named(CURRENT)
