"""Other ways to blank text in a picture: PP-OCR's detector, and all words that Tesseract reads.

The second is what redactors of Presidio's kind do, had their search for names found every name.
"""

import csv
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from io import StringIO
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import attacker

Picture = NDArray[np.uint8]
Redact = Callable[[Picture], Picture]
"""RGB, height x width x 3, to a mask (1) of text, height x width."""

WORDS: Final = ("tesseract", "stdin", "stdout", "-l", "eng+rus", "tsv")
PLACE: Final = ("left", "top", "width", "height")


def installed() -> dict[str, Redact | None]:
    """Every peer by name; None where it is not installed."""
    return {
        "pp_ocr": pp_ocr() if find_spec("rapidocr") else None,
        "presidio_style": all_words if attacker.installed() else None,
    }


def pp_ocr() -> Redact:
    """The boxes of the PP-OCR detector that comes with rapidocr, on one thread."""
    from rapidocr import RapidOCR

    threads = ("intra_op_num_threads", "inter_op_num_threads")
    one: dict[str, Any] = {f"EngineConfig.onnxruntime.{name}": 1 for name in threads}
    engine: Any = RapidOCR(params={"Global.log_level": "error", **one})

    def boxes(rgb: Picture) -> Picture:
        bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        found = engine(bgr, use_det=True, use_cls=False, use_rec=False).boxes
        corners = [] if found is None else [np.asarray(box, np.int32) for box in found]
        return np.asarray(cv2.fillPoly(np.zeros(rgb.shape[:2], np.uint8), corners, 1), np.uint8)

    return boxes


def all_words(rgb: Picture) -> Picture:
    """The boxes of every word that Tesseract reads."""
    png = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes()
    told = subprocess.run(WORDS, input=png, capture_output=True, check=True).stdout.decode()
    mask = np.zeros(rgb.shape[:2], np.uint8)
    for row in csv.DictReader(StringIO(told), delimiter="\t", quoting=csv.QUOTE_NONE):
        if (row["text"] or "").strip():
            x, y, w, h = (int(row[side]) for side in PLACE)
            mask[y : y + h, x : x + w] = 1
    return mask
