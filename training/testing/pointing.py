"""The pointing game (J. Zhang et al., ECCV 2016): is what mattered most of an image on its lesion?"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from training.dataset import Dataset
from training.testing.cases import Judged, evenly, recognised
from training.testing.truth import Mask, read_lesion
from workers.inference.classifier import Classifier
from workers.inference.context import Context
from workers.inference.saliency import Occlusion, cells, inside
from workers.pixels import heads, load

CASES_MAX: Final = 20


class Pointed(NamedTuple):
    """`hit`: the patch without which the answer falls most shows lesion. `chance`: the share of
    patches that do."""

    hit: bool
    chance: float


def pointed(classifier: Classifier, dataset: Dataset, cases: Sequence[Judged]) -> list[Pointed]:
    """Of the image that counted most of some cases, where it is known to show lesion."""
    return [
        _pointed(classifier, dataset, case, at, lesion)
        for case, at, lesion in evenly(_known(dataset, cases), CASES_MAX)
    ]


def _known(dataset: Dataset, cases: Sequence[Judged]) -> list[tuple[Judged, int, Mask]]:
    """Cases with their image of most attention and its mask, which is not empty."""
    found = []
    for case in cases:
        at = int(np.argmax(case.attention))
        lesion = read_lesion(dataset.folder, case.row.images[at].sha256)
        if lesion is not None and lesion.any():
            found.append((case, at, lesion))
    return found


def _pointed(
    classifier: Classifier, dataset: Dataset, case: Judged, at: int, lesion: Mask
) -> Pointed:
    images = [dataset.derivative(image.sha256) for image in case.row.images]
    context = Context.of(case.row.context)
    heat = Occlusion(classifier, images, context, recognised(classifier, images)).heat(at)
    patches = [inside(patch) for patch in cells(heads(load(images[at])))]
    shows = [bool(lesion[patch].any()) for patch in patches]
    hottest = max(range(len(patches)), key=lambda n: float(heat[patches[n]].max()))
    return Pointed(shows[hottest], sum(shows) / len(shows))
