"""What the models said of groups of cases, and how right that was where the truth is known."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Literal, TypeVar, get_args

from msgspec import Struct

from domain.stroke import CAUSES, LEVEL_INSTRUMENTAL
from projections.measures import (
    UNDETERMINED,
    Accuracy,
    Agreement,
    Share,
    accuracy,
    agreement,
    wilson,
)

Dimension = Literal["model", "channel", "images", "level"]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)

Word = TypeVar("Word", bound=Hashable)
Key = tuple[str | int | None, ...]
"""A value for each dimension; None where the groups do not differ by it."""

Seconds = Mapping[Key, Sequence[float] | None]
"""The 50th and 95th percentile by group."""


class Tally(Struct, frozen=True):
    """So many cases alike, of which so many have a `blinded` label: one given before any answer."""

    model: str | None
    channel: str | None
    images: int | None
    said: str
    label: str | None
    level: int | None
    cases: int
    blinded: int


class Group(Struct, frozen=True, kw_only=True):
    """Each model's last word in each case; a case that two models saw counts twice.

    `of` names the group, such as {"channel": "photo"}; a `level` of None holds the cases without a
    label. `said` counts the words: a cause, abstained, not-applicable, out-of-distribution, failed;
    `answered` those that were a cause. `labelled`: cases whose label counts here, of all such cases
    whatever their label; in groups by level any label counts, else those of level 2 or more.
    `accuracy` and `agreement` are over those of them where the model said one cause and the label
    is a determined one; `left_out` counts the others by reason. Seconds run from when the first
    photo was sent to the case's first answer, for the model that gave it; None while there is none.
    """

    of: dict[str, str | int | None]
    cases: int
    said: dict[str, int]
    answered: int
    abstained: Share
    labelled: Share
    blinded: int
    left_out: dict[str, int]
    accuracy: tuple[Accuracy, ...]
    agreement: Agreement
    seconds_p50: float | None
    seconds_p95: float | None


def grouped(
    by: Sequence[Dimension], tallies: Iterable[Tally], seconds: Seconds
) -> tuple[Group, ...]:
    """In the order of their names and numbers, cases without a label last."""
    groups: defaultdict[Key, list[Tally]] = defaultdict(list)
    alike: Counter[Key] = Counter()
    for tally in tallies:
        key = (tally.model, tally.channel, tally.images)
        groups[*key, tally.level if "level" in by else None].append(tally)
        alike[key] += tally.cases
    keys = sorted(groups, key=lambda key: [(one is None, one or 0) for one in key])
    return tuple(_group(by, key, groups[key], alike[key[:-1]], seconds) for key in keys)


def everything(tallies: Sequence[Tally], seconds: Seconds) -> Group:
    """All cases as one group, which may be empty."""
    of = sum(tally.cases for tally in tallies)
    return _group((), (None,) * len(DIMENSIONS), tallies, of, seconds)


def _group(
    by: Sequence[Dimension], key: Key, tallies: Sequence[Tally], of: int, seconds: Seconds
) -> Group:
    cases, words = sum(one.cases for one in tallies), _counted(tallies, lambda one: one.said)
    level_min = 0 if "level" in by else LEVEL_INSTRUMENTAL
    labelled = [one for one in tallies if one.level is not None and one.level >= level_min]
    pairs = _counted(labelled, _said_and_label)
    p50, p95 = seconds.get(key) or (None, None)
    return Group(
        of={name: value for name, value in zip(DIMENSIONS, key, strict=True) if name in by},
        cases=cases,
        said=words,
        answered=sum(count for word, count in words.items() if word in CAUSES),
        abstained=wilson(words.get("abstained", 0), cases),
        labelled=wilson(sum(one.cases for one in labelled), of),
        blinded=sum(one.blinded for one in labelled),
        left_out=_counted(labelled, _why_left_out),
        accuracy=accuracy(pairs),
        agreement=agreement(pairs),
        seconds_p50=p50,
        seconds_p95=p95,
    )


def _counted(tallies: Iterable[Tally], word_of: Callable[[Tally], Word | None]) -> dict[Word, int]:
    """Cases by word, in the order of the words; those without one are not counted."""
    counts: Counter[Word] = Counter()
    for tally in tallies:
        if (word := word_of(tally)) is not None:
            counts[word] += tally.cases
    return dict(sorted(counts.items(), key=lambda item: str(item[0])))


def _why_left_out(tally: Tally) -> str | None:
    """Why a labelled case says nothing of how right a model is: it did not say one cause, or the
    label is none (P. M. Bossuyt et al., STARD 2015, BMJ 351:h5527, items 15 and 16)."""
    if tally.said not in CAUSES:
        return tally.said
    return "undetermined" if tally.label in UNDETERMINED else None


def _said_and_label(tally: Tally) -> tuple[str, str] | None:
    if tally.label is None or _why_left_out(tally):
        return None
    return tally.said, tally.label
