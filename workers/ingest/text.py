"""Finds text that lies on the anatomy, as ink: nothing is recognised, so nothing readable can leak.

Small nets, made by `training.overlay_net` from drawn pictures only (their recipes lie beside them): some
blank, others, of another shape or shown other pictures, look whether anything is left.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.ingest.session import load
from workers.pixels import Box, Gray, heads

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Net = Literal["overlay", "residual", "finer", "keen", "remnant"]
Read = Callable[[NDArray[np.uint8]], Gray]
"""RGB of an area to its ink (1), half the size (rounded up)."""

SHA256: Final[dict[Net, str]] = {
    "overlay": "ac07b5bc20c9250051e2fc2dbb9c0053c02ae6f11e6ffd897cbc68fcb78c1836",
    "residual": "356c75896a8e1c0e143368d1a2b6ccabee6b3b4cbc5dacc9bda9dfb7bca2a9c4",
    "finer": "5557192d4f6fe650ad62eaeffc7d51ca7207d6193bc9bb6935185732cea07e3c",
    "keen": "92186bc888f3de4a43315d02815973e27d9857587f0501e676a1d3e229b9fd61",
    "remnant": "25e77e2d091b0df52cf03bba03f3f8a4bd3bae6fa91a7281d7e64f287c26fa53",
}

STRIDE: Final = 16
CONTEXT_PX: Final = 16
"""Of the surroundings of a head that the nets see."""

HALF_FROM_PX: Final = 1400
"""In pictures with a longer side than this, text may be twice as large: they are read at half size too."""

INK_LOGIT_MIN: Final = -2.5
"""A pixel counts as ink from this logit on."""

SPECK_PX: Final = 12
"""Fewer pixels of ink in one piece (at half size) are no letter."""

REACH_PX: Final = 3
"""What is blanked around ink: glyphs' soft edges."""

GAP_PX: Final = 41
"""Ink nearer than this along a row is of one line, and blanked with what lies between."""

END_SHARE: Final = 0.5
LINE_PX_MAX: Final = 40
"""A line is blanked for this share of its height, so bounded, beyond either end."""


class Left(NamedTuple):
    """The second net speaks up from so much certain ink in one piece (at half size)."""

    logit: float
    px: int


LEFT: Final = Left(0.0, 30)

DOUBTERS: Final[tuple[Net, ...]] = ("residual", "remnant")
"""The second was trained on what blanking leaves: it knows the edges of blanked boxes, the first does not."""

HINTED: Final = Left(-4.0, 30)
AGREED_LEFT: Final = Left(-2.0, 30)
"""Set on what tuning may use: no picture without text left is doubted, and every whole line is seen."""


def find(rgb: NDArray[np.uint8], mask: Gray) -> Gray:
    """Mask (1) of text on the heads of `mask`, height x width, widened to hide it all."""
    return on_heads(rgb, mask, letters)


def on_heads(rgb: NDArray[np.uint8], mask: Gray, read: Read, context_px: int = CONTEXT_PX) -> Gray:
    """The same by any way to find ink."""
    found = np.zeros(mask.shape, np.uint8)
    for x, y, w, h in widened(mask, context_px):
        place = found[y : y + h, x : x + w]
        place |= covered(ink(rgb[y : y + h, x : x + w], max(rgb.shape), read))
    return np.asarray(found & mask, np.uint8)


def remains(rgb: NDArray[np.uint8], mask: Gray, found: Gray) -> bool:
    """Whether the second net sees text on the heads beside what was `found` and blanked."""
    looks = left_over(rgb, mask, found)
    return any(is_left(seen("residual", area), clear, LEFT) for area, clear in looks)


def agreed_to_remain(rgb: NDArray[np.uint8], mask: Gray, found: Gray) -> bool:
    """The same by the mean of two nets; the other one is asked about heads that the first has doubts of."""
    for area, clear in left_over(rgb, mask, found):
        first = seen("residual", area)
        if is_left(first, clear, HINTED):
            both = (first + seen("remnant", area)) / np.float32(2)
            if is_left(both, clear, AGREED_LEFT):
                return True
    return False


def load_doubters() -> None:
    """Has every net that may be asked run once: a process that is confined later can load none."""
    for net in DOUBTERS:
        seen(net, np.zeros((STRIDE, STRIDE, 3), np.uint8))


