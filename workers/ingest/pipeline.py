"""From an untrusted photo to its anatomy alone: steps in a table, pure, the same bytes every time."""

import time
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Final, NamedTuple

from workers.ingest import recognise, steps, text, text_lines
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
from workers.ingest.result import examined, outcome_of
from workers.ingest.sheet import Sheet
from workers.modalities import used
from workers.pixels import PIXELS_VERSION

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

CURRENT: Final = "ingest-3"
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
    sheet.technical = pixels.technical
    try:
        run(LOOKING[profile], sheet)
    except Stop as stop:
        return examined(stop.refused, sheet, beside)
    return examined(outcome_of(sheet), sheet, beside)


def run(acts: Iterable[Step], sheet: Sheet) -> None:
    """One step after another, with the processor time each took."""
    for step in acts:
        started = time.process_time_ns()
        try:
            step.run(sheet)
        finally:
            sheet.cpu_us[step.name] = (time.process_time_ns() - started) // 1000


# The tables

READING: Final = (
    Step("sniff", 1, steps.sniffed),
    Step("decode", 1, steps.decoded),
    Step("bound", 1, steps.bounded),
)

SOURCE: Final = Step("source", 1, steps.told_apart)
PAGE: Final = Step("page", 1, steps.recognised, (recognise.stamp("page"),))
ANATOMY: Final = Step("anatomy", 1, steps.isolated)
TEXT: Final = Step("text", 1, steps.cleared, (text.stamp("overlay"),))
LINES: Final = Step("text", 4, steps.cleared_by_lines, tuple(map(text.stamp, text_lines.NETS)))
RESIDUAL: Final = Step("residual", 1, steps.doubted, (text.stamp("residual"),))
DOUBT: Final = Step("residual", 3, steps.doubted_by_two, tuple(map(text.stamp, text.DOUBTERS)))
LIGHT: Final = Step("light", 1, steps.held_to_the_light)
QUALITY: Final = Step("quality", 1, steps.held_to_the_gate)
BRAIN: Final = Step("brain", 4, steps.told_by_sequence, (recognise.stamp("sequence"),))
PHASH: Final = Step("phash", 1, steps.fingerprinted)
FINGERPRINT: Final = Step("fingerprint", 1, steps.recognisable)
PNG: Final = Step("png", 1, steps.encoded)

LOOKING: Final = {
    "ingest-1": (SOURCE, ANATOMY, QUALITY, PHASH, PNG),
    "ingest-2": (SOURCE, ANATOMY, TEXT, RESIDUAL, QUALITY, PHASH, PNG),
    "ingest-3": (
        *(SOURCE, PAGE, ANATOMY, LIGHT, LINES, DOUBT, QUALITY, BRAIN),
        *(PHASH, FINGERPRINT, PNG),
    ),
}
"""Every profile there ever was, so that any event's derivative can be made again."""

NEWEST: Final = tuple(LOOKING)[-1]


def steps_of(profile: str) -> tuple[str, ...]:
    """All that decides what a profile makes, each with its version."""
    every = (*READING, *LOOKING[profile])
    nets = (net for step in every for net in step.nets)
    modalities = used() if BRAIN in every else ()
    return (*(f"{step.name}@{step.version}" for step in every), *nets, *modalities, PIXELS_VERSION)


def named(profile: str) -> str:
    """The profile's name in events: with the hash of its steps."""
    return f"{profile}:{sha256('|'.join(steps_of(profile)).encode()).hexdigest()[:12]}"


PROFILE_STEPS: Final = steps_of(CURRENT)
PROFILE: Final = named(CURRENT)
