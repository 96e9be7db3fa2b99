"""What is said of a sheet that went through the steps, or some, and views of it that they share."""

from hashlib import sha256

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.ingest import quality
from workers.ingest.outcome import Examined, Ingested, Refused
from workers.ingest.sheet import Rgb, Sheet
from workers.pixels import Box, Gray, regions


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
        sequences=sheet.sequences,
    )


def examined(outcome: Ingested | Refused, sheet: Sheet, beside: bool) -> Examined:
    """The outcome with all that the steps found until then; `beside` adds the picture of it."""
    return Examined(
        outcome,
        cpu_us=sheet.cpu_us,
        heads=placed(sheet),
        text=lines(sheet),
        beside=side_by_side(sheet) if beside else b"",
        technical=sheet.technical,
        source=sheet.source,
        quality=sheet.quality,
    )


def placed(sheet: Sheet) -> tuple[Box, ...]:
    """The heads' boxes in the picture as decoded and bounded."""
    left, top = sheet.frame[:2]
    return tuple((x + left, y + top, w, h) for x, y, w, h in sheet.heads)


def lines(sheet: Sheet) -> tuple[Box, ...]:
    """The boxes of text blanked on the heads, in the same picture."""
    return tuple(regions(sheet.text > 0)) if sheet.text.size else ()


def side_by_side(sheet: Sheet) -> bytes:
    """JPEG of the picture as it came beside what is left of it, black where no head was found."""
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
