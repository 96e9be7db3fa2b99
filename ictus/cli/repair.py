"""`ictus audit repair` and `ictus audit restore`."""

import asyncio
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ictus.cli.errors import UNVERIFIED
from ictus.cli.options import Data, Json, put_json, put_table, read_settings, tell

if TYPE_CHECKING:
    from ictus.repaired import Outcome

Key = Annotated[str | None, Parameter(help="The witness's public key (this machine's).")]


def repair(*, key: Key = None, data: Data = None, json: Json = False) -> None:
    """Restores a damaged ledger, identical, from the archive.

    Refused while anything runs on the data directory; the damaged store is kept.
    """
    from ictus.repair import repair_ledger
    from ictus.witness import public_key

    settings = read_settings(data)
    _end(asyncio.run(repair_ledger(settings, public_key(settings, key))), json)


def restore(
    *,
    source: Annotated[str, Parameter(name="--from")],
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Writes the archived ledger into an empty server.

    Parameters
    ----------
    source
        The object store that the witness wrote to: a directory, or s3://bucket/prefix.
    """
    from ictus.repair import restore_ledger
    from ictus.witness import public_key

    settings = read_settings(data)
    _end(asyncio.run(restore_ledger(settings, source, public_key(settings, key))), json)


def _end(outcome: "Outcome", json: bool) -> None:
    if json:
        put_json(outcome)
    else:
        _tell(outcome)
    if not outcome.whole:
        raise SystemExit(UNVERIFIED)


def _tell(outcome: "Outcome") -> None:
    tell(f"ledger {outcome.ledger}: {outcome.events} events")
    if outcome.damaged:
        tell(f"restored {outcome.archived} from the archive, {outcome.tail} from the old store")
        tell(f"the damaged store is kept in {outcome.damaged}")
    for name, sequence in outcome.durables.items():
        tell(f"{name} goes on after sequence {sequence}")
    if outcome.forked:
        tell(f"FORKED: from sequence {outcome.forked} on the stream held other events")
    if outcome.lost:
        first, last = outcome.lost
        tell(f"LOST: sequences {first} to {last} were acknowledged and are in no place")
    for name in outcome.emptied:
        tell(f"EMPTY: {name} is not in the archive; restore it from a backup")
    if outcome.after:
        rows = [(each.where, each.sequence, each.what) for each in outcome.after]
        put_table("STILL DAMAGED", ("where", "from sequence", "what"), rows)
    tell("whole" if outcome.whole else "NOT whole")
