"""`ictus reingest`."""

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ictus.cli.cases import case_id_of
from ictus.cli.errors import PARTIAL
from ictus.cli.options import Data, Json, house, put_json, put_table, tell
from ictus.cli.progress import progress

if TYPE_CHECKING:
    from ictus.reingest import Outcome

COLUMNS = ("case", "image", "outcome", "reason")


class NotSaid(Exception):
    """Which cases are meant was not said, or said twice."""


def reingest(
    *,
    profile: str,
    case: str | None = None,
    all_: Annotated[bool, Parameter(name="--all", negative="")] = False,
    dry_run: Annotated[bool, Parameter(name="--dry-run", negative="")] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Has a profile ingest images again; repeatable.

    Kept originals are looked at anew; what comes out are new events beside the old. Exits 7 when an
    original is gone or an image failed; what was made before stays.

    Parameters
    ----------
    profile
        Such as ingest-3; docs/ingest.md tells what each does.
    case
        The code on the card, or the UUID.
    all_
        Every case that was not withdrawn.
    dry_run
        Tells what would be ingested and whose original is gone; writes nothing.
    """
    if (case is None) != all_:
        raise NotSaid("say either --case CASE or --all")
    from ictus.reingest import LEFT_OUT, must_be_a_profile

    must_be_a_profile(profile)
    outcomes = asyncio.run(_reingest(profile, case, dry_run, data, json))
    counts = Counter[str](outcome.outcome for outcome in outcomes)
    left = [each for each in outcomes if each.outcome in LEFT_OUT]
    if not json:
        if left:
            rows = [(each.code, each.item, each.outcome, each.reason) for each in left]
            put_table("Not ingested again", COLUMNS, rows)
        tell(", ".join(f"{count} {word}" for word, count in sorted(counts.items())) or "no image")
    if left:
        raise SystemExit(PARTIAL)


async def _reingest(
    profile: str, case: str | None, dry_run: bool, data: str | None, json: bool
) -> "list[Outcome]":
    from ictus.reingest import all_cases, reingest

    outcomes: list[Outcome] = []

    def told(outcome: "Outcome") -> None:
        outcomes.append(outcome)
        if json:
            put_json(outcome)

    async with house(data) as opened:
        ids = [await case_id_of(opened, case)] if case else await all_cases(opened)
        with progress("cases") as advance:
            await reingest(opened, profile, ids, dry_run, told, advance)
    return outcomes
