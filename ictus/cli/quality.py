"""`ictus quality`."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from cyclopts import Parameter

from ictus.cli.options import Data, Json, house, put_json, put_table

if TYPE_CHECKING:
    from projections.measures import Agreement, Share
    from projections.quality import Report
    from projections.strata import Group

Dimension = Literal["model", "channel", "images", "level"]
Row = list[object]

UNDEFINED = "—"
ANSWERS = ("cases", "what was said", "abstained", "with a label", "blinded", "seconds p50 / p95")
RIGHT = ("cause", "sensitivity = recall", "specificity", "precision", "left out")
KAPPA = ("readers", "κ", "equal")


def split(_: object, tokens: Sequence[Any]) -> tuple[Dimension, ...]:
    """`model,channel` or `--by model --by channel`."""
    words = [word for token in tokens for word in token.value.split(",")]
    if unknown := [word for word in words if word not in get_args(Dimension)]:
        raise ValueError(f"{unknown[0]!r} is none of {', '.join(get_args(Dimension))}")
    return tuple(dict.fromkeys(words))


def quality(
    *,
    by: Annotated[
        tuple[Dimension, ...], Parameter(converter=split, negative="", show_default=",".join)
    ] = (
        "model",
        "level",
    ),
    data: Data = None,
    json: Json = False,
) -> None:
    """How right, how sure and how fast the answers were.

    Parameters
    ----------
    by
        What the groups differ by: any of model, channel, images, level, with commas between. In
        groups by level every label counts, in others those of level 2 (instrumental) or more.
    """
    asyncio.run(_quality(by, data, json))


async def _quality(by: tuple[Dimension, ...], data: str | None, json: bool) -> None:
    from projections import quality as read_model

    async with house(data, "researcher") as opened, opened.database.acquire() as db:
        found = await read_model.report(db, by)
    if json:
        put_json(found)
        return
    groups = [*found.groups, found.everything]
    put_table(_title(found), (*by, *ANSWERS), [_answers(by, group) for group in groups])
    put_table(
        "Right answers, 95 % intervals",
        (*by, *RIGHT),
        [row for g in groups for row in _right(by, g)],
    )
    put_table("Agreement beyond chance", (*by, *KAPPA), [*_kappas(by, groups), *_readers(found)])


def _title(found: "Report") -> str:
    return (
        f"{found.cases} cases as of event {found.sequence}; with a label {told(found.labelled)},"
        f" of level 2 or more {told(found.instrumental)}"
    )


def _answers(by: Sequence[Dimension], group: "Group") -> Row:
    said = ", ".join(f"{word} {count}" for word, count in group.said.items())
    seconds = UNDEFINED
    if group.seconds_p50 is not None and group.seconds_p95 is not None:
        seconds = f"{group.seconds_p50:.1f} / {group.seconds_p95:.1f}"
    shares = (told(group.abstained), told(group.labelled), group.blinded)
    return [*_names(by, group), group.cases, said, *shares, seconds]


def _right(by: Sequence[Dimension], group: "Group") -> Iterable[Row]:
    """One row for each cause that a model can say."""
    left_out = ", ".join(f"{why} {count}" for why, count in group.left_out.items()) or 0
    for one in group.accuracy:
        shares = (one.sensitivity, one.specificity, one.precision)
        yield [*_names(by, group), one.cause, *map(told, shares), left_out]


def _kappas(by: Sequence[Dimension], groups: Iterable["Group"]) -> Iterable[Row]:
    for group in groups:
        yield [*_names(by, group), "model, label", *_kappa(group.agreement)]


def _readers(found: "Report") -> Iterable[Row]:
    readers = {
        "rater's own opinion, label": found.readers.own,
        "the same before any answer": found.readers.own_unaided,
        "second opinion, label": found.readers.second,
        "opinion, model": found.readers.model,
    }
    for name, agreement in readers.items():
        yield [*("all" for _ in found.by), name, *_kappa(agreement)]


def _names(by: Sequence[Dimension], group: "Group") -> Row:
    if not group.of:
        return ["all" for _ in by]
    return [UNDEFINED if group.of[one] is None else group.of[one] for one in by]


def _kappa(found: "Agreement") -> tuple[str, str]:
    kappa = UNDEFINED if found.kappa is None else f"{found.kappa:.2f}"
    return kappa, told(found.observed)


def told(share: "Share") -> str:
    """Such as `9/11, 82 % (52–95)`."""
    if not share.of:
        return UNDEFINED
    low, high = round(100 * share.low), round(100 * share.high)
    return f"{share.count}/{share.of}, {100 * share.count / share.of:.0f} % ({low}–{high})"
