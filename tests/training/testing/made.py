"""Cases as a bundle might have judged them, made from numbers."""

from collections.abc import Callable

import numpy as np

from domain.stroke import PREDICTED
from projections.rows import Row, RowImage, RowLabel
from training.testing.cases import Judged
from training.testing.figures import Outcome, measured
from training.testing.truth import Truth

LAYOUTS = ("dark", "light")


def row(number: int, positive: bool, *, patient: str = "", origin: str = "synthetic") -> Row:
    image = RowImage(
        sha256=f"{number:064x}",
        width=100,
        height=100,
        modality="dwi",
        channel="screenshot",
        profile="ingest-1",
    )
    label = RowLabel(
        cause=PREDICTED[0 if positive else 1],
        level=2,
        evidence=("ecg",),
        stage="discharge",
        rater="somebody",
    )
    return Row(
        case=f"case-{number:05d}",
        site="north",
        patient=patient or f"patient-{number}",
        origin=origin,
        images=(image,),
        context={"af": "unknown"},
        label=label,
        split="test",
        events=(),
    )


def judged(number: int, positive: bool, score: int, origin: str = "synthetic") -> Judged:
    """Answered unless the score lies in the middle fifth."""
    open_to = PREDICTED if 400 < score < 600 else PREDICTED[:1] if score >= 600 else PREDICTED[1:]
    return Judged(
        row=row(number, positive, origin=origin),
        positive=positive,
        score=score,
        answers=frozenset(open_to),
        attention=(1000,),
        seconds=0.1,
    )


def drawn(
    count: int, score: Callable[[np.random.Generator, bool, int], float], origin: str = "synthetic"
) -> list[Judged]:
    """So many cases, every other one positive, with scores drawn by (chance, positive, number)."""
    rng = np.random.default_rng(5)
    return [
        judged(n, n % 2 == 0, round(1000 * float(np.clip(score(rng, n % 2 == 0, n), 0, 1))), origin)
        for n in range(count)
    ]


def outcome(
    cases: list[Judged],
    mode: str = "realistic",
    oracle: bool = False,
    ceiling: bool = False,
    unseen: int = 0,
) -> Outcome:
    """Measured with a truth that says each case's layout: every third is another viewer's."""
    truths = {
        case.row.case: Truth(
            case=case.row.case,
            layout=LAYOUTS[at // 2 % 2],
            oracle=(700 if case.positive and at % 4 < 2 else 300) if oracle else None,
            ceiling=1000 * case.positive if ceiling else None,
        )
        for at, case in enumerate(cases)
    }
    return measured(cases, truths, {"order": [0.0, 0.0]}, [], {"mode": mode}, unseen)