def left_over(
    rgb: NDArray[np.uint8], mask: Gray, found: Gray
) -> Iterator[tuple[NDArray[np.uint8], Gray]]:
    """Every head with what was found blanked, and where it is clear (1), at half its size."""
    for x, y, w, h in widened(mask):
        place, half = np.s_[y : y + h, x : x + w], ((w + 1) // 2, (h + 1) // 2)
        left = np.where((found[place] > 0)[..., None], np.uint8(0), rgb[place])
        clear = mask[place] & (1 - found[place])
        where = cv2.resize(clear, half, interpolation=cv2.INTER_NEAREST)
        yield left, np.asarray(where, np.uint8)


def is_left(logits: NDArray[np.float32], clear: Gray, least: Left) -> bool:
    """Whether so much ink lies in one piece where it is clear."""
    certain = ((logits >= least.logit) & (clear > 0)).astype(np.uint8)
    return largest_piece(certain) >= least.px


def widened(mask: Gray, by_px: int = CONTEXT_PX) -> list[Box]:
    """The heads' boxes with some surroundings."""
    height, width = mask.shape
    boxes = []
    for x, y, w, h in heads(mask):
        left, top = max(0, x - by_px), max(0, y - by_px)
        right, bottom = min(width, x + w + by_px), min(height, y + h + by_px)
        boxes.append((left, top, right - left, bottom - top))
    return boxes


def ink(area: NDArray[np.uint8], side_px: int, read: Read) -> Gray:
    """Ink (1) in an area of a picture whose longer side is `side_px`."""
    found = enlarged_to(area, read(area))
    if side_px >= HALF_FROM_PX:
        half = cv2.resize(area, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        found |= enlarged_to(area, read(np.asarray(half, np.uint8)))
    return found


def enlarged_to(area: NDArray[np.uint8], mask: Gray) -> Gray:
    """The mask at the area's size."""
    size = (area.shape[1], area.shape[0])
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def letters(area: NDArray[np.uint8]) -> Gray:
    """Ink (1) without specks, at half the area's size."""
    return pieces(seen("overlay", area) >= INK_LOGIT_MIN, SPECK_PX)


def pieces(where: NDArray[np.bool_], px_min: int) -> Gray:
    """Connected regions (1) of at least so many pixels."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(where.astype(np.uint8))
    large = stats[:, cv2.CC_STAT_AREA] >= px_min
    large[0] = False
    return np.asarray(large[labels], np.uint8)


def covered(ink_mask: Gray) -> Gray:
    """Lines of ink as filled boxes along their own direction, longer and wider than the ink."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * REACH_PX + 1, 2 * REACH_PX + 1))
    wide = np.asarray(cv2.dilate(ink_mask, disc), np.uint8)
    joined = cv2.morphologyEx(ink_mask, cv2.MORPH_CLOSE, np.ones((1, GAP_PX), np.uint8))
    contours, _ = cv2.findContours(joined, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for contour in contours:
        cv2.fillConvexPoly(wide, enlarged(cv2.minAreaRect(contour)), 1)
    return wide


def enlarged(rectangle: tuple[Sequence[float], Sequence[float], float]) -> NDArray[np.int32]:
    """Corners of a turned rectangle made wider, and longer at its ends, where letters may be faint."""
    centre, (width, height), turn = rectangle
    more = 2 * END_SHARE * min(width, height, LINE_PX_MAX)
    longer, wider = max(width, height) + more + 2 * REACH_PX, min(width, height) + 2 * REACH_PX
    size = (longer, wider) if width >= height else (wider, longer)
    return np.asarray(np.round(cv2.boxPoints((centre, size, turn))), np.int32)


def largest_piece(where: Gray) -> int:
    """Pixels of the largest connected region."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(where)
    return int(stats[1:, cv2.CC_STAT_AREA].max(initial=0))


def seen(net: Net, area: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits of ink, half the area's size (rounded up): float32, height x width."""
    height, width = area.shape[:2]
    padded = cv2.copyMakeBorder(area, 0, -height % STRIDE, 0, -width % STRIDE, cv2.BORDER_REPLICATE)
    (logits,) = session(net).run(None, {"rgb": np.ascontiguousarray(padded)[None]})
    return np.asarray(logits[0, 0, : (height + 1) // 2, : (width + 1) // 2], np.float32)


def stamp(net: Net) -> str:
    """The net's name and the beginning of its hash, as profiles tell it."""
    return f"{net}@{SHA256[net][:12]}"


@cache
def session(net: Net) -> "InferenceSession":
    """The net, loaded once."""
    return load(net, SHA256[net])
