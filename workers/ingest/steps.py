"""The acts of which profiles consist: each reads a sheet and fills in what its name says, or stops."""

from typing import Final

import cv2
import numpy as np

from domain.stroke import Modality
from workers.ingest import anatomy, light, quality, recognise, text, text_lines
from workers.ingest.decode import decode
from workers.ingest.fingerprint import fingerprint
from workers.ingest.outcome import Stop
from workers.ingest.result import clear, cut, largest, placed, touches_edge
from workers.ingest.sheet import Sheet
from workers.ingest.sniff import sniff
from workers.modalities import MODALITIES
from workers.pixels import Box, Gray, heads, only

SIDE_PX_MAX: Final = 2048
"""Longer pictures are reduced; the original keeps what this loses."""

TEXT_PERMILLE_MAX: Final = 150
"""Of the heads; more text than this leaves too little to look at, or is no text."""

LINES_PERMILLE_MAX: Final = 200
"""The same where lines are blanked with their ends: three of them on a small head take so much."""

PNG_LEVEL: Final = (cv2.IMWRITE_PNG_COMPRESSION, 1)


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
    """Letters on the heads, and what lies between them, are blanked."""
    blank(sheet, text.find(sheet.rgb, sheet.mask))


def cleared_by_lines(sheet: Sheet) -> None:
    """Letters on the heads, and fainter ones along their lines, are blanked."""
    blank(sheet, text_lines.find(sheet.rgb, sheet.mask), LINES_PERMILLE_MAX)


def blank(sheet: Sheet, found: Gray, permille_max: int = TEXT_PERMILLE_MAX) -> None:
    """Text goes to 1, the black of anatomy, so that a line never divides a head."""
    sheet.text = found
    share = quality.permille(sheet.text[sheet.mask > 0] > 0)
    sheet.quality |= {"text": share}
    blanked(sheet)
    if share > permille_max:
        raise Stop("text-covers-head")


def blanked(sheet: Sheet) -> None:
    """Writes the text's black into the derivative."""
    sheet.kept = np.where(cut(sheet.text, sheet.frame) > 0, np.uint8(1), sheet.kept)


def doubted(sheet: Sheet) -> None:
    """Another net looks at what is left: what it still takes for text goes no further."""
    if text.remains(sheet.rgb, sheet.mask, sheet.text):
        raise Stop("text-remains")


def doubted_by_two(sheet: Sheet) -> None:
    """The same by the mean of two nets, of which one knows what blanking leaves."""
    if text.agreed_to_remain(sheet.rgb, sheet.mask, sheet.text):
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
