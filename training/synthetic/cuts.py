"""How the heads of a picture are cut out for a dataset: as in life, or as the truth has them."""

from collections.abc import Callable
from hashlib import sha256
from io import BytesIO
from typing import Final, Literal, NamedTuple

import cv2
import numpy as np
from PIL import Image

from training.synthetic.cases import Picture
from workers.ingest.pipeline import PROFILE, Ingested, process

TRUTH: Final = "truth@1"
By = Literal["ingest", "truth"]


class Cut(NamedTuple):
    """A derivative (grey PNG, 0 is blanked, anatomy at least 1) and what its row says of it."""

    derivative: bytes
    sha256: str
    width: int
    height: int
    channel: str


def by_ingest(picture: Picture) -> Cut | None:
    """What the pipeline leaves; None when it refuses the picture."""
    done = process(picture.data)
    if not isinstance(done, Ingested):
        return None
    return Cut(done.derivative, done.sha256, done.width, done.height, done.source)


def by_truth(picture: Picture) -> Cut:
    """The heads' own pixels without lines of text: some ten times faster, and refuses nothing."""
    with Image.open(BytesIO(picture.data)) as image:
        grey = np.array(image.convert("L"))
    kept = np.where(picture.truth > 0, np.maximum(grey, 1), 0).astype(np.uint8)
    for x, y, w, h in (text.box for text in picture.texts):
        part = kept[max(y, 0) : y + h, max(x, 0) : x + w]
        part[part > 0] = 1
    derivative = cv2.imencode(".png", kept)[1].tobytes()
    height, width = kept.shape
    return Cut(derivative, sha256(derivative).hexdigest(), width, height, picture.channel)


CUTTERS: Final[dict[By, tuple[str, Callable[[Picture], Cut | None]]]] = {
    "ingest": (PROFILE, by_ingest),
    "truth": (TRUTH, by_truth),
}
"""The profile that rows name, and what cuts."""
