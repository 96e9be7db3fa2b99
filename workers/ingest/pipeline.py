"""From an untrusted photo to its anatomy alone: steps in a table, pure, the same bytes every time."""

import time
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.ingest import anatomy, light, quality, text, text_lines
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
from workers.ingest.sheet import Rgb, Sheet
from workers.ingest.sniff import sniff
from workers.pixels import PIXELS_VERSION, Box, Gray, heads, regions

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
    nets: tuple[str, ...] = ()
    """What it knows by learning: name@hash of each net."""


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
    rgb = sheet.rgb.tobytes()
    return Pixels(height, width, rgb, sheet.by_camera, sheet.cpu_us, sheet.technical)


def look(pixels: Pixels, beside: bool = False, profile: str = CURRENT) -> Examined:
    """The half that sees pixels only; `beside` adds a picture of before and after."""
    sheet = Sheet(rgb=pixels.array(), by_camera=pixels.by_camera, cpu_us=dict(pixels.cpu_us))
    try:
        run(LOOKING[profile], sheet)
    except Stop as stop:
        return Examined(stop.refused, sheet.cpu_us)
    picture = side_by_side(sheet) if beside else b""
    boxes = placed(sheet), lines(sheet)
    return Examined(outcome_of(sheet), sheet.cpu_us, *boxes, picture, pixels.technical)


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
    sheet.technical = picture.technical


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


def isolated(sheet: Sheet) -> None:
    """The heads, and nothing else."""
    sheet.mask = anatomy.find(sheet.rgb)
    if not sheet.mask.any():
        raise Stop("no-head")
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
    """Letters on the heads, and what lies between them, are blanked."""
    blank(sheet, text.find(sheet.rgb, sheet.mask))


def cleared_by_lines(sheet: Sheet) -> None:
    """Letters on the heads, and fainter ones along their lines, are blanked."""
    blank(sheet, text_lines.find(sheet.rgb, sheet.mask))


def blank(sheet: Sheet, found: Gray) -> None:
    """Text goes to 1, the black of anatomy, so that a line never divides a head."""
    sheet.text = found
    share = quality.permille(sheet.text[sheet.mask > 0] > 0)
    if share > TEXT_PERMILLE_MAX:
        raise Stop("text-covers-head")
    sheet.quality |= {"text": share}
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

ISOLATING: Final = (Step("source", 1, told_apart), Step("anatomy", 1, isolated))
TEXT: Final = Step("text", 1, cleared, (text.stamp("overlay"),))
LINES: Final = Step("text", 2, cleared_by_lines, tuple(map(text.stamp, text_lines.NETS)))
RESIDUAL: Final = Step("residual", 1, doubted, (text.stamp("residual"),))
QUALITY: Final = Step("quality", 1, held_to_the_gate)
LIGHT: Final = Step("light", 1, held_to_the_light)
PHASH: Final = Step("phash", 1, fingerprinted)
FINGERPRINT: Final = Step("fingerprint", 1, recognisable)
PNG: Final = Step("png", 1, encoded)

LOOKING: Final = {
    "ingest-1": (*ISOLATING, QUALITY, PHASH, PNG),
    "ingest-2": (*ISOLATING, TEXT, RESIDUAL, QUALITY, PHASH, PNG),
    "ingest-3": (*ISOLATING, LIGHT, LINES, RESIDUAL, QUALITY, PHASH, FINGERPRINT, PNG),
}
"""Every profile there ever was, so that any event's derivative can be made again."""

NEWEST: Final = tuple(LOOKING)[-1]


def steps_of(profile: str) -> tuple[str, ...]:
    """All that decides what a profile makes, each with its version."""
    steps = (*READING, *LOOKING[profile])
    nets = (net for step in steps for net in step.nets)
    return (*(f"{step.name}@{step.version}" for step in steps), *nets, PIXELS_VERSION)


def named(profile: str) -> str:
    """The profile's name in events: with the hash of its steps."""
    return f"{profile}:{sha256('|'.join(steps_of(profile)).encode()).hexdigest()[:12]}"


PROFILE_STEPS: Final = steps_of(CURRENT)
PROFILE: Final = named(CURRENT)


# What is said of a sheet that went through


def outcome_of(sheet: Sheet) -> Ingested:
    """What is kept and told."""
    height, width = sheet.kept.shape
    return Ingested(
        derivative=sheet.derivative,
        sha256=sha256(sheet.derivative).hexdigest(),
        pixel_sha256=pixel_hash(sheet.kept),
        width=width,
        height=height,
        source=sheet.source,
        quality=sheet.quality,
        warnings=sheet.warnings,
        head=sheet.heads,
        masked_permille=quality.permille(hidden(sheet)),
        phash=sheet.phash,
        fingerprints=sheet.fingerprints,
    )


def placed(sheet: Sheet) -> tuple[Box, ...]:
    """The heads' boxes in the picture as decoded and bounded."""
    left, top = sheet.frame[:2]
    return tuple((x + left, y + top, w, h) for x, y, w, h in sheet.heads)


def lines(sheet: Sheet) -> tuple[Box, ...]:
    """The boxes of text blanked on the heads, in the same picture."""
    return tuple(regions(sheet.text > 0)) if sheet.text.size else ()


def side_by_side(sheet: Sheet) -> bytes:
    """JPEG of the picture as it came beside what is left of it."""
    after = np.zeros_like(sheet.rgb)
    cut(after, sheet.frame)[:] = sheet.kept[..., None]
    both = np.hstack([sheet.rgb, after])
    return cv2.imencode(".jpg", cv2.cvtColor(both, cv2.COLOR_RGB2BGR))[1].tobytes()


def hidden(sheet: Sheet) -> NDArray[np.bool_]:
    """Where the picture was blanked or cut away."""
    return np.asarray(clear(sheet) == 0, np.bool_)


def clear(sheet: Sheet) -> Gray:
    """1 where a head is shown: not where its text was blanked."""
    return np.asarray(sheet.mask & (1 - sheet.text), np.uint8) if sheet.text.size else sheet.mask


def largest(sheet: Sheet) -> Box:
    """The box of the largest head."""
    return max(sheet.heads, key=lambda box: box[2] * box[3])


def cut(picture: Rgb, box: Box) -> Rgb:
    """The pixels of a box, as a view."""
    x, y, w, h = box
    return picture[y : y + h, x : x + w]


def touches_edge(mask: Gray) -> bool:
    """Whether a head runs out of the picture."""
    return bool(mask[[0, -1]].any() or mask[:, [0, -1]].any())


def pixel_hash(gray: Gray) -> str:
    """Hex SHA-256 of shape|dtype|pixels, which no encoder's version can change."""
    height, width = gray.shape
    return sha256(b"%dx%d|uint8|" % (height, width) + gray.tobytes()).hexdigest()
